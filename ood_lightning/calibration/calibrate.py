"""Scores of images to a calibration, with its remarks."""

from collections.abc import Sequence

from torch import Tensor

from ood_lightning.calibration.calibration import Calibration
from ood_lightning.calibration.checks import exchangeability
from ood_lightning.calibration.split import one_of_each
from ood_lightning.errors import CalibrationError
from ood_lightning.functional.conformal import without_nan
from ood_lightning.plurals import many


def calibrate_scores(
    scores: Tensor,
    groups: Tensor,
    tpr: float,
    source: str,
    *,
    held_out: Tensor | None = None,
    remarks: Sequence[str] = (),
) -> Calibration:
    """Calibrate on the scores of images that nothing was learned from.

    Args:
        scores: of ID images, shape (n,); higher = more in-distribution.
        groups: number of the group of near-duplicates that an image belongs to, integers, shape (n,). One image of each
            counts, drawn with seed 0.
        tpr: wanted true-positive rate, in (0, 1].
        source: where the images came from, in words.
        held_out: where they came from elsewhere than the mining set: scores of images held out from mining, one of
            each group, shape (m,). Whether both score alike is tested, and the p-value is among the remarks.
        remarks: of other checks, such as `checks.overlap`.

    Raises:
        CalibrationError: no scores, one that is not finite, as many groups as there are not scores, or a wrong `tpr`.
    """
    if scores.shape != groups.shape:
        raise CalibrationError(f"{scores.numel()} scores and {groups.numel()} groups: expected one of both an image")

    counting = without_nan(scores).cpu()[one_of_each(groups, seed=0)].sort().values
    lines = list(remarks)
    if held_out is not None and len(held_out):
        lines.append(exchangeability(counting, held_out)[1])

    n_tied = len(counting) - len(counting.unique())
    if n_tied:
        scores_equal = f"{many(len(counting), 'calibration score')} {'equals' if n_tied == 1 else 'equal'}"
        lines.append(f"{n_tied:,} of {scores_equal} another one: more may be accepted.")
    return Calibration(
        tuple(counting.tolist()), tpr=float(tpr), n_images=len(scores), source=source, remarks=tuple(lines)
    )
