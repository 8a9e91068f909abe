"""What breaks the promises of a calibration, as far as it can be seen: each check gives lines for its remarks.

The promises hold for images that are exchangeable with the calibration images, scored by a detector that has not
learned from these.
"""

from hashlib import blake2b
from typing import NamedTuple

import torch
from torch import Tensor

from ood_lightning.data.check.near_duplicates import nearest
from ood_lightning.functional.conformal import without_nan
from ood_lightning.plurals import many

NEAR_COSINE = 0.98  # of features, from which on two images count as near-duplicates; as `data check` has it
SIGNIFICANT = 0.05  # p-value of the two-sample test, below which a difference is said to be one
ROWS = 8192  # of features that are hashed at once


class Preparation(NamedTuple):
    """What turned images into features.

    Attributes:
        encoder: its name.
        fingerprint: hash of everything that changes its features.
        preprocessing: size, cropping, normalisation and orientation, in any fixed form.
    """

    encoder: str
    fingerprint: str
    preprocessing: str


def other_preparation(detector: Preparation, calibration: Preparation) -> list[str]:
    """Whether calibration images were encoded as the detector encodes; empty if they were.

    Args:
        detector: what new images will go through.
        calibration: what the calibration images went through.
    """
    lines = []
    if detector.encoder != calibration.encoder:
        lines.append(
            f"BROKEN: another encoder: the detector uses {detector.encoder}, the calibration images were encoded by "
            f"{calibration.encoder}. Their scores are on two scales: calibrate again."
        )
    if detector.preprocessing != calibration.preprocessing:
        lines.append(
            f"BROKEN: other preprocessing: the detector's is {detector.preprocessing}, that of the calibration images "
            f"{calibration.preprocessing}. Calibrate again."
        )

    if not lines and detector.fingerprint != calibration.fingerprint:
        lines.append(
            f"BROKEN: {detector.encoder} is not the same here and there (fingerprints {detector.fingerprint} and "
            f"{calibration.fingerprint}: other weights, precision or preprocessing). Calibrate again."
        )
    return lines


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

    digests = _digests(calibration)
    used = set(digests) & {digest for block in mining.split(ROWS) for digest in _digests(block)}
    same = torch.tensor([digest in used for digest in digests])
    cosines, _ = nearest(calibration, mining)
    n_same, n_near = int(same.sum()), int((~same & (cosines >= min_cosine)).sum())

    lines = []
    if n_same:
        lines.append(
            f"BROKEN: {n_same} of {many(len(calibration), 'calibration image')} were learned from (equal features): "
            f"fewer new images are accepted than promised. Hold images out before mining."
        )
    if n_near:
        lines.append(
            f"BROKEN: {n_near} of {many(len(calibration), 'calibration image')} have a near-duplicate among those that "
            f"were learned from (cosine {min_cosine:g} or more): fewer new images may be accepted than promised. Keep "
            f"near-duplicates on one side."
        )
    return lines


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


def _digests(features: Tensor) -> list[bytes]:
    """A hash of each row's bytes."""
    return [blake2b(row.tobytes(), digest_size=16).digest() for row in features.cpu().contiguous().numpy()]
