"""The numbers of an item, each beside the published one. Needs no torch."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import NamedTuple

from ood_lightning.experiments.grid import Value, named_values
from ood_lightning.metrics.results import Estimate
from ood_lightning.reproduction.cells import CHANGE, DROPPED, FPR, Measured, mean_of, measured
from ood_lightning.reproduction.entry import Entry
from ood_lightning.reproduction.item import Cell, Item, Kind, Panel
from ood_lightning.reproduction.item_files import shared_stand_ins
from ood_lightning.reproduction.plan import Run, is_done
from ood_lightning.reproduction.published import Place, Published, published

OUR_CONVENTION = "ours"


class Steps(NamedTuple):
    """What is known of an item's steps.

    Attributes:
        runs: all of them.
        out: the folder of steps.
        failed: names of lines that were run and failed.
    """

    runs: Sequence[Run]
    out: Path
    failed: frozenset[str] = frozenset()


def entries(item: Item, paper: str, kind: Kind, steps: Steps) -> list[Entry]:
    """All numbers of an item in the order in which they are printed.

    Args:
        item: of a paper.
        paper: its name in the published numbers.
        kind: full, or a twin, which is compared with nothing.
        steps: finished ones, and others, whose rows read `not run`.
    """
    stand_ins = {**shared_stand_ins(), **item.twin.stand_ins} if kind == "twin" else {}
    numbers: list[Entry] = []

    for number, panel in enumerate(item.panels):
        of_panel = [
            _entry(
                number,
                (_label(row, of_row, stand_ins), _label(column, of_column, stand_ins)),
                cell,
                measure,
                (item, paper, kind),
                steps,
                stand_ins,
            )
            for row, of_row in rows_of(item, panel, kind).items()
            for column, of_column in panel.columns.items()
            for cell in [panel.cell.over(of_row).over(of_column)]
            for measure in cell.measure
        ]
        of_panel = list(_with_changes(of_panel))
        if panel.sort_by:
            of_panel = _sorted(of_panel, _label(panel.sort_by, panel.columns[panel.sort_by], stand_ins))
        numbers += of_panel
    return numbers


def _sorted(numbers: Sequence[Entry], column: str) -> list[Entry]:
    """Rows by a column's first measure, the lowest first; those that were not run behind them, in their own order."""
    values: dict[str, float] = {}
    for entry in numbers:
        if entry.column == column:
            values.setdefault(entry.row, entry.ours.value if entry.ours else inf)
    return sorted(numbers, key=lambda entry: values[entry.row])


def _label(name: str, cell: Cell, stand_ins: Mapping[str, str]) -> str:
    """A row's or a column's name; in a twin it tells what stands in its place."""
    named = [cell.id_set, cell.ood_set, cell.detector, *cell.where.values()]
    in_place = [stand_ins[one] for one in named if one in stand_ins]
    return f"{', '.join(in_place)} for {name}" if in_place else name


def title_of(item: Item, panel: Panel, kind: Kind) -> str:
    """A panel's title; in a twin it tells what stands in the place of its settings' values."""
    if kind == "full" or not panel.title:
        return panel.title
    stand_ins = {**shared_stand_ins(), **item.twin.stand_ins}
    return _label(panel.title, Cell(where=panel.cell.where), stand_ins)


def rows_of(item: Item, panel: Panel, kind: Kind) -> dict[str, Cell]:
    """The rows of a panel: its own, or one for each value of a setting.

    A twin has values of its own; those of the full item that are names and that it has not are rows too, which are not
    run.
    """
    if panel.rows:
        return panel.rows
    values = _names_of(item.work(kind).grid.get(panel.over, []))
    if kind == "twin":
        in_place = {**shared_stand_ins(), **item.twin.stand_ins}
        full = _names_of(item.full.grid[panel.over])
        values += [name for name in full if name not in values and name not in in_place and not _is_number(name)]
    return {name: Cell(where={panel.over: name}) for name in values}


def _names_of(values: list[Value] | dict[str, Value]) -> list[str]:
    return list(named_values("setting", values, Path("item"))) if values else []


def _is_number(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True


def _entry(
    panel: int,
    position: tuple[str, str],
    cell: Cell,
    measure: str,
    of_item: tuple[Item, str, Kind],
    steps: Steps,
    stand_ins: Mapping[str, str],
) -> Entry:
    item, paper, kind = of_item
    known = _published(item, paper, cell, measure) if kind == "full" else None
    convention = (known.convention if known else _convention_of(item, paper)) if measure.startswith(FPR) else ""

    here = _in_place(cell, stand_ins)
    value = _value(here, cell, measure, convention or OUR_CONVENTION, kind, steps)
    return Entry(
        panel,
        *position,
        measure,
        value.estimate,
        value.missing,
        known.value if known else None,
        convention,
        cell.quoted,
        value.supervision,
        value.bins,
    )


def _in_place(cell: Cell, stand_ins: Mapping[str, str]) -> Cell:
    """A cell of a twin: the sets, values and detectors that take the place of the published ones."""
    here = Cell(
        where={key: stand_ins.get(value, value) for key, value in cell.where.items()},
        detector=stand_ins.get(cell.detector, cell.detector),
        labels=stand_ins.get(cell.labels, cell.labels),
        id_set=stand_ins.get(cell.id_set, cell.id_set),
        ood_set=stand_ins.get(cell.ood_set, cell.ood_set),
    )
    return cell.over(here)


def _published(item: Item, paper: str, cell: Cell, measure: str) -> Published | None:
    if not cell.published:
        return None
    of_sets = ("", "") if measure not in (FPR, "auroc", f"{FPR}{CHANGE}") else (cell.id_set, cell.ood_set)
    table = cell.table or item.published
    return published().get(Place(paper, table, cell.published, cell.variant, *of_sets, measure))


def _convention_of(item: Item, paper: str) -> str:
    """The rule of FPR95 that most numbers of an item's table have; ours where it prints none."""
    rules = [n.convention for key, n in published().items() if key[:2] == (paper, item.published) and n.convention]
    return max(rules, key=rules.count) if rules else OUR_CONVENTION


def _value(here: Cell, cell: Cell, measure: str, convention: str, kind: Kind, steps: Steps) -> Measured:
    """The number of a cell, or why there is none."""
    if cell.lacks or (kind == "twin" and cell.twin_lacks):
        return Measured(None, f"needs {cell.lacks or cell.twin_lacks}")
    runs = [run for run in steps.runs if run.step == here.step]
    if not runs:
        return Measured(None, f"needs the step {here.step}, which the twin has not")
    of_values = [run for run in runs if all(run.where.get(key, value) == value for key, value in here.where.items())]
    if not of_values:
        have = {key: {run.where.get(key) for run in runs} for key in here.where}
        lacking = [value for key, value in here.where.items() if value not in have[key]]
        return Measured(None, f"needs {', '.join(lacking)}")

    if cell.mean_over:
        return mean_of([_of_run(run, here, measure, convention, steps) for run in of_values])
    return _of_run(of_values[0], here, measure, convention, steps)


def _of_run(run: Run, here: Cell, measure: str, convention: str, steps: Steps) -> Measured:
    """The number of a cell from one of its step's runs."""
    if run.line.name in steps.failed:
        return Measured(None, f"{run.step} failed: {run.line.folder(steps.out, run.line.steps[0]) / 'sweep.log'}")
    folder = steps.out / run.line.name
    if not is_done(folder):
        return Measured(None, f"needs {run.step}, which is not finished: {folder}")
    return measured(folder, here, measure, convention)


def _with_changes(numbers: Sequence[Entry]) -> Iterator[Entry]:
    """Entries whose measure is a difference from the panel's first row, subtracted."""
    first: dict[tuple[str, str], Entry] = {}
    for entry in numbers:
        base = first.setdefault((entry.column, entry.measure), entry)
        is_change = entry.measure.endswith(CHANGE) or entry.measure == DROPPED
        if not is_change or entry.ours is None:
            yield entry
        elif base.ours is None:
            yield replace(entry, ours=None, missing=f"needs {base.row} to compare with")
        else:
            sign = -1 if entry.measure == DROPPED else 1
            yield replace(entry, ours=Estimate(sign * (entry.ours.value - base.ours.value)))
