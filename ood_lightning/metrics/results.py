"""One row per detector, ID set and OOD set: what tables and plots are made of. Reading rows needs no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, stdev
from typing import TYPE_CHECKING, NamedTuple

from ood_lightning.errors import SettingsError
from ood_lightning.metrics.columns import parts_of

if TYPE_CHECKING:
    from torch import Tensor

    from ood_lightning.metrics.base import Metric

MEAN = "mean"  # the ood_set of a row that averages over sets


class Estimate(NamedTuple):
    """A metric's value and how sure it is; fractions, percent only in the tables.

    Attributes:
        value: the metric.
        low: lower end of the 95 % bootstrap interval; None without one.
        high: upper end.
        std: sample standard deviation over the orders of a test stream; None without a stream and for one order.
    """

    value: float
    low: float | None = None
    high: float | None = None
    std: float | None = None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Both ends of the interval; None without one."""
        return None if self.low is None or self.high is None else (self.low, self.high)


@dataclass(frozen=True)
class Result:
    """How well one detector separates one ID set from one OOD set.

    Args:
        detector: its name in the config.
        id_set: name of the ID (or covariate-shifted ID) set.
        ood_set: name of the OOD set, or ``"mean"``.
        metrics: estimates by name, such as ``"auroc"`` and ``"fpr_ood@id_tpr95"``; treat as read-only.
        n_id: ID images scored; in a mean over streams of thinned sets, of the smallest stream.
        n_ood: OOD images scored; in a mean, of all its sets together.
        supervision: what the detector was given, such as ``("id_names", "llm")``.
        stream: whether it learned from the test stream.
        group: the sets it is averaged with, such as ``"near"``; empty if none.
        recipe: hash of the label set or settings that the scores were made with.
        orders: random orders of the test stream that the metrics are means over; None without a stream.
        resamples: bootstrap resamples behind the intervals; None without intervals.
    """

    detector: str
    id_set: str
    ood_set: str
    metrics: Mapping[str, Estimate] = field(hash=False)
    n_id: int
    n_ood: int
    supervision: tuple[str, ...] = ()
    stream: bool = False
    group: str = ""
    recipe: str = ""
    orders: int | None = None
    resamples: int | None = None

    @property
    def kind(self) -> tuple[str, str, str, tuple[str, ...], bool]:
        """Rows of one kind differ in their OOD set alone, and have a mean."""
        return self.detector, self.id_set, self.recipe, self.supervision, self.stream


def evaluate(
    detector: str,
    id_set: str,
    ood_set: str,
    id_scores: Tensor,
    ood_scores: Tensor,
    *,
    supervision: Sequence[str] = (),
    stream: bool = False,
    group: str = "",
    recipe: str = "",
    metrics: Mapping[str, Metric] | None = None,
) -> Result:
    """Every metric of one pair of sets.

    Args:
        detector: its name.
        id_set: name of the ID set.
        ood_set: name of the OOD set.
        id_scores: raw, finite, shape ``(n_id,)``; higher = more in-distribution.
        ood_scores: same scale, shape ``(n_ood,)``.
        supervision: see :class:`Result`, as the three below.
        stream: whether the detector learned from the test stream.
        group: sets averaged together.
        recipe: hash.
        metrics: what to compute, by name; the standard five if None.

    Raises:
        EmptySideError: if either side holds no scores.
        NotFiniteScoresError: if a score is NaN or infinite.
        SettingsError: if a metric gives something else than one finite number.
    """
    import torch

    from ood_lightning.functional.ranked import RankedScores
    from ood_lightning.metrics.standard import STANDARD, ROCMetric

    ranked = RankedScores.of(id_scores, ood_scores)  # sorted once for the standard metrics
    estimates = {}
    for name, metric in (STANDARD if metrics is None else metrics).items():
        computed = metric.of_ranked(ranked) if isinstance(metric, ROCMetric) else metric(id_scores, ood_scores)
        value = torch.as_tensor(computed, dtype=torch.float64)
        if value.numel() != 1 or not value.isfinite().all():
            raise SettingsError(
                f"metric {name!r} gave {value.tolist()} for {detector!r} on {id_set!r} and {ood_set!r}: expected one "
                f"finite number, a fraction"
            )
        estimates[name] = Estimate(float(value))

    return Result(
        detector=detector,
        id_set=id_set,
        ood_set=ood_set,
        metrics=estimates,
        n_id=len(id_scores),
        n_ood=len(ood_scores),
        supervision=tuple(supervision),
        stream=stream,
        group=group,
        recipe=recipe,
    )


def over_orders(results: Sequence[Result]) -> Result:
    """One row from a row per order of a test stream: means, and where there are two orders or more their deviations."""
    metrics = {}
    for name in results[0].metrics:
        values = [result.metrics[name].value for result in results]
        with_deviation = len(values) > 1 and "std" in parts_of(name)
        metrics[name] = Estimate(fmean(values), std=stdev(values) if with_deviation else None)

    return replace(results[0], orders=len(results), metrics=metrics)


def means(results: Iterable[Result]) -> list[Result]:
    """Unweighted means over OOD sets; sets are never pooled, so a large one counts as much as a small one.

    Per detector and ID set (and recipe, supervision, stream): one row for each named group, then one over all sets,
    whose ``group`` is empty. A set listed in two groups counts once in the latter.

    Args:
        results: rows of single OOD sets. Earlier means may be among them: they are not averaged again, but one whose
            values still hold is returned with its intervals, which do not follow from those of the single sets.

    Returns:
        Rows with ``ood_set`` ``"mean"``, in order of first appearance; ``n_ood`` is the sum.

    Raises:
        ValueError: if one set comes with two different results, or the ID counts differ.
    """
    results = list(results)
    earlier = {_values_alone(result): result for result in results if result.ood_set == MEAN}
    tables: dict[tuple[object, ...], list[Result]] = {}
    for result in single(results):
        tables.setdefault(result.kind, []).append(result)

    rows: list[Result] = []
    for table in tables.values():
        groups = dict.fromkeys(result.group for result in table if result.group)
        rows += [_mean([result for result in table if result.group == group], group) for group in groups]
        rows.append(_mean(table, ""))

    return [earlier.get(row, row) for row in rows]


def single(results: Iterable[Result]) -> list[Result]:
    """Rows of single OOD sets, without means."""
    return [result for result in results if result.ood_set != MEAN]


def _values_alone(result: Result) -> Result:
    """A row without what the rows of single sets do not determine: intervals and deviations."""
    metrics = {name: Estimate(estimate.value) for name, estimate in result.metrics.items()}
    return replace(result, metrics=metrics, resamples=None)


def _mean(table: list[Result], group: str) -> Result:
    sets: dict[str, Result] = {}
    for result in table:
        result = replace(result, group=group)
        where = f"{result.detector!r} on {result.id_set!r}"
        if sets.setdefault(result.ood_set, result) != result:
            raise ValueError(f"{where} has two different results for {result.ood_set!r}: keep one")
        if result.n_id != table[0].n_id and not result.stream:  # a stream may leave images out to keep its mixture
            raise ValueError(f"{where} counts {table[0].n_id} ID images in one row and {result.n_id} in another")

    rows = list(sets.values())
    in_all = [name for name in rows[0].metrics if all(name in row.metrics for row in rows)]
    return replace(
        rows[0],
        ood_set=MEAN,
        metrics={name: Estimate(fmean(row.metrics[name].value for row in rows)) for name in in_all},
        n_id=min(row.n_id for row in rows),
        n_ood=sum(row.n_ood for row in rows),
        resamples=None,
    )
