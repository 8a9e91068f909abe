"""An item: a table or a figure of a paper. Needs no torch."""

from dataclasses import dataclass, field, replace
from typing import Annotated, ClassVar, Literal

from ood_lightning.data.artifacts.typed import NOT_EMPTY, STRICT, Text
from ood_lightning.experiments.grid import Value

Draw = Literal["bars", "shift", "curves", "histograms"]
Kind = Literal["full", "twin"]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Where a number comes from; a panel, a row and a column each say a part of it, the later one wins.

    Args:
        step: of the item whose folder holds it.
        where: values of settings, by the names that the grid gives them.
        mean_over: a setting over whose values the number is the mean; empty: none.
        detector: whose row of the results.
        labels: a label set's name, for measures of its words.
        measure: `auroc`, `fpr95`, `overlap`, `positives` and others; several are printed side by side.
        id_set: name of the ID set.
        ood_set: name of the OOD set, `mean` over all of the run, or `mean GROUP`.
        published: the row's name in the published numbers; empty: the paper prints none.
        variant: which of several published rows of that name.
        table: where that row is printed, if it is not the item's own place.
        quoted: the paper did not measure it but quotes others.
        twin_lacks: what the twin lacks for it; empty: nothing.
        lacks: what nobody can bring to this project for it; empty: nothing.
    """

    __pydantic_config__: ClassVar = STRICT

    step: str = ""
    where: dict[str, str] = field(default_factory=dict)
    mean_over: str = ""
    detector: str = ""
    labels: str = ""
    measure: list[str] = field(default_factory=list)
    id_set: str = ""
    ood_set: str = ""
    published: str = ""
    variant: str = ""
    table: str = ""
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
        sort_by: a column by whose values the rows are sorted, the lowest first; empty: they stand as they are given.
        columns: by the names that are printed.
        draw: how the figure shows it; None: it is a table alone.
        label: below the axis; the setting's name if empty.
    """

    __pydantic_config__: ClassVar = STRICT

    title: str = ""
    cell: Cell = field(default_factory=Cell)
    rows: dict[str, Cell] = field(default_factory=dict)
    over: str = ""
    sort_by: str = ""
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
        judges: names of `configs/judges`, chat models of the hub.
        files: that a person brings.
        gpu_hours: of what is neither embedding, clustering nor scoring, by what it is.
    """

    __pydantic_config__: ClassVar = STRICT

    sets: Annotated[list[str], NOT_EMPTY]
    encoders: Annotated[list[str], NOT_EMPTY]
    corpora: list[str] = field(default_factory=list)
    judges: list[str] = field(default_factory=list)
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
