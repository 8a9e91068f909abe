"""`python -m ood_lightning`."""

from ood_lightning.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
