"""What the runs of a sweep measured, over one of its settings. Needs no torch."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ood_lightning.data.artifacts.label_set import LabelSet
from ood_lightning.data.artifacts.quality import FILE as QUALITY
from ood_lightning.data.artifacts.quality import read_quality
from ood_lightning.errors import SettingsError
from ood_lightning.experiments.lines import Line
from ood_lightning.experiments.records import PlannedLine
from ood_lightning.metrics.results import MEAN, Estimate, Result
from ood_lightning.report.stored import read_results

RESULTS = "results.json"
POSITIVES = "positives"  # |P| of each label set
DETECTOR = "detector"  # tells lines of a figure apart, unless another setting does


class Sets(NamedTuple):
    """The pair of sets whose results are looked at.

    Attributes:
        id_set: its name; None: the first ID set of each run.
        ood_set: its name, or `mean` over all.
    """

    id_set: str | None = None
    ood_set: str = MEAN


class Point(NamedTuple):
    """A value of a measure.

    Attributes:
        line: the sweep's line that it comes from.
        settings: values of settings by their names; `detector` is one of them where detectors were measured.
        estimate: the value, and its 95 % interval if it has one.
    """

    line: str
    settings: dict[str, str]
    estimate: Estimate


def read_points(planned: Sequence[PlannedLine], measure: str, keys: Sequence[str], sets: Sets) -> list[Point]:
    """A measure of all finished lines, in their order.

    Args:
        planned: of the sweep.
        measure: a metric of `results.json`, a measure of the clusters in `quality.json`, or `positives`.
        keys: settings that are looked up for each line, beside those of a grid.
        sets: whose results are meant.

    Raises:
        SettingsError: no line is finished, or one has no such measure or setting.
    """
    finished = [line for line in planned if not line.to_run]
    if not finished:
        raise SettingsError("none of the sweep's lines is finished: run `sweep` first, with the same --out")

    points = []
    for line in finished:
        settings = {**line.line.values, **{key: _setting(line.line, key) for key in keys if key != DETECTOR}}
        folders = [step.folder for step in line.steps]
        measured = dict(_measured(folders, measure, sets))
        if not measured:
            raise SettingsError(_no_measure(line.line.name, folders, measure, sets))
        for detector, estimate in measured.items():
            of_detector = {DETECTOR: detector} if detector else {}
            points.append(Point(line.line.name, {**settings, **of_detector}, estimate))
    return points


def _setting(line: Line, key: str) -> str:
    value = line.value(key)
    if value is None:
        known = f"it has {', '.join(line.values)}" if line.values else f"no option --{key} is among its arguments"
        raise SettingsError(f"the line {line.name} has no setting {key!r}: {known}")
    return value


def _measured(folders: Sequence[Path], measure: str, sets: Sets) -> Iterator[tuple[str, Estimate]]:
    """Detectors or label sets, and their values of a measure; one without a name for all."""
    if measure == POSITIVES:
        sizes = [sizes for folder in folders if (sizes := _positives(folder))]
        yield from ((name, Estimate(n)) for name, n in (sizes[-1] if sizes else {}).items())
        return  # of the last step that has label sets: it may read those of an earlier one

    for folder in folders:
        if (folder / RESULTS).is_file():
            rows = _rows(folder, sets)
            yield from ((row.detector, row.metrics[measure]) for row in rows if measure in row.metrics)
        elif (folder / QUALITY).is_file():
            clusters = read_quality(folder)["clusters"]
            if measure in clusters:
                yield "", Estimate(float(clusters[measure]))


def _positives(folder: Path) -> Mapping[str, int]:
    """The sizes of a run's label sets by their names."""
    if (folder / QUALITY).is_file():
        return {name: words["positives"] for name, words in read_quality(folder)["label_sets"].items()}
    return {path.stem: len(LabelSet.read(path).positives) for path in sorted((folder / "labels").glob("*.json"))}


def _rows(folder: Path, sets: Sets) -> list[Result]:
    """Rows of a run for a pair of sets, one a detector; a mean is that over all sets."""
    results, _ = read_results(folder)
    id_set = sets.id_set or results[0].id_set
    rows = [row for row in results if (row.id_set, row.ood_set) == (id_set, sets.ood_set)]
    rows = [row for row in rows if sets.ood_set != MEAN or not row.group]
    return list({row.detector: row for row in rows}.values())  # a set in two groups has two rows of one result


def _no_measure(line: str, folders: Sequence[Path], measure: str, sets: Sets) -> str:
    """The refusal of a measure that a finished line does not have, with those that it has."""
    known: dict[str, None] = {}
    for folder in folders:
        if (folder / RESULTS).is_file():
            results, _ = read_results(folder)
            known |= dict.fromkeys(name for row in results for name in row.metrics)
            id_sets, ood_sets = {row.id_set: None for row in results}, {row.ood_set: None for row in results}
            if measure in known:
                asked_for = f"{sets.id_set or results[0].id_set!r} and {sets.ood_set!r}"
                return (
                    f"the line {line} has no results of {asked_for}: its ID sets are {', '.join(id_sets)}, its OOD "
                    f"sets {', '.join(ood_sets)}"
                )
        elif (folder / QUALITY).is_file():
            known |= dict.fromkeys(read_quality(folder)["clusters"])

    return f"the line {line} has no measure {measure!r}: there are {', '.join(known) or 'none'}, and {POSITIVES}"
