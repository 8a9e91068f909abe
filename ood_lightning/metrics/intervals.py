"""Bootstrap intervals of rows and of their means, and label-free against names-based detectors, from raw scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING

from ood_lightning.metrics.results import Result, means
from ood_lightning.progress import bar

if TYPE_CHECKING:
    from torch import Tensor

    from ood_lightning.functional.bootstrap import Resampled

NAME_SUPERVISION = frozenset({"id_names", "ood_names", "id_labels"})  # what a label-free detector was not given
RESAMPLED = ("auroc", "fpr_ood@id_tpr95", "fpr_id@ood_tpr95")  # in the order of functional.bootstrap.Resampled
PATIENCE_S = 3.0  # quicker work shows no bar


@dataclass(frozen=True)
class Comparison:
    """A label-free and a names-based detector on the same resamples: means of the AUROC over all OOD sets.

    Args:
        id_set: name of the ID set.
        label_free: detector that was given neither names nor labels.
        names_based: detector that was given some.
        difference: AUROC of the former less that of the latter, a fraction.
        difference_low: lower end of its 95 % bootstrap interval.
        difference_high: upper end.
        p_value: two-sided, paired, not corrected for the number of comparisons.
        resamples: behind it; no p-value is below 2 / (resamples + 1).
    """

    id_set: str
    label_free: str
    names_based: str
    difference: float
    difference_low: float
    difference_high: float
    p_value: float
    resamples: int


def bootstrap(
    results: Sequence[Result],
    scores: Mapping[str, Tensor],
    detectors: Sequence[str],
    resamples: int = 1000,
    seed: int = 0,
) -> tuple[list[Result], list[Comparison]]:
    """Intervals of single sets and of means, and p-values; the same for the same scores, anywhere.

    Each set's draws come from the seed, its name and its size. Detectors that learn from the test stream are left as
    they are: the scores of one stream hang together, and their tables tell the spread over orders.

    Args:
        results: rows of single OOD sets.
        scores: of each set by name, shape (n, K); of detectors without a stream.
        detectors: names of the K columns.
        resamples: R.
        seed: of all draws.

    Returns:
        The rows in their order with intervals, then their means; and the comparisons.
    """
    from ood_lightning.functional.bootstrap import resampled

    static = [result for result in results if not result.stream]
    id_sets = list(dict.fromkeys(result.id_set for result in static))
    bounded: dict[Result, Result] = {}
    averaged: list[Result] = []
    comparisons: list[Comparison] = []
    with bar(len(id_sets) * resamples, "bootstrap", "resample", delay_s=PATIENCE_S) as watched:
        for id_set in id_sets:
            mine = [result for result in static if result.id_set == id_set]
            ood_sets = list(dict.fromkeys(result.ood_set for result in mine))
            found = resampled(
                scores[id_set],
                [scores[name] for name in ood_sets],
                [_seed(seed, name) for name in (id_set, *ood_sets)],
                resamples=resamples,
                on_progress=watched.update,
            )
            overall: list[tuple[Result, Tensor]] = []
            for row in mine:
                one = _over(found, [ood_sets.index(row.ood_set)], detectors.index(row.detector))
                bounded[row] = _bounded(row, one)
            for mean in means(mine):
                among = {r.ood_set for r in mine if r.kind == mean.kind and mean.group in ("", r.group)}
                sets = [i for i, name in enumerate(ood_sets) if name in among]
                one = _over(found, sets, detectors.index(mean.detector))
                averaged.append(_bounded(mean, one))
                if not mean.group:
                    overall.append((mean, one[0]))
            comparisons += _comparisons(overall)
    rows = [bounded.get(result, result) for result in results]
    return [*rows, *means([*rows, *averaged])], comparisons


def _over(found: Resampled, sets: list[int], detector: int) -> list[Tensor]:
    """Each metric's resamples, shape (R,), as means over some OOD sets."""
    return [metric[:, sets, detector].mean(1) for metric in found]


def _bounded(row: Result, values: list[Tensor]) -> Result:
    """The row with intervals of the three metrics that are resampled; the others keep their bare values."""
    from ood_lightning.functional.bootstrap import interval

    metrics = dict(row.metrics)
    for name, drawn in zip(RESAMPLED, values, strict=True):
        low, high = interval(drawn)
        metrics[name] = metrics[name]._replace(low=low, high=high)

    return replace(row, metrics=metrics, resamples=len(values[0]))


def _comparisons(overall: list[tuple[Result, Tensor]]) -> list[Comparison]:
    """Each label-free detector against each that was given names or labels."""
    from ood_lightning.functional.bootstrap import interval, paired_p_value

    return [
        Comparison(
            free.id_set,
            free.detector,
            told.detector,
            free.metrics["auroc"].value - told.metrics["auroc"].value,
            *interval(of_free - of_told),
            paired_p_value(of_free, of_told),
            len(of_free),
        )
        for free, of_free in overall
        if NAME_SUPERVISION.isdisjoint(free.supervision)
        for told, of_told in overall
        if not NAME_SUPERVISION.isdisjoint(told.supervision)
    ]


def _seed(seed: int, name: str) -> int:
    """A seed of a set's own; 48 bits."""
    return int.from_bytes(sha256(f"{seed}/{name}".encode()).digest()[:6])
