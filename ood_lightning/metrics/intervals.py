"""Bootstrap intervals of rows and of their means, and label-free against names-based detectors, from raw scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, ClassVar

from ood_lightning.metrics.results import MEAN, Result, means
from ood_lightning.progress import bar

if TYPE_CHECKING:
    from torch import Tensor

    from ood_lightning.functional.bootstrap import Resampled

NAME_SUPERVISION = frozenset({"id_names", "ood_names", "id_labels"})  # what a label-free detector was not given
RESAMPLED = ("auroc", "fpr_ood@id_tpr95", "fpr_id@ood_tpr95")  # in the order of functional.bootstrap.Resampled
PATIENCE_S = 3.0  # quicker work shows no progress bar


@dataclass(frozen=True)
class Comparison:
    """A label-free and a names-based detector on the same resamples: means of the AUROC over all OOD sets.

    Args:
        id_set: name of the ID set.
        label_free: detector that was given neither names nor labels.
        names_based: detector that was given names or labels.
        difference: AUROC of the former minus that of the latter, a fraction.
        difference_low: lower end of its 95 % bootstrap interval.
        difference_high: upper end.
        p_value: two-sided, paired, not corrected for the number of comparisons.
        resamples: bootstrap resamples behind it; no p-value is below 2 / (resamples + 1).
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}  # a row of `results.json` has these columns and no others

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
    on_drawn: Callable[[str, list[str], Resampled], object] = lambda id_set, ood_sets, drawn: None,
) -> tuple[list[Result], list[Comparison]]:
    """Intervals of single sets and of means, and p-values; the same for the same scores, on any machine.

    Each set's draws depend on the seed, its name and its size. Rows of detectors that learn from the test stream come
    back unchanged: the scores of one stream depend on each other, and its rows hold the deviation over orders instead.
    Metrics other than :data:`RESAMPLED` get no interval.

    Args:
        results: rows of single OOD sets.
        scores: of each set by its name, shape (n, K); of the detectors without a stream.
        detectors: names of the K columns; of some there need be no row.
        resamples: R, how many.
        seed: of all draws.
        on_drawn: called with each ID set, its OOD sets and their metrics on every resample, (R, sets, K).

    Returns:
        The rows in their order with intervals, then their means; and the comparisons.
    """
    from ood_lightning.functional.bootstrap import resampled

    static = [result for result in results if not result.stream]
    id_sets = list(dict.fromkeys(result.id_set for result in static))
    with_interval: dict[Result, Result] = {}
    comparisons: list[Comparison] = []

    with bar(len(id_sets) * resamples, "bootstrap", "resample", delay_s=PATIENCE_S) as progress_bar:
        for id_set in id_sets:
            rows = [result for result in static if result.id_set == id_set]
            ood_sets = list(dict.fromkeys(result.ood_set for result in rows))
            drawn = resampled(
                scores[id_set],
                [scores[name] for name in ood_sets],
                seeds_of(seed, (id_set, *ood_sets)),
                resamples=resamples,
                on_progress=progress_bar.update,
            )

            on_drawn(id_set, ood_sets, drawn)

            overall: list[tuple[Result, Tensor]] = []  # means over all OOD sets, with the AUROC of each resample
            for row in [*rows, *means(rows)]:
                averaged_over = {r.ood_set for r in rows if r.kind == row.kind and row.group in ("", r.group)}
                names = averaged_over if row.ood_set == MEAN else {row.ood_set}
                members = [i for i, name in enumerate(ood_sets) if name in names]
                values = [metric[:, members, detectors.index(row.detector)].mean(1) for metric in drawn]  # (R,) each
                with_interval[row] = _with_intervals(row, values)
                if row.ood_set == MEAN and not row.group:
                    overall.append((row, values[0]))
            comparisons += _comparisons(overall)

    finished = [with_interval.get(result, result) for result in results]
    averaged = [row for row in with_interval.values() if row.ood_set == MEAN]
    return [*finished, *means([*finished, *averaged])], comparisons


def seeds_of(seed: int, names: Sequence[str]) -> list[int]:
    """The seed of the draws from a set, for each name: a set is drawn from alike whatever stands beside it."""
    return [int.from_bytes(sha256(f"{seed}/{name}".encode()).digest()[:6]) for name in names]


def _with_intervals(row: Result, values: list[Tensor]) -> Result:
    """The row with an interval for each metric of :data:`RESAMPLED`, from its values on the resamples, shape (R,)."""
    from ood_lightning.functional.bootstrap import interval

    metrics = dict(row.metrics)
    for name, resampled_values in zip(RESAMPLED, values, strict=True):
        low, high = interval(resampled_values)
        metrics[name] = metrics[name]._replace(low=low, high=high)

    return replace(row, metrics=metrics, resamples=len(values[0]))


def _comparisons(overall: list[tuple[Result, Tensor]]) -> list[Comparison]:
    """Each label-free detector against each that was given names or labels.

    Args:
        overall: a detector's mean over all OOD sets, and its AUROC on each resample, shape (R,).
    """
    from ood_lightning.functional.bootstrap import interval, paired_p_value

    label_free = [pair for pair in overall if NAME_SUPERVISION.isdisjoint(pair[0].supervision)]
    names_based = [pair for pair in overall if not NAME_SUPERVISION.isdisjoint(pair[0].supervision)]

    return [
        Comparison(
            free.id_set,
            free.detector,
            named.detector,
            free.metrics["auroc"].value - named.metrics["auroc"].value,
            *interval(of_free - of_named),
            paired_p_value(of_free, of_named),
            len(of_free),
        )
        for free, of_free in label_free
        for named, of_named in names_based
    ]
