"""The five metrics that every evaluation computes, declared here and nowhere else."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from ood_lightning.errors import SettingsError
from ood_lightning.functional.ranked import RankedScores
from ood_lightning.metrics.base import Metric
from ood_lightning.metrics.columns import ESTIMATE_PARTS, ROW_COLUMNS


@dataclass(frozen=True)
class ROCMetric(Metric):
    """A metric of :class:`~ood_lightning.functional.ranked.RankedScores` with its title and direction.

    Args:
        of_ranked: the metric of scores that are sorted: all five read the same sorted ones.
        title: see :class:`~ood_lightning.metrics.base.Metric`, as the direction.
        higher_is_better: its direction.
    """

    of_ranked: Callable[[RankedScores], Tensor]
    title: str
    higher_is_better: bool

    def __call__(self, id_scores: Tensor, ood_scores: Tensor) -> Tensor:
        """The metric, of scores in any order."""
        return self.of_ranked(RankedScores.of(id_scores, ood_scores))


STANDARD: dict[str, Metric] = {
    "auroc": ROCMetric(RankedScores.auroc, "chance that an ID picture outscores an OOD picture", True),
    "fpr_ood@id_tpr95": ROCMetric(
        RankedScores.fpr_ood_at_id_tpr, "OOD pictures accepted while 95 % of the ID pictures are kept", False
    ),
    "fpr_id@ood_tpr95": ROCMetric(
        RankedScores.fpr_id_at_ood_tpr,
        "ID pictures rejected while 95 % of the OOD pictures are caught",
        False,
    ),
    "aupr_in": ROCMetric(RankedScores.aupr_in, "area under the precision-recall curve, ID positive", True),
    "aupr_out": ROCMetric(RankedScores.aupr_out, "area under the precision-recall curve, OOD positive", True),
}


def with_standard(further: Mapping[str, Metric]) -> dict[str, Metric]:
    """The standard metrics, then further ones.

    Raises:
        SettingsError: a further metric has the name of a column that result files hold already, or does not say what
            it is.
    """
    endings = tuple(f"_{part}" for part in ESTIMATE_PARTS)
    for name, metric in further.items():
        if name in ROW_COLUMNS or name.endswith(endings):
            raise SettingsError(
                f"no further metric may be called {name!r}: results.csv has, or could have, a column of that name with "
                f"another meaning. Take a name that does not end in {', '.join(endings)}"
            )
        if not hasattr(metric, "title") or not hasattr(metric, "higher_is_better"):
            raise SettingsError(f"metric {name!r} lacks title or higher_is_better: both are shown below the tables")

    return STANDARD | dict(further)
