"""Draws docs/rooms.svg: the rooms of the package on their floors, from the imports alone.

    python scripts/draw_rooms.py            # writes the picture anew
    python scripts/draw_rooms.py --check    # only says whether it is stale

A room stands one floor above the highest room that it imports. An arrow that follows from two others is not drawn. All
arrows stand as text in the picture's description, so that a test can compare them with the imports without drawing.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "ood_lightning"
PICTURE = ROOT / "docs" / "rooms.svg"

Arrows = dict[str, list[str]]


def arrows() -> Arrows:
    """Each room, and the rooms that its files import at run time or for types, both sorted."""
    rooms = sorted(folder.name for folder in PACKAGE.iterdir() if (folder / "__init__.py").is_file())
    imported: dict[str, set[str]] = {room: set() for room in rooms}

    for room in rooms:
        for file in (PACKAGE / room).rglob("*.py"):
            tree = ast.parse(file.read_text(encoding="utf-8"))
            modules = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
            parts = [module.split(".") for module in modules if module.startswith("ood_lightning.")]
            imported[room] |= {names[1] for names in parts if names[1] in rooms}

    return {room: sorted(imported[room] - {room}) for room in rooms}


def floors(below: Arrows) -> list[list[str]]:
    """Rooms by floor, the ground floor first.

    >>> floors({"attic": ["hall", "cellar"], "hall": ["cellar"], "cellar": []})
    [['cellar'], ['hall'], ['attic']]
    """
    height: dict[str, int] = {}

    def height_of(room: str) -> int:
        if room not in height:
            height[room] = 1 + max((height_of(other) for other in below[room]), default=-1)
        return height[room]

    return [
        [room for room in sorted(below) if height_of(room) == floor] for floor in range(1 + max(map(height_of, below)))
    ]


def without_detours(below: Arrows) -> Arrows:
    """The arrows that do not follow from others.

    >>> without_detours({"attic": ["cellar", "hall"], "hall": ["cellar"], "cellar": []})
    {'attic': ['hall'], 'hall': ['cellar'], 'cellar': []}
    """

    def reached_from(room: str) -> set[str]:
        return set(below[room]).union(*(reached_from(other) for other in below[room]))

    return {
        room: [other for other in others if not any(other in reached_from(step) for step in others)]
        for room, others in below.items()
    }


def drawn_arrows(picture: Path = PICTURE) -> Arrows | None:
    """The arrows that a picture was drawn from; None where it names none."""
    if not picture.is_file():
        return None
    match = re.search(r"<dc:description>(.*?)</dc:description>", picture.read_text(encoding="utf-8"), re.DOTALL)
    return json.loads(match[1].replace("&quot;", '"')) if match else None


def draw(below: Arrows, picture: Path = PICTURE) -> None:
    """Write the picture; the same arrows give the same bytes under one release of matplotlib."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "rooms", "svg.fonttype": "none", "font.size": 10})
    from matplotlib import pyplot

    storeys = floors(below)
    width = max(map(len, storeys))
    figure, axes = pyplot.subplots(figsize=(2.1 * width, 1.15 * len(storeys)))

    # centres of the boxes: a floor's rooms stand in the middle of the picture
    place = {
        room: (column + (width - len(rooms)) / 2, floor)
        for floor, rooms in enumerate(storeys)
        for column, room in enumerate(rooms)
    }

    for room, others in without_detours(below).items():
        for other in others:
            axes.annotate(
                "",
                xy=(place[other][0], place[other][1] + 0.22),
                xytext=(place[room][0], place[room][1] - 0.22),
                arrowprops={"arrowstyle": "->", "color": "#8899aa", "linewidth": 0.8, "shrinkA": 0, "shrinkB": 0},
            )

    for room, (x, y) in place.items():
        box = {"boxstyle": "round,pad=0.45", "facecolor": "#e8eef7", "edgecolor": "#3f51b5"}
        axes.text(x, y, room, ha="center", va="center", color="#1a2250", bbox=box, zorder=3)

    axes.set_xlim(-0.6, width - 0.4)
    axes.set_ylim(-0.5, len(storeys) - 0.5)
    axes.set_axis_off()
    figure.savefig(
        picture,
        bbox_inches="tight",
        metadata={"Date": None, "Creator": None, "Title": "Rooms of ood_lightning", "Description": json.dumps(below)},
    )
    pyplot.close(figure)


def main() -> int:
    """Draw, or check."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="end with 1 if the picture is stale; write nothing")
    below = arrows()

    if parser.parse_args().check:
        stale = drawn_arrows() != below
        print(f"{PICTURE.relative_to(ROOT)} is {'stale: python scripts/draw_rooms.py' if stale else 'up to date'}")
        return int(stale)

    draw(below)
    print(f"{PICTURE.relative_to(ROOT)}: {len(below)} rooms on {len(floors(below))} floors")
    return 0


if __name__ == "__main__":
    sys.exit(main())
