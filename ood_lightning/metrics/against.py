"""Every detector against a chosen one, on the same resamples; detectors that learn from the test stream too."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ood_lightning.metrics.intervals import seeds_of
from ood_lightning.metrics.results import MEAN, Estimate, Result, means

if TYPE_CHECKING:
    from torch import Tensor

PairScores = Mapping[tuple[str, str, str], tuple["Tensor", "Tensor"]]  # by detector, ID set and OOD set


@dataclass(frozen=True)
class Difference:
    """Of a mean AUROC from a reference's, fractions.

    Args:
        value: detector minus reference.
        low: lower end of its 95 % bootstrap interval.
        high: upper end.
        p_value: two-sided, paired, not corrected for the number of comparisons.
    """

    value: float
    low: float
    high: float
    p_value: float


@dataclass(frozen=True)
class Against:
    """A detector's means over the OOD sets, and how far it is from each reference.

    Args:
        detector: its name.
        id_set: name of the ID set.
        supervision: what it was given.
        stream: whether it learned from the test stream.
        auroc: with its 95 % bootstrap interval.
        fpr: `fpr_ood@id_tpr95`, with its interval.
        differences: by reference; none to itself.
        resamples: bootstrap resamples behind intervals and p-values; no p-value is below 2 / (resamples + 1).
    """

    detector: str
    id_set: str
    supervision: tuple[str, ...]
    stream: bool
    auroc: Estimate
    fpr: Estimate
    differences: Mapping[str, Difference]
    resamples: int

    def row(self) -> dict[str, Any]:
        """As plain data, with the parts of each number by name."""
        return {**asdict(self), "auroc": self.auroc._asdict(), "fpr": self.fpr._asdict()}


def compared_with(
    results: Sequence[Result],
    scores: Mapping[str, Tensor],
    detectors: Sequence[str],
    streams: PairScores,
    references: Sequence[str],
    resamples: int = 1000,
    seed: int = 0,
    on_progress: Callable[[int], object] = lambda n: None,
) -> list[Against]:
    """Means, intervals and differences of all detectors on the first ID set.

    A resample draws images of each set, the same for all detectors. A stream is not run again on them: its images keep
    the scores that they had, in each order, and its AUROC on a resample is the mean over the orders. So its interval
    does not say what other images would have taught it.

    Args:
        results: rows of single OOD sets.
        scores: of each set by its name, shape (n, K), of the detectors without a stream.
        detectors: names of the K columns.
        streams: scores of the others in every order, (n_id, orders) and (n_ood, orders), in the order of the sets.
            Where a stream had not all images of a set, the detector is left out.
        references: names of detectors without a stream.
        resamples: R, how many.
        seed: of all draws; with the same seed as :func:`ood_lightning.metrics.intervals.bootstrap` the same ones.
        on_progress: called with the number of resamples of a set or pair that are done since the last call.

    Returns:
        One for each detector, sorted by its supervision, in the order of the results where it is the same.

    Raises:
        ValueError: a reference is none of the detectors that were run.
    """
    from ood_lightning.functional.bootstrap import resampled

    id_set = results[0].id_set
    rows = [row for row in means([result for result in results if result.id_set == id_set]) if not row.group]
    ood_sets = list(dict.fromkeys(row.ood_set for row in results if row.id_set == id_set and row.ood_set != MEAN))
    if unknown := set(references) - {row.detector for row in rows if not row.stream}:
        raise ValueError(
            f"{', '.join(sorted(unknown))} is no detector that was run and scores each image alone; there are "
            f"{', '.join(detectors)}"
        )

    def drawn(ids: Tensor, oods: Sequence[Tensor], names: Sequence[str]) -> list[Tensor]:
        seeds = seeds_of(seed, (id_set, *names))
        both = resampled(ids, oods, seeds, resamples=resamples, on_progress=on_progress)[:2]
        return [metric.mean(dim=1) for metric in both]  # (R, S, K) -> (R, K)

    static = drawn(scores[id_set], [scores[name] for name in ood_sets], ood_sets)
    of_each = {name: [metric[:, column] for metric in static] for column, name in enumerate(detectors)}
    for row in rows:
        pairs = [streams.get((row.detector, id_set, name)) for name in ood_sets]
        whole = [pair for pair in pairs if pair is not None and len(pair[0]) == len(scores[id_set])]
        if row.stream and len(whole) == len(ood_sets):
            by_set = [drawn(ids, [oods], [name]) for (ids, oods), name in zip(whole, ood_sets, strict=True)]
            of_each[row.detector] = [_mean_over_sets_and_orders(metric) for metric in zip(*by_set, strict=True)]

    compared = [_row(row, of_each, references, rows, resamples) for row in rows if row.detector in of_each]
    return sorted(compared, key=lambda one: (len(one.supervision), one.supervision))


def _mean_over_sets_and_orders(by_set: Sequence[Tensor]) -> Tensor:
    """Of (R, orders) for each set, (R,)."""
    import torch

    return torch.stack([of_set.mean(dim=1) for of_set in by_set]).mean(dim=0)


def _row(
    row: Result, of_each: Mapping[str, Sequence[Tensor]], references: Sequence[str], rows: Sequence[Result], n: int
) -> Against:
    from ood_lightning.functional.bootstrap import interval, paired_p_value

    values = {one.detector: one.metrics["auroc"].value for one in rows}
    auroc, fpr = of_each[row.detector]
    differences = {
        name: Difference(
            values[row.detector] - values[name],
            *interval(auroc - of_each[name][0]),
            paired_p_value(auroc, of_each[name][0]),
        )
        for name in references
        if name != row.detector
    }
    of_auroc, of_fpr = (
        Estimate(row.metrics[metric].value, *interval(resampled_values), std=row.metrics[metric].std)
        for metric, resampled_values in (("auroc", auroc), ("fpr_ood@id_tpr95", fpr))
    )
    return Against(row.detector, row.id_set, row.supervision, row.stream, of_auroc, of_fpr, differences, n)
