"""The five metrics that every evaluation computes, declared here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from ood_lightning.errors import SettingsError
from ood_lightning.functional import roc
from ood_lightning.metrics.base import Metric
from ood_lightning.metrics.columns import ESTIMATE_PARTS, ROW_COLUMNS


class AUROC(Metric):
    """Chance that an ID image outscores an OOD image; a tie counts half, 0.5 is chance."""

    title = "chance that an ID picture outscores an OOD picture"
    higher_is_better = True

    def __call__(self, id_scores: Tensor, ood_scores: Tensor) -> Tensor:
        """See :func:`ood_lightning.functional.roc.auroc`."""
        return roc.auroc(id_scores, ood_scores)


@dataclass(frozen=True)
class FPROodAtIdTPR(Metric):
    """OOD images accepted by the strictest threshold that keeps a share of the ID images.

    Args:
        tpr: the share of ID images to keep, in (0, 1].
    """

    tpr: float
    higher_is_better = False

    def __post_init__(self) -> None:
        roc.check_fraction(self.tpr)

    @property
    def title(self) -> str:
        """With the share in percent."""
        return f"OOD pictures accepted while at least {100 * self.tpr:g} % of the ID pictures are kept"

    def __call__(self, id_scores: Tensor, ood_scores: Tensor) -> Tensor:
        """See :func:`ood_lightning.functional.roc.fpr_ood_at_id_tpr`."""
        return roc.fpr_ood_at_id_tpr(id_scores, ood_scores, self.tpr)


@dataclass(frozen=True)
class FPRIdAtOodTPR(Metric):
    """ID images rejected by the mildest threshold that catches a share of the OOD images.

    Args:
        tpr: the share of OOD images to catch, in (0, 1].
    """

    tpr: float
    higher_is_better = False

    def __post_init__(self) -> None:
        roc.check_fraction(self.tpr)

    @property
    def title(self) -> str:
        """With the share in percent."""
        return f"ID pictures rejected while at least {100 * self.tpr:g} % of the OOD pictures are caught"

    def __call__(self, id_scores: Tensor, ood_scores: Tensor) -> Tensor:
        """See :func:`ood_lightning.functional.roc.fpr_id_at_ood_tpr`."""
        return roc.fpr_id_at_ood_tpr(id_scores, ood_scores, self.tpr)


class AUPRIn(Metric):
    """Area under the precision-recall curve by the step rule, ID positive."""

    title = "area under the precision-recall curve, ID positive"
    higher_is_better = True

    def __call__(self, id_scores: Tensor, ood_scores: Tensor) -> Tensor:
        """See :func:`ood_lightning.functional.roc.aupr_in`."""
        return roc.aupr_in(id_scores, ood_scores)


class AUPROut(Metric):
    """Area under the precision-recall curve by the step rule, OOD positive."""

    title = "area under the precision-recall curve, OOD positive"
    higher_is_better = True

    def __call__(self, id_scores: Tensor, ood_scores: Tensor) -> Tensor:
        """See :func:`ood_lightning.functional.roc.aupr_out`."""
        return roc.aupr_out(id_scores, ood_scores)


STANDARD: dict[str, Metric] = {
    "auroc": AUROC(),
    "fpr_ood@id_tpr95": FPROodAtIdTPR(0.95),
    "fpr_id@ood_tpr95": FPRIdAtOodTPR(0.95),
    "aupr_in": AUPRIn(),
    "aupr_out": AUPROut(),
}


def with_standard(further: Mapping[str, Metric]) -> dict[str, Metric]:
    """The standard metrics, then further ones.

    Raises:
        SettingsError: a further metric has the name of a column that result files hold already.
    """
    for name in further:
        if name in ROW_COLUMNS or name.endswith(tuple(f"_{part}" for part in ESTIMATE_PARTS)):
            raise SettingsError(
                f"no further metric may be called {name!r}: results.csv has, or could have, a column of that name with "
                f"another meaning. Take a name that does not end in {', '.join('_' + part for part in ESTIMATE_PARTS)}"
            )

    return STANDARD | dict(further)
