"""Items as files, `configs/experiments/PAPER/ITEM.yaml`: found, read and checked. Needs no torch."""

from difflib import get_close_matches
from functools import cache
from hashlib import sha256
from pathlib import Path

from ood_lightning.data.artifacts.typed import decode_yaml
from ood_lightning.errors import SettingsError
from ood_lightning.places import shipped
from ood_lightning.reproduction.item import Cell, Item, Panel
from ood_lightning.text_files import read_text

PAPERS = ("clustermine", "negrefine")
STAND_INS = "stand_ins.yaml"  # beside the papers' folders


def folder() -> Path:
    """Where items lie."""
    return shipped("configs") / "experiments"


def item_names() -> list[str]:
    """`PAPER:ITEM` of all shipped items: tables, then figures, then others, by their numbers."""
    names = [f"{paper}:{path.stem}" for paper in PAPERS for path in (folder() / paper).glob("*.yaml")]
    return sorted(names, key=_place)


def _place(name: str) -> tuple[int, int, int, str]:
    paper, _, item = name.partition(":")
    kind = item.rstrip("0123456789")
    number = item.removeprefix(kind)
    kinds = ("table", "figure")
    return PAPERS.index(paper), kinds.index(kind) if kind in kinds else 2, int(number or 0), item


def path_of(name: str) -> Path:
    """The file of an item.

    Args:
        name: `PAPER:ITEM` of a shipped one, or the path of a YAML file of one's own.

    Raises:
        SettingsError: there is none; names similar ones.
    """
    if name.endswith((".yaml", ".yml")):
        return Path(name)
    names = item_names()
    if name not in names:
        similar = get_close_matches(name, names, n=3)
        hint = f"; did you mean {' or '.join(similar)}?" if similar else ": `reproduce list` has them all"
        raise SettingsError(f"there is no item {name!r}{hint}")
    paper, _, item = name.partition(":")
    return folder() / paper / f"{item}.yaml"


def read_item(name: str) -> Item:
    """An item, checked: what its rows name is there.

    Args:
        name: see :func:`path_of`.

    Raises:
        SettingsError: there is none, or its file is none; names the field.
    """
    path = path_of(name)
    item = decode_yaml(read_text(path, "the item", SettingsError), Item, str(path), SettingsError)
    for number, panel in enumerate(item.panels):
        _check_panel(item, panel, f"{path}: panels.{number}")
    return item


def _check_panel(item: Item, panel: Panel, where: str) -> None:
    """Refuse a panel whose cells name a step, a setting or a value that is not there."""
    if bool(panel.rows) == bool(panel.over):
        raise SettingsError(f"{where} has {'both' if panel.over else 'neither'} rows and over: expected one of the two")
    if panel.over and panel.over not in item.full.grid:
        raise SettingsError(f"{where}.over is {panel.over!r}, which full.grid does not have")

    if panel.sort_by and panel.sort_by not in panel.columns:
        raise SettingsError(f"{where}.sort_by is {panel.sort_by!r}: expected one of {', '.join(panel.columns)}")

    rows = panel.rows or {f"over {panel.over}": Cell()}
    for row, of_row in rows.items():
        for column, of_column in panel.columns.items():
            cell = panel.cell.over(of_row).over(of_column)
            if not cell.lacks and cell.step not in item.full.steps:
                raise SettingsError(
                    f"{where}, {row} / {column}: step is {cell.step!r}, and full.steps has {', '.join(item.full.steps)}"
                )
            if not cell.measure:
                raise SettingsError(f"{where}, {row} / {column} has no measure: expected auroc, fpr95 or others")
            settings = {*cell.where, *filter(None, [cell.mean_over])}
            if unknown := settings - item.full.grid.keys():
                raise SettingsError(f"{where}, {row} / {column} names {min(unknown)!r}, no setting of full.grid")


@cache
def shared_stand_ins() -> dict[str, str]:
    """What takes the place of published sets in all twins, by their names."""
    path = folder() / STAND_INS
    return decode_yaml(read_text(path, "the stand-ins", SettingsError), dict[str, str], str(path), SettingsError)


def hash_of(name: str) -> str:
    """A hash of an item's file, 16 hexadecimal digits."""
    return sha256(path_of(name).read_bytes()).hexdigest()[:16]
