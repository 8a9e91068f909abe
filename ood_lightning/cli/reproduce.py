"""`reproduce` and `reproduce collect`: tables and figures of the papers by one command."""

import sys

from ood_lightning.errors import SettingsError, check_least
from ood_lightning.places import expanded

OUT = "runs/reproduce"


def reproduce(
    item: list[str],
    out: str = OUT,
    pictograms: bool = False,
    dry_run: bool = False,
    jobs: int = 1,
    slurm: str | None = None,
) -> int:
    """A table or a figure of a paper: what is missing is run, then our numbers stand beside the published ones.

    Exit status 1: some steps failed and are listed; the same command repeats them.

    Args:
        item: `PAPER:ITEM`, as `reproduce list` has them, or a YAML file of one's own.
        out: the folder of all items; steps that several need lie there once.
        pictograms: the scaled-down twin on the built-in pictures: minutes, and no comparison with the paper.
        dry_run: only print the steps as commands, and what they reuse.
        jobs: how many steps run at a time on this machine.
        slurm: a file with the site's variables, `NAME=VALUE`: submit what is missing, stage after stage.
    """
    from ood_lightning.cli.reproduce_steps import Order, print_plan, run, submit

    check_least(1, jobs=jobs)
    if len(item) != 1:
        raise SettingsError(f"{len(item)} items given: expected one, as `reproduce list` has them")
    order = Order.of(item[0], "twin" if pictograms else "full", expanded(out))
    if dry_run:
        return print_plan(order)
    return submit(order, expanded(slurm)) if slurm is not None else run(order, jobs)


def collect(folders: list[str], out: str | None = None) -> int:
    """One table over several people's results of an item; other items, protocols or rules of FPR95 are refused.

    Args:
        folders: of results, each with its `record.json`.
        out: a folder for the table as Markdown and CSV; None: it is only printed.
    """
    from ood_lightning.reproduction.collect import collected

    text, sheet = collected([expanded(folder) for folder in folders])
    sys.stdout.write(text)
    if out is not None:
        from ood_lightning.data.artifacts.files import atomic_write

        atomic_write(expanded(out) / "collected.md", text.encode())
        atomic_write(expanded(out) / "collected.csv", sheet)
    return 0
