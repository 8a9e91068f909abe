"""An item: a table or a figure of a paper as a file, `configs/experiments/PAPER/ITEM.yaml`. Needs no torch."""

from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Annotated, ClassVar, Literal, TypeVar

import yaml

from ood_lightning.data.artifacts.typed import NOT_EMPTY, STRICT, Text, decode_plain
from ood_lightning.errors import SettingsError, first_line
from ood_lightning.experiments.grid import Value
from ood_lightning.places import shipped
from ood_lightning.text_files import read_text

T = TypeVar("T")

PAPERS = ("clustermine", "negrefine")
STAND_INS = "stand_ins.yaml"  # beside the papers' folders

Draw = Literal["bars", "shift", "curves", "histograms"]
Kind = Literal["full", "twin"]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Where a number comes from; a panel, a row and a column each say a part of it, the later one wins.

    Args:
        step: of the item whose folder holds it.
        where: values of settings, by the names that the grid gives them.
        detector: whose row of the results.
        labels: a label set's name, for measures of its words.
        measure: `auroc`, `fpr95`, `overlap`, `positives` and others; several are printed side by side.
        id_set: name of the ID set.
        ood_set: name of the OOD set, `mean` over all of the run, or `mean GROUP`.
        published: the row's name in the published numbers; empty: the paper prints none.
        variant: which of several published rows of that name.
        quoted: the paper did not measure it but quotes others.
        twin_lacks: what the twin lacks for it; empty: nothing.
        lacks: what nobody can bring to this project for it; empty: nothing.
    """

    __pydantic_config__: ClassVar = STRICT

    step: str = ""
    where: dict[str, str] = field(default_factory=dict)
    detector: str = ""
    labels: str = ""
    measure: list[str] = field(default_factory=list)
    id_set: str = ""
    ood_set: str = ""
    published: str = ""
    variant: str = ""
    quoted: bool = False
    twin_lacks: str = ""
    lacks: str = ""

    def over(self, other: "Cell") -> "Cell":
        """This cell with what the other one says beside it or instead."""
        said = {key: value for key, value in vars(other).items() if value}
        return replace(self, **{**said, "where": {**self.where, **other.where}})


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One table, or one pair of axes.

    Args:
        title: above it; a figure's panels have one each.
        cell: what all rows and columns share.
        rows: by the names that are printed.
        over: in place of rows, a setting of the grid: a row for each of its values.
        columns: by the names that are printed.
        draw: how the figure shows it; None: it is a table alone.
        label: below the axis; the setting's name if empty.
    """

    __pydantic_config__: ClassVar = STRICT

    title: str = ""
    cell: Cell = field(default_factory=Cell)
    rows: dict[str, Cell] = field(default_factory=dict)
    over: str = ""
    columns: Annotated[dict[str, Cell], NOT_EMPTY]
    draw: Draw | None = None
    label: str = ""


@dataclass(frozen=True, kw_only=True)
class Requires:
    """What the full item takes beside this project.

    Args:
        sets: cards, `NAME` or `NAME@PROTOCOL`, and `group:NAME`.
        encoders: names of `configs/encoders`.
        corpora: names of `configs/corpora`.
        files: that a person brings.
        gpu_hours: of what is neither embedding, clustering nor scoring, by what it is.
    """

    __pydantic_config__: ClassVar = STRICT

    sets: Annotated[list[str], NOT_EMPTY]
    encoders: Annotated[list[str], NOT_EMPTY]
    corpora: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    gpu_hours: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Work:
    """What is run.

    Args:
        steps: by name, `COMMAND ARGUMENTS`; `{NAME}` stands for the folder of a step, or for a setting's value.
        grid: values by the names of settings; a step runs once for each value of those that it names, or that a step
            names which it reads.
        stand_ins: of a twin, beside the shared ones: what takes the place of sets, values, detectors
            and label sets.
    """

    __pydantic_config__: ClassVar = STRICT

    steps: Annotated[dict[str, Text], NOT_EMPTY]
    grid: dict[str, list[Value] | dict[str, Value]] = field(default_factory=dict)
    stand_ins: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Item:
    """A table or a figure.

    Args:
        title: what it shows.
        note: what the paper leaves open and how the rows say it; printed with the results.
        published: where the numbers are printed, as `published.csv` calls it; empty: it prints none.
        requires: of the full item.
        full: as the paper has it.
        twin: scaled down to the built-in pictures.
        twin_note: what is smaller in the twin.
        panels: what is printed.
    """

    __pydantic_config__: ClassVar = STRICT

    title: Text
    note: str = ""
    published: str = ""
    requires: Requires
    full: Work
    twin: Work
    twin_note: str = ""
    panels: Annotated[list[Panel], NOT_EMPTY]

    def work(self, kind: Kind) -> Work:
        """The full item's work, or the twin's."""
        return self.full if kind == "full" else self.twin


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
    item = _decoded(read_text(path, "the item", SettingsError), Item, path)
    for number, panel in enumerate(item.panels):
        _check_panel(item, panel, f"{path}: panels.{number}")
    return item


def _decoded(text: str, kind: type[T], path: Path) -> T:
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        what = getattr(error, "problem", "") or first_line(error)
        raise SettingsError(f"{path}{where} is no YAML: {what}") from None
    return decode_plain(content, kind, str(path), SettingsError)


def _check_panel(item: Item, panel: Panel, where: str) -> None:
    """Refuse a panel whose cells name a step, a setting or a value that is not there."""
    if bool(panel.rows) == bool(panel.over):
        raise SettingsError(f"{where} has {'both' if panel.over else 'neither'} rows and over: expected one of the two")
    if panel.over and panel.over not in item.full.grid:
        raise SettingsError(f"{where}.over is {panel.over!r}, which full.grid does not have")

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
            if unknown := cell.where.keys() - item.full.grid.keys():
                raise SettingsError(f"{where}, {row} / {column}: where names {min(unknown)!r}, no setting of full.grid")


@cache
def shared_stand_ins() -> dict[str, str]:
    """What takes the place of published sets in all twins, by their names."""
    path = folder() / STAND_INS
    return _decoded(read_text(path, "the stand-ins", SettingsError), dict[str, str], path)


def hash_of(name: str) -> str:
    """A hash of an item's file, 16 hexadecimal digits."""
    return sha256(path_of(name).read_bytes()).hexdigest()[:16]
