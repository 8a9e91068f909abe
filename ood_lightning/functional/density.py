"""Mahalanobis and nearest-neighbour scores: how far a feature lies from labelled, or any, ID features."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ood_lightning.functional.similarity import top_k


class Gaussians(NamedTuple):
    """Class means under one shared covariance, and one Gaussian for all samples together.

    Attributes:
        means: (K, D) float64, one row per class with at least two samples, in the order of the classes.
        whitener: (D, D) float64; squared lengths of whitened differences are Mahalanobis distances.
        mean: (D,) float64, of all samples.
        global_whitener: (D, D) float64, of the global covariance.
    """

    means: Tensor
    whitener: Tensor
    mean: Tensor
    global_whitener: Tensor


def fit_gaussians(features: Tensor, labels: Tensor, ridge: float = 0.0) -> Gaussians:
    """Estimate class means, the unweighted mean of the class covariances, and the global Gaussian.

    Covariances are unbiased (n - 1). Classes with fewer than two samples are left out, negative labels are unlabelled
    and left out too.

    Args:
        features: shape (n, D), any float dtype; computed in float64.
        labels: class of each sample, int64, shape (n,).
        ridge: added to the diagonals of both covariances.

    Returns:
        The estimate.

    Raises:
        ValueError: if shapes do not fit, no class has two samples, or a covariance is singular.
    """
    if features.ndim != 2 or labels.shape != features.shape[:1]:
        raise ValueError(f"features {tuple(features.shape)} and labels {tuple(labels.shape)} must be (n, D) and (n,)")
    labelled = labels >= 0
    features, labels = features[labelled].double(), labels[labelled]
    classes, counts = labels.unique(return_counts=True)
    classes = classes[counts > 1]
    if not len(classes):
        raise ValueError("no class has two labelled samples: a covariance needs them")
    dim = features.shape[1]
    means = torch.stack([features[labels == c].mean(dim=0) for c in classes])
    shared = features.new_zeros(dim, dim)
    for c, mean in zip(classes, means, strict=True):
        centred = features[labels == c] - mean
        shared += centred.T @ centred / (len(centred) - 1)
    eye = torch.eye(dim, dtype=torch.float64, device=features.device)
    mean = features.mean(dim=0)
    centred = features - mean
    total = centred.T @ centred / (len(centred) - 1)
    shared_whitener = _whitener(shared / len(classes) + ridge * eye, "mean of the class covariances")
    return Gaussians(means, shared_whitener, mean, _whitener(total + ridge * eye, "global covariance"))


def mahalanobis(features: Tensor, fitted: Gaussians) -> Tensor:
    """Negated squared Mahalanobis distance to the nearest class mean; at most 0.

    Args:
        features: shape (B, D).
        fitted: of ID features.

    Returns:
        float64, shape (B,); higher = more in-distribution.

    Example:
        >>> fitted = fit_gaussians(torch.tensor([[-1.0], [1.0], [9.0], [11.0]]), torch.tensor([0, 0, 1, 1]))
        >>> mahalanobis(torch.tensor([[1.0], [2.0]]), fitted)  # class variances are 2
        tensor([-0.5000, -2.0000], dtype=torch.float64)
    """
    return -_nearest(features, fitted)


def relative_mahalanobis(features: Tensor, fitted: Gaussians) -> Tensor:
    """Mahalanobis score relative to one Gaussian for all ID samples.

    Args:
        features: shape (B, D).
        fitted: of ID features.

    Returns:
        float64, shape (B,); higher = more in-distribution; 0 everywhere where there is one class.
    """
    background = ((features.double() - fitted.mean) @ fitted.global_whitener).square().sum(dim=1)
    return background - _nearest(features, fitted)


def nearest_neighbours(features: Tensor, bank: Tensor, k: int = 1, temperature: float = 0.02) -> Tensor:
    """Logarithm of the mean of ``exp(cosine / temperature)`` over the k nearest ID features.

    With k = 1 it ranks like the largest cosine.

    Args:
        features: unit vectors, shape (B, D).
        bank: unit vectors of ID pictures, shape (n, D).
        k: neighbours, at most n.
        temperature: divides cosines.

    Returns:
        float64, shape (B,); higher = more in-distribution; ``1 / temperature`` for a picture of the bank at k = 1.

    Raises:
        ValueError: if k exceeds the bank or the temperature is not positive.

    Source: the evaluation code of PLP, TMLR 2024, metric `temp-cos-sim`.
    Differs: the logarithm is returned, which ranks alike and does not overflow.

    Example:
        >>> nearest_neighbours(torch.eye(2)[:1], torch.eye(2), k=1, temperature=0.5)
        tensor([2.], dtype=torch.float64)
    """
    if temperature <= 0:
        raise ValueError(f"temperature is {temperature}, expected above 0")
    near = top_k(features, bank, k).values / temperature
    return near.logsumexp(dim=1) - math.log(k)


def _nearest(features: Tensor, fitted: Gaussians) -> Tensor:
    """Squared distance to the nearest class mean, (B,); whitened once, so that a class costs D and not D^2."""
    white, means = features.double() @ fitted.whitener, fitted.means @ fitted.whitener
    # by differences: the faster product of both cancels digits near a mean
    distances: Tensor = torch.cdist(white, means, compute_mode="donot_use_mm_for_euclid_dist")
    return distances.square().amin(dim=1)


def _whitener(covariance: Tensor, what: str) -> Tensor:
    """Matrix W with W W' = inverse of the covariance."""
    values, vectors = torch.linalg.eigh(covariance)
    if values[0] <= values[-1] * len(values) * torch.finfo(torch.float64).eps:
        raise ValueError(
            f"the {what} is singular ({len(values)} dimensions, smallest eigenvalue {float(values[0]):.3g}): "
            f"give more samples, or a ridge above 0"
        )
    whitener: Tensor = vectors / values.sqrt()
    return whitener
