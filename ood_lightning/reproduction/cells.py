"""Numbers of finished steps, in the units that papers print. Torch is needed for other rules of FPR95 alone."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from statistics import fmean, stdev
from typing import NamedTuple

from ood_lightning.data.artifacts.label_set import LabelSet
from ood_lightning.data.artifacts.quality import FILE as QUALITY
from ood_lightning.data.artifacts.quality import read_quality
from ood_lightning.experiments.memory import FILE as MEMORY
from ood_lightning.experiments.memory import read_memory
from ood_lightning.experiments.records import read_record
from ood_lightning.functional.overlap import overlap
from ood_lightning.metrics.results import MEAN, Estimate, Result
from ood_lightning.report.stored import read_about, read_results
from ood_lightning.report.tables import OTHER, OURS
from ood_lightning.reproduction.item import Cell

FPR = "fpr95"
CHANGE = "_change"  # behind a measure: its difference from the panel's first row
DROPPED = "dropped"  # negatives that the panel's first row has and this one has not
NEGATIVES = "negatives"
MINUTES = "minutes"  # of a step's last run
PEAKS = ("memory", "gpu_memory")  # of its first process, in 10^9 bytes
STORED = {"ours": OURS, "openood": OTHER}  # rules of FPR95 that every run measures, with intervals
WORDS = ("positives", "overlap", "precision", "f1", NEGATIVES)  # of a label set; all but the first need true names
HISTOGRAMS = ("similarity", "hops")  # of a fit, where it knows true names
AS_THEY_ARE = (
    *HISTOGRAMS,
    MINUTES,
    *PEAKS,
    "positives",
    NEGATIVES,
    DROPPED,
    "label_ratio",
    "entropy",
    "redundancy",
    "asked",
    "in_use",
)
RESULTS = "results.json"
NAMES = "names"  # the label set of true names


class Measured(NamedTuple):
    """A number of ours.

    Attributes:
        estimate: the value and its 95 % interval, in percent where it is a share; None: there is none.
        missing: why there is none; empty if there is one.
        supervision: what the detector was given.
        bins: counts, where the number is the mean of a histogram.
    """

    estimate: Estimate | None
    missing: str = ""
    supervision: tuple[str, ...] = ()
    bins: tuple[int, ...] = ()


def measured(folder: Path, cell: Cell, measure: str, convention: str) -> Measured:
    """A cell's number from the folder of its step.

    Args:
        folder: of a finished step.
        cell: says which detector, label set and sets.
        measure: one of the cell's.
        convention: the rule of an FPR95.
    """
    measure = measure.removesuffix(CHANGE)
    if measure == DROPPED:
        measure = NEGATIVES
    if measure == MINUTES:
        record = read_record(folder)
        seconds = record.seconds if record else None
        return Measured(None, "needs its seconds") if seconds is None else Measured(Estimate(seconds / 60))
    if measure in PEAKS:
        return _peak(folder, measure)
    if measure in WORDS:
        return _of_words(folder, cell, measure)
    if measure in HISTOGRAMS:
        return _histogram(folder, cell, measure)
    if (folder / RESULTS).is_file():
        return _of_results(folder, cell, measure, convention)
    if not (folder / QUALITY).is_file():
        return Measured(None, f"no {RESULTS} and no {QUALITY} in {folder}")

    clusters = read_quality(folder)["clusters"]
    if measure not in clusters:
        return Measured(None, f"no {measure} in {folder / QUALITY}")
    return Measured(_in_units(Estimate(float(clusters[measure])), measure))


def _peak(folder: Path, measure: str) -> Measured:
    """The most memory that a step held."""
    memory = read_memory(folder)
    if memory is None:
        return Measured(None, f"needs {MEMORY}, which the step did not leave")
    peak = memory.process if measure == PEAKS[0] else memory.gpu
    return Measured(None, "needs a GPU") if peak is None else Measured(Estimate(peak / 1e9))


def mean_of(numbers: Sequence[Measured]) -> Measured:
    """The mean over runs and its sample standard deviation, without an interval; what one lacks the mean lacks."""
    estimates = [number.estimate for number in numbers if number.estimate]
    if len(estimates) < len(numbers):
        return next(number for number in numbers if number.estimate is None)
    values = [estimate.value for estimate in estimates]
    deviation = stdev(values) if len(values) > 1 else None
    return Measured(Estimate(fmean(values), std=deviation), "", numbers[0].supervision)


def _of_words(folder: Path, cell: Cell, measure: str) -> Measured:
    """A measure of a label set that a run made or read."""
    path = folder / "labels" / f"{cell.labels}.json"
    path = path if path.is_file() else folder / f"{cell.labels}.json"
    if not path.is_file():
        return Measured(None, f"needs the label set {cell.labels!r}, which this run has not")
    label_set = LabelSet.read(path)
    if measure == "positives":
        return Measured(Estimate(len(label_set.positives)), "", label_set.supervision)
    if measure == NEGATIVES:
        if label_set.negatives is None:
            return Measured(None, f"the negatives of {cell.labels} are the rest of the corpus")
        return Measured(Estimate(len(label_set.negatives)), "", label_set.supervision)

    names = folder / "labels" / f"{NAMES}.json"
    if not names.is_file():
        return Measured(None, "needs true names")
    value = getattr(overlap(label_set.words, LabelSet.read(names).words), measure)
    return Measured(_in_units(Estimate(value), measure), "", label_set.supervision)


def _of_results(folder: Path, cell: Cell, measure: str, convention: str) -> Measured:
    """A metric of a detector on a pair of sets."""
    ood_set, _, group = cell.ood_set.partition(" ")
    rows = [row for row in _results(folder) if row.detector == cell.detector]
    if not rows:
        reason = read_about(folder).get("not_run", {}).get(cell.detector)
        return Measured(None, reason or f"needs the detector {cell.detector!r}, which this run has not")
    of_pair = [row for row in rows if (row.id_set, row.ood_set) == (cell.id_set, ood_set)]
    of_pair = [row for row in of_pair if ood_set != MEAN or row.group == group]
    if not of_pair:
        return Measured(None, f"needs {_missing_set(rows, cell)}")

    row = of_pair[0]
    if measure != FPR:
        if measure not in row.metrics:
            return Measured(None, f"needs the metric {measure}")
        return Measured(_in_units(row.metrics[measure], measure), "", row.supervision)
    if convention in STORED:
        return Measured(_in_units(row.metrics[STORED[convention]], measure), "", row.supervision)
    if row.stream:
        return Measured(None, f"needs scores for FPR95 by the rule {convention!r}, and those of streams are not stored")
    return Measured(_by_rule(folder, rows, row, convention), "", row.supervision)


def _missing_set(rows: list[Result], cell: Cell) -> str:
    return cell.id_set if cell.id_set not in {row.id_set for row in rows} else cell.ood_set


def _by_rule(folder: Path, rows: list[Result], row: Result, convention: str) -> Estimate:
    """FPR95 by another rule, from stored scores; without an interval, which belongs to ours."""
    fprs = _fprs(folder, row.detector, convention)
    if row.ood_set != MEAN:
        return Estimate(100 * fprs[row.id_set, row.ood_set])
    members = {r.ood_set for r in rows if r.id_set == row.id_set and r.ood_set != MEAN and row.group in ("", r.group)}
    return Estimate(100 * fmean(fprs[row.id_set, name] for name in sorted(members)))


@lru_cache(maxsize=64)
def _fprs(folder: Path, detector: str, convention: str) -> Mapping[tuple[str, str], float]:
    """FPR95 by a rule on all pairs of sets of a detector."""
    from ood_lightning.report.conventions import convention_fprs

    rows = [row for row in _results(folder) if row.detector == detector]
    return {(pair[1], pair[2]): fpr for pair, fpr in convention_fprs(folder, rows, "", convention).items()}


@lru_cache(maxsize=64)
def _results(folder: Path) -> tuple[Result, ...]:
    return tuple(read_results(folder)[0])


def forget() -> None:
    """Read all files again: steps ran meanwhile."""
    _results.cache_clear()
    _fprs.cache_clear()


def _in_units(estimate: Estimate, measure: str) -> Estimate:
    """Shares in percent, all other measures as they are."""
    factor = 1 if measure in AS_THEY_ARE else 100
    scaled: Callable[[float | None], float | None] = lambda x: None if x is None else factor * x  # noqa: E731
    return Estimate(factor * estimate.value, scaled(estimate.low), scaled(estimate.high), scaled(estimate.std))


def _histogram(folder: Path, cell: Cell, measure: str) -> Measured:
    """A label set's likeness to true names, or its hops to them: the mean, and the counts of bins."""
    if not (folder / QUALITY).is_file():
        return Measured(None, f"no {QUALITY} in {folder}")
    of_set = read_quality(folder)["label_sets"].get(cell.labels, {}).get(measure)
    if not of_set or of_set["mean"] is None:
        return Measured(None, "needs true names")
    return Measured(Estimate(of_set["mean"]), "", (), tuple(of_set["bins"]))
