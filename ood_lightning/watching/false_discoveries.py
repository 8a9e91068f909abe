"""Which images of a batch to call OOD, so that few of these calls are wrong."""

import numpy as np
from numpy.typing import NDArray


def adjusted(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """p-values after Benjamini and Hochberg: those of at most q are called OOD at a false discovery rate of q.

        adjusted_(i) = min_{j >= i} p_(j) B / j

    Of the images that are called OOD, the share that is ID is at most q on average, over calibration sets and batches.
    That holds for conformal p-values that share one calibration set, although they depend on one another.

    Args:
        p_values: conformal ones of the images of a batch, shape ``(B,)``, B at least 1.

    Returns:
        Shape ``(B,)``, computed by scipy.

    Source: Benjamini and Hochberg, J. R. Statist. Soc. B 57, 1995; for conformal p-values Bates, Candes, Lei, Romano
    and Sesia, Testing for outliers with conformal p-values, Annals of Statistics 51, 2023,
    https://arxiv.org/abs/2104.08279.

    Example:
        >>> adjusted(np.array([0.01, 0.5, 0.02, 0.9])).tolist()
        [0.04, 0.6666666666666666, 0.04, 0.9]
    """
    from scipy.stats import false_discovery_control

    values: NDArray[np.float64] = false_discovery_control(p_values, method="bh")
    return values


def fewest(n_calibration: int, n_batch: int, rate: float) -> int:
    """The fewest images of a batch that are called OOD together, however low they score.

    No p-value is below 1 / (n + 1), and k images with p-values of at most p are called OOD where ``p B / k <= rate``.

    Example:
        >>> fewest(99, 1000, 0.1), fewest(999, 100, 0.1)
        (100, 1)
    """
    return max(1, int(np.ceil(n_batch / ((n_calibration + 1) * rate) - 1e-9)))
