"""Writes an item's result: tables, figure, record. Needs torch for the rules of FPR95 alone."""

from collections.abc import Sequence
from pathlib import Path

from ood_lightning.data.artifacts.files import atomic_write
from ood_lightning.reproduction import latex, record, tables
from ood_lightning.reproduction.cells import forget
from ood_lightning.reproduction.entries import Steps, entries
from ood_lightning.reproduction.entry import Entry
from ood_lightning.reproduction.figures import drawn
from ood_lightning.reproduction.item import Item, Kind
from ood_lightning.reproduction.item_files import hash_of

FIGURE = "figure.svg"


def folder_of(name: str, kind: Kind, out: Path) -> Path:
    """Where an item's result lies: `OUT/clustermine-table1`, `OUT/clustermine-table1-twin`."""
    stem = Path(name).stem if name.endswith((".yaml", ".yml")) else name.replace(":", "-")
    return out / (stem if kind == "full" else f"{stem}-twin")


def paper_of(name: str) -> str:
    """The paper in whose published numbers an item's are looked for."""
    return Path(name).parent.name if name.endswith((".yaml", ".yml")) else name.partition(":")[0]


def write(name: str, item: Item, kind: Kind, steps: Steps, out: Path) -> tuple[Path, list[Entry]]:
    """Write all files of an item's result; the same steps give the same bytes but for `times.json`.

    Args:
        name: of the item.
        item: itself.
        kind: full, or a twin.
        steps: what ran.
        out: the folder of all items.

    Returns:
        The result's folder, and its numbers.
    """
    forget()
    numbers = entries(item, paper_of(name), kind, steps)
    folder = folder_of(name, kind, out)
    title = name if kind == "full" else f"{name}, twin"

    atomic_write(folder / "result.md", tables.markdown(title, item, numbers, kind).encode())
    atomic_write(folder / "result.tex", latex.latex(item, numbers, kind).encode())
    atomic_write(folder / "result.csv", tables.sheet(numbers))
    if (figure := drawn(item, numbers, kind)) is not None:
        atomic_write(folder / FIGURE, figure.encode())
    made = record.record_of(name, kind, hash_of(name), numbers, steps.runs, steps.out)
    record.write(folder, made, steps.runs, steps.out)  # last: where it is, the rest is too
    return folder, numbers


def counted(numbers: Sequence[Entry]) -> str:
    """How many numbers there are, and how many were compared, in words."""
    ran = [entry for entry in numbers if entry.ours is not None]
    verdicts = [entry.verdict for entry in numbers if entry.verdict]
    text = f"{len(ran)} of {len(numbers)} numbers measured"
    if verdicts:
        text += "; " + ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in dict.fromkeys(verdicts))
    return text
