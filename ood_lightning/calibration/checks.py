"""What breaks the promises of a calibration, as far as it can be seen: each check gives lines for its remarks.

The promises hold for images that are exchangeable with the calibration images, scored by a detector that has not
learned from these.
"""

from collections.abc import Collection
from hashlib import blake2b

import torch
from torch import Tensor

from ood_lightning.data.check.near_duplicates import nearest
from ood_lightning.functional.conformal import without_nan
from ood_lightning.functional.rows import FeatureRows
from ood_lightning.plurals import many

NEAR_COSINE = 0.98  # of features, from which on two images count as near-duplicates; as `data check` has it
SIGNIFICANT = 0.05  # p-value of the two-sample test, below which a difference is said to be one
ROWS = 8192  # of features that are hashed at once


def overlap(calibration: Tensor, mining: Tensor, min_cosine: float = NEAR_COSINE) -> list[str]:
    """Whether calibration images, or near-duplicates of them, were learned from; empty if none were.

    What was learned from scores higher than new images do, so that the threshold is too high and too many of these are
    rejected. Memory beside the features: 16 bytes for a calibration image, and blocks (see `functional.similarity`).

    Args:
        calibration: unit features of the images that count, shape (n, D).
        mining: those of the images that something was learned from, shape (m, D), stored alike.
        min_cosine: from which on two images are near-duplicates; depends on the encoder.
    """
    if not len(calibration) or not len(mining):
        return []

    same = _known(calibration, marks(mining))
    cosines, _ = nearest(calibration, mining)
    n_same, n_near = int(same.sum()), int((~same & (cosines >= min_cosine)).sum())

    lines = _learned_from(n_same, len(calibration))
    if n_near:
        lines.append(
            f"BROKEN: {n_near} of {many(len(calibration), 'calibration image')} have a near-duplicate among those that "
            f"were learned from (cosine {min_cosine:g} or more): fewer new images may be accepted than promised. Keep "
            f"near-duplicates on one side."
        )
    return lines


def known_again(calibration: FeatureRows, mined: Collection[str]) -> list[str]:
    """Whether calibration images are among those that a detector remembers; empty if none are.

    Args:
        calibration: features of the images, shape (n, D), stored as the mined ones were.
        mined: :func:`marks` of the images that something was learned from.
    """
    return _learned_from(int(_known(calibration, mined).sum()), len(calibration))


def marks(features: FeatureRows) -> list[str]:
    """A short hash of each image's features as they are stored, by which the same image is known again.

    Args:
        features: shape (n, D).
    """
    rows = (row for block in features.split(ROWS) for row in block.cpu().contiguous().numpy())
    return [blake2b(row.tobytes(), digest_size=8).hexdigest() for row in rows]


def _known(features: FeatureRows, known: Collection[str]) -> Tensor:
    """Which images have one of these marks, bool (n,)."""
    known = frozenset(known)
    return torch.tensor([mark in known for mark in marks(features)])


def _learned_from(n: int, n_calibration: int) -> list[str]:
    if not n:
        return []
    return [
        f"BROKEN: {n:,} of {many(n_calibration, 'calibration image')} were learned from (equal features): fewer new "
        f"images are accepted than promised. Hold images out before mining."
    ]


def exchangeability(calibration: Tensor, held_out: Tensor) -> tuple[float, str]:
    """Whether calibration images from elsewhere score like images of the mining set that were held out from mining.

    Two-sided two-sample test of Kolmogorov and Smirnov on the scores: it sees any difference of the two distributions,
    in the low scores too, where Mann-Whitney's sees only that one side is higher. It is exact for sides of fewer than
    10,000 scores that do not tie, and careful where they do.

    Args:
        calibration: scores of one image of each group, shape (n,).
        held_out: the same of images held out from mining, shape (m,).

    Returns:
        The p-value, and a line for the remarks. A small p-value says that the promises hold for images like the
        calibration images and not for those of the mining set; a large one does not say that they are alike.

    Raises:
        CalibrationError: a score is NaN.
    """
    from scipy.stats import ks_2samp  # takes a second to import

    sides = [without_nan(side).cpu().numpy() for side in (calibration, held_out)]
    p = float(ks_2samp(*sides).pvalue)
    tested = f"two-sample Kolmogorov-Smirnov test, p = {p:.2g}, {len(sides[0]):,} against {len(sides[1]):,} images"

    if p < SIGNIFICANT:
        return p, (
            f"BROKEN: the calibration images score unlike images held out from mining ({tested}): the promises hold "
            f"for images like the calibration images only."
        )
    return p, (
        f"No difference was seen between scores of the calibration images and of images held out from mining "
        f"({tested}); few images show large differences only."
    )
