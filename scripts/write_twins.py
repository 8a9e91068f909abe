"""Writes docs/twins/: what the twins of the papers' tables and figures gave on this machine, and in how many seconds.

    python scripts/write_twins.py [ITEM ...] [--out runs/reproduce]

Twins that are not finished in the folder are run first; finished ones are taken as they are. With items named, only
their sections and rows are written anew.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from ood_lightning.data.artifacts.files import atomic_write
from ood_lightning.report.stored import read_sheet
from ood_lightning.reproduction.item_files import PAPERS, item_names, read_item
from ood_lightning.reproduction.result import FIGURE, folder_of

PAGES = Path(__file__).parents[1] / "docs" / "twins"
TITLES = {"clustermine": "Twins of ClusterMine", "negrefine": "Twins of NegRefine"}
BESIDE = "times.json"
WARNING = """\
**None of these numbers is a result of the papers.** A twin takes an item's way through the program on the built-in
drawings: another model, other pictures, k-means in TEMI's place, fewer values of each setting. It is compared with
nothing."""
TIMES = """\
Seconds are those of a twin's steps in their last run, on one thread of two cores that did other work beside it, as if
it were the only item: steps that several need count in each. For a number that a twin has not, its table says what it
needs. `scripts/write_twins.py` writes these pages."""


def result_of(name: str, out: Path) -> Path:
    """The folder of an item's twin, run if it is not there."""
    folder = folder_of(name, "twin", out)
    if not (folder / BESIDE).is_file():
        command = [sys.executable, "-m", "ood_lightning", "reproduce", name, "--pictograms", f"--out={out}"]
        subprocess.run(command, check=True)
    return folder


def section(name: str, folder: Path) -> str:
    """A twin's result as a section of a page, its figure below the heading."""
    text = (folder / "result.md").read_text(encoding="utf-8")
    heading, _, rest = text.partition("\n\n")
    title, _, rest = rest.partition("\n\n")
    _, _, rest = rest.partition("nothing here is compared with the paper. ")  # the page says it once, above

    parts = [f"#{heading}", title, rest]
    if (folder / FIGURE).is_file():
        picture = f"{name.replace(':', '-')}.svg"
        shutil.copyfile(folder / FIGURE, PAGES / picture)
        parts.insert(2, f"![{name}, twin]({picture})")
    return "\n\n".join(part.strip() for part in parts if part.strip())


def row(name: str, folder: Path) -> str:
    """A twin's row of the table of all: seconds of its steps, and how many of its numbers it has."""
    paper, _, item = name.partition(":")
    numbers = read_sheet(folder / "result.csv")
    n_measured = sum(bool(row["ours"]) for row in numbers)
    seconds = json.loads((folder / BESIDE).read_bytes())["sum"]
    title = read_item(name).title.replace("|", "\\|")
    link = f"[{name}]({paper}.md#{paper}{item}-twin)"
    return f"| {link} | {title} | {seconds:,.0f} | {n_measured} of {len(numbers)} |"


def written(page: str, pattern: str) -> dict[str, str]:
    """What a page holds of each item: the parts that a pattern finds, by the item that it names."""
    path = PAGES / page
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return {match[1]: match[0].strip() for match in re.finditer(pattern, text, re.MULTILINE | re.DOTALL)}


def main() -> None:
    """Write the pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("items", nargs="*", help="`PAPER:ITEM`; all if none is named")
    parser.add_argument("--out", default="runs/reproduce", type=Path, help="the folder of all items")
    arguments = parser.parse_args()

    PAGES.mkdir(exist_ok=True)
    names = item_names()
    folders = {name: result_of(name, arguments.out) for name in arguments.items or names}

    rows = written("index.md", r"^\| \[([a-z]+:\w+)\][^\n]*$") | {name: row(name, one) for name, one in folders.items()}
    table = ["| item | shows | seconds | numbers |", "| --- | --- | ---: | ---: |", *(rows[name] for name in names)]
    head = f"# Twins\n\n{WARNING} How one runs a twin stands [here](../reproducing.md#twins)."
    atomic_write(PAGES / "index.md", "\n\n".join([head, "\n".join(table), f"{TIMES}\n"]).encode())

    for paper in PAPERS:
        of_paper = [name for name in names if name.startswith(f"{paper}:")]
        sections = written(f"{paper}.md", r"^## ([a-z]+:\w+), twin$.*?(?=^## |\Z)")
        sections |= {name: section(name, one) for name, one in folders.items() if name in of_paper}
        parts = [f"# {TITLES[paper]}", WARNING, *(sections[name] for name in of_paper), ""]
        atomic_write(PAGES / f"{paper}.md", "\n\n".join(parts).encode())


if __name__ == "__main__":
    main()
