"""Split conformal p-values and thresholds: which share of new ID images is accepted, promised from n held-out ones.

Higher score = more in-distribution. The n calibration images were used for nothing else, and they and the new images
are exchangeable: no order of all of them is likelier than another. Then two promises hold, for any detector:

1. **On average over calibration sets** a new ID image has ``p <= a`` with a probability of at most ``a``, so that at
   least ``tpr`` of them are accepted where ``p > 1 - tpr`` (Vovk, Gammerman and Shafer, *Algorithmic Learning in a
   Random World*, 2005; for outliers Bates et al., 2021, https://arxiv.org/abs/2104.08279).
2. **For one calibration set, the one at hand,** the true rate of a threshold at the k-th lowest of n scores is a random
   number of the distribution ``Beta(n + 1 - k, k)``, whose quantiles are promised with a confidence: a tolerance limit
   (Wilks, *Annals of Mathematical Statistics* 12, 1941; Vovk, 2012, https://arxiv.org/abs/1209.2673; Angelopoulos and
   Bates, 2021, https://arxiv.org/abs/2107.07511, section 3.2).

Ties: a calibration score that equals an image's counts as `<=`, so an image is accepted that just meets the threshold.
Both promises of 'at least' hold; more may be accepted. The Beta distribution is exact where no two scores are equal.

A `tpr` is taken as the decimal that is written, as everywhere here: 0.9 of 10 is 9.
"""

import math
from bisect import bisect_left
from fractions import Fraction

import torch
from torch import Tensor

from ood_lightning.errors import CalibrationError
from ood_lightning.functional.ranked import check_fraction, n_kept

CONFIDENCE = 0.95


def p_values(scores: Tensor, calibration: Tensor) -> Tensor:
    """Chance, at most, that an ID image scores as low as this one: ``(1 + #{calibration <= score}) / (n + 1)``.

    Args:
        scores: of new images, shape ``(B,)``; any but NaN.
        calibration: of held-out ID images, in any order, shape ``(n,)``; any but NaN.

    Returns:
        float64 in ``[1 / (n + 1), 1]``, shape ``(B,)``.

    Raises:
        CalibrationError: if there are no calibration scores, a score is NaN, or a side has not one dimension.

    Source: split (inductive) conformal prediction, see the head of this file.

    Example:
        >>> p_values(torch.tensor([0.1, 2.0, 9.0]), torch.tensor([3.0, 1.0, 2.0]))
        tensor([0.2500, 0.7500, 1.0000], dtype=torch.float64)
    """
    ascending = _as_calibration(calibration)
    not_above = torch.searchsorted(ascending, without_nan(scores), right=True)
    return (1 + not_above).double() / (len(ascending) + 1)


def rank(n: int, tpr: float) -> int:
    """k: an image is accepted that scores as high as the k-th lowest of n calibration scores; 0 where all are.

    ``p > 1 - tpr`` holds where ``1 + #{calibration <= score} > (1 - tpr) (n + 1)``, that is, where at least
    ``k = floor((1 - tpr) (n + 1))`` calibration scores are not above.

    Raises:
        ValueError: if ``tpr`` is no fraction in (0, 1].

    Example:
        >>> rank(18, 0.95), rank(19, 0.95), rank(60, 0.95)
        (0, 1, 3)
    """
    check_fraction(tpr)
    return n + 1 - n_kept(tpr, n + 1)


def threshold(calibration: Tensor, tpr: float) -> float:
    """The lowest accepted score: ``score >= threshold`` where, and only where, ``p > 1 - tpr``.

    At least ``tpr`` of new ID images are accepted on average over calibration sets; where no scores tie, it is
    ``(n + 1 - k) / (n + 1)`` of them, with k of :func:`rank`.

    Args:
        calibration: shape ``(n,)``; higher = more in-distribution.
        tpr: wanted true-positive rate, a fraction in (0, 1].

    Returns:
        A calibration score, exactly; ``-inf`` where n is too small to promise ``tpr``, so that everything is accepted.

    Raises:
        CalibrationError: as of :func:`p_values`.
        ValueError: if ``tpr`` is not a fraction.

    Example:
        >>> threshold(torch.tensor([4.0, 2.0, 3.0, 5.0]), tpr=0.75), threshold(torch.tensor([4.0, 2.0]), tpr=0.75)
        (2.0, -inf)
    """
    return _at(calibration, rank(len(calibration), tpr))


def certain_rank(n: int, tpr: float, confidence: float = CONFIDENCE) -> int:
    """The largest k whose threshold accepts `tpr` of the ID images with that confidence; 0 where there is none.

    The true rate of the k-th lowest score is ``Beta(n + 1 - k, k)``, so k is the largest with ``P(rate >= tpr) >=
    confidence``; it is the same as ``P(Binomial(n, 1 - tpr) >= k) >= confidence``.

    Example:
        >>> certain_rank(58, 0.95), certain_rank(59, 0.95), certain_rank(1000, 0.95)
        (0, 1, 39)
    """
    check_fraction(tpr)
    _check_confidence(confidence)
    from scipy.special import betaincc  # the regularised incomplete beta function; here, so that predicting needs none

    return bisect_left(range(1, n + 1), True, key=lambda k: betaincc(n + 1 - k, k, tpr) < confidence)


def certain_threshold(calibration: Tensor, tpr: float, confidence: float = CONFIDENCE) -> float:
    """The highest calibration score that accepts at least `tpr` of new ID images with that confidence.

    It is the one-sided tolerance limit of Wilks: of all calibration sets, a share of at least `confidence` gives a
    threshold whose true rate is at least `tpr`. Never above :func:`threshold` for confidences of 1/2 and more.

    Args:
        calibration: shape ``(n,)``; higher = more in-distribution.
        tpr: wanted true-positive rate, a fraction in (0, 1].
        confidence: in (0, 1).

    Returns:
        A calibration score; ``-inf`` where n is too small, see :func:`needed`.

    Raises:
        CalibrationError: as of :func:`p_values`; a confidence that is none.
        ValueError: if ``tpr`` is not a fraction.

    Example:
        >>> certain_threshold(torch.arange(100.0), tpr=0.95), threshold(torch.arange(100.0), tpr=0.95)
        (1.0, 4.0)
    """
    return _at(calibration, certain_rank(len(calibration), tpr, confidence))


def rate_interval(n: int, k: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Where the true rate of a threshold at the k-th lowest of n scores lies, with that confidence.

    Between the quantiles ``(1 - confidence) / 2`` and ``(1 + confidence) / 2`` of ``Beta(n + 1 - k, k)``. Where scores
    tie, the lower end holds and the upper end need not.

    Args:
        n: calibration scores.
        k: 0 to n; see :func:`rank`.
        confidence: of both sides together, in (0, 1).

    Returns:
        Fractions; ``(1, 1)`` for k = 0, where everything is accepted.

    Example:
        >>> [round(end, 3) for end in rate_interval(60, 3)]
        [0.885, 0.99]
    """
    _check_confidence(confidence)
    return _rate_quantile(n, k, (1 - confidence) / 2), _rate_quantile(n, k, (1 + confidence) / 2)


def rate_bound(n: int, k: int, confidence: float = CONFIDENCE) -> float:
    """What the true rate of a threshold at the k-th lowest of n scores is at least, with that confidence; one-sided.

    Example:
        >>> round(rate_bound(60, 3), 3), round(rate_bound(59, 1), 4), rate_bound(5, 0)
        (0.899, 0.9505, 1.0)
    """
    _check_confidence(confidence)
    return _rate_quantile(n, k, 1 - confidence)


def needed(tpr: float, confidence: float = CONFIDENCE) -> int | None:
    """How many calibration images are needed before any threshold accepts `tpr` with that confidence.

    The smallest n with ``tpr ** n <= 1 - confidence``: then the lowest of n scores does it.

    Returns:
        None for a `tpr` of 1, which no number of images promises.

    Example:
        >>> needed(0.95), needed(0.99), needed(1.0)
        (59, 299, None)
    """
    check_fraction(tpr)
    _check_confidence(confidence)
    return None if tpr == 1 else math.ceil(math.log1p(-confidence) / math.log(tpr))


def needed_on_average(tpr: float) -> int | None:
    """How many calibration images are needed before a threshold promises `tpr` on average: ``1 / (1 - tpr) - 1``, up.

    Returns:
        None for a `tpr` of 1, which no number of images promises.

    Example:
        >>> needed_on_average(0.95), needed_on_average(0.9), needed_on_average(0.3), needed_on_average(1.0)
        (19, 9, 1, None)
    """
    check_fraction(tpr)
    rejected = 1 - Fraction(repr(float(tpr)))
    return math.ceil(1 / rejected) - 1 if rejected else None


def without_nan(scores: Tensor) -> Tensor:
    """Scores as float64, shape ``(B,)``: float32 ones are compared with a threshold exactly then.

    Raises:
        CalibrationError: a score is NaN, which is neither high nor low, or there is not one dimension.
    """
    if scores.ndim != 1:
        raise CalibrationError(f"scores have shape {tuple(scores.shape)}, expected one dimension")
    if n_bad := int(scores.isnan().sum()):
        raise CalibrationError(
            f"{n_bad} of {len(scores)} scores are NaN: look for half-precision overflow or a zero feature vector where "
            f"they were made"
        )
    return scores.detach().double().contiguous()


def _as_calibration(calibration: Tensor) -> Tensor:
    """From the lowest score up, float64."""
    if not calibration.numel():
        raise CalibrationError("there are no calibration scores: hold at least one ID image out")
    return without_nan(calibration).sort().values


def _at(calibration: Tensor, k: int) -> float:
    """The k-th lowest score; -inf for 0."""
    ascending = _as_calibration(calibration)
    return float(ascending[k - 1]) if k else -math.inf


def _rate_quantile(n: int, k: int, probability: float) -> float:
    if not 0 <= k <= n:
        raise CalibrationError(f"k is {k}: expected 0 to {n}, the number of calibration scores")
    if k == 0:
        return 1.0
    from scipy.special import betaincinv  # quantiles of the Beta distribution

    return float(betaincinv(n + 1 - k, k, probability))


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise CalibrationError(f"confidence is {confidence}: expected a fraction between 0 and 1: 0.95, not 95")
