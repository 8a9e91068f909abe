"""Makes docs/sample_report.html, the page that docs/report.md leads to, before the documentation is built.

    python scripts/sample_page.py     # writes it anew

A hook of mkdocs: it makes the page where there is none. The page is what one command leaves of the built-in pictures,
a minute of work on two cores; it is no part of the repository.
"""

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "docs" / "sample_report.html"
SHARDS = "builtin:pictograms/shards"
RUN = ["run", f"{SHARDS}/id_test", "--ood", *(f"{SHARDS}/{name}" for name in ("food", "transport", "faces"))]


def make() -> None:
    """Run the command in a folder of its own, and keep its page."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with TemporaryDirectory() as folder:
        words = [
            *RUN,
            "--encoder",
            "pictograms",
            "--out",
            "pictograms",
            "--cache_dir",
            str(ROOT / ".cache" / "features"),
        ]
        done = subprocess.run(
            [sys.executable, "-m", "ood_lightning", *words], cwd=folder, env=environment, capture_output=True, text=True
        )
        if done.returncode:
            raise RuntimeError(f"the sample page could not be made: {done.stderr[-2000:]}")
        SAMPLE.write_bytes((Path(folder) / "pictograms" / "report.html").read_bytes())


def on_pre_build(config: Any) -> None:
    """Called by mkdocs before it looks for pages."""
    if not SAMPLE.is_file():
        make()


if __name__ == "__main__":
    make()
