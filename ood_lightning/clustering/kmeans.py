"""k-means of stored features, beside TEMI: on the sphere, or the baseline of TEMI's and ClusterMine's papers.

Source: TEMI's code (Adaloglou et al., BMVC 2023, https://arxiv.org/abs/2303.17896) has scikit-learn's
`KMeans(n_clusters, n_init=2)` on raw or standardised features.
"""

from collections.abc import Callable
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from ood_lightning.errors import SettingsError
from ood_lightning.functional.kmeans import KMeans, kmeans
from ood_lightning.functional.kmeans_seeds import Space, TooFewDistinctError
from ood_lightning.functional.moments import moments
from ood_lightning.functional.rows import FeatureRows

Method: TypeAlias = Literal["spherical", "raw", "standardised"]


def space_of(features: FeatureRows, method: Method, device: torch.device | str = "cpu") -> Space:
    """How a method sees features (n, D): directions alone, as they are, or each dimension with mean 0 and deviation 1.

    Raw ones are shifted to mean 0, which moves no distance and keeps float32's digits.
    """
    dim = features.shape[1]
    shift, scale = torch.zeros(dim), torch.ones(dim)
    if method != "spherical":
        of_set = moments(features)
        shift = of_set.mean.float()
        if method == "standardised" and len(features) > 1:
            deviation = of_set.deviation.float()
            scale = deviation.where(deviation > 0, 1)  # a constant dimension is 0 everywhere
    return Space(shift.to(device), scale.to(device), method == "spherical")


def cluster(features: FeatureRows, method: Method, n_clusters: int, seed: int) -> Tensor:
    """Cluster of each image by k-means, the better of two starts.

    Args:
        features: shape (n, D), any float type; on the CPU or a GPU, where it is computed.
        method: see :func:`space_of`.
        n_clusters: C.
        seed: of the starts.

    Returns:
        int64, shape (n,), on the CPU.

    Raises:
        SettingsError: there are fewer distinct images than clusters.

    Example:
        >>> one, other, another = cluster(torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.9, 0.1]]), "spherical", 2, seed=0)
        >>> bool(one == another), bool(one == other)
        (True, False)
    """
    return clusters(features, n_clusters, space_of(features, method, features.device), seed=seed).assignments


def clusters(
    features: FeatureRows,
    n_clusters: int,
    space: Space,
    *,
    seed: int,
    starts: int = 2,
    most_rounds: int = 100,
    on_round: Callable[[int, int], object] = lambda start, n: None,
) -> KMeans:
    """:func:`ood_lightning.functional.kmeans.kmeans`, which refuses too many clusters in words for people.

    Raises:
        SettingsError: there are fewer distinct images than clusters.
    """
    try:
        return kmeans(features, n_clusters, space, seed=seed, starts=starts, most_rounds=most_rounds, on_round=on_round)
    except TooFewDistinctError as error:
        raise SettingsError(
            f"k-means: {n_clusters:,} clusters asked for, and {error}: ask for {error.n_distinct:,} or fewer"
        ) from None
