"""Distances to ID features: Mahalanobis and relative Mahalanobis (labelled images), nearest neighbours (any images)."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from ood_lightning.functional.moments import class_blocks, class_sums
from ood_lightning.functional.similarity import log_mass, top_k


class Axes(NamedTuple):
    """Coordinates ``u = (x - mean) A`` in which both covariances are diagonal, the shared one the identity.

    So one product of an image gives its distances under both.

    Attributes:
        matrix: A, (D, D) float64.
        means: of the classes, in these coordinates, (K, D).
        half_squares: half the squared lengths of the class means, (K,).
        precisions: inverses of the global covariance's variances along the axes, (D,).
    """

    matrix: Tensor
    means: Tensor
    half_squares: Tensor
    precisions: Tensor


@dataclass(frozen=True, eq=False)
class Gaussians:
    """Class means under one shared covariance, and one Gaussian for all images together.

    A whitener W of a covariance S has ``W W' = S^-1``, so ``|(x - mu) W|^2`` is the squared Mahalanobis distance.

    Attributes:
        means: (K, D) float64, one row per class with at least two images, in the order of the classes.
        whitener: (D, D) float64, of the shared covariance.
        mean: (D,) float64, of all images.
        global_whitener: (D, D) float64, of the global covariance.
    """

    means: Tensor
    whitener: Tensor
    mean: Tensor
    global_whitener: Tensor

    @cached_property
    def axes(self) -> Axes:
        """Both covariances made diagonal; computed once, D^3."""
        # x whitened is y W; under the global covariance its squared length is |y W T|^2 with T = W^-1 W_0
        between = torch.linalg.solve(self.whitener, self.global_whitener)  # T
        precisions, rotation = torch.linalg.eigh(between @ between.T)
        matrix = self.whitener @ rotation
        means = (self.means - self.mean) @ matrix
        return Axes(matrix, means, means.square().sum(dim=1) / 2, precisions)


def fit_gaussians(features: Tensor, labels: Tensor, ridge: float = 0.0) -> Gaussians:
    """Estimate class means, the unweighted mean of the class covariances, and the global Gaussian.

    Covariances are unbiased (n - 1). Classes with fewer than two images have none and are left out of the means and of
    the shared covariance; images without a label (-1) are left out altogether.

    Memory beside the features does not grow with n: a block of them, 8 MiB, at a time is brought to float64.

    Args:
        features: shape (n, D), any float dtype; computed in float64.
        labels: class of each image, int64, shape (n,).
        ridge: added to the diagonals of both covariances.

    Returns:
        The estimate.

    Raises:
        ValueError: if shapes do not fit, no class has two images, or a covariance is singular.

    Source: Lee et al., NeurIPS 2018, https://arxiv.org/abs/1807.03888; the estimator of PLP's code, TMLR 2024.
    """
    if features.ndim != 2 or labels.shape != features.shape[:1]:
        raise ValueError(f"features {tuple(features.shape)} and labels {tuple(labels.shape)} must be (n, D) and (n,)")

    names, counts = labels[labels >= 0].unique(return_counts=True)
    if not (counts > 1).any():
        raise ValueError("no class has two labelled images: a covariance needs them")

    # a class's place among those that there are; labels of -1 are below all of them
    classes = torch.where(labels >= 0, torch.searchsorted(names, labels), -1)  # (n,)
    sums = class_sums(features, classes, len(names))  # (K_all, D)
    means, mean = sums / counts[:, None], sums.sum(dim=0) / counts.sum()

    # each image weighs 1 / (n - 1) in the shared covariance, by the size n of its class; single ones nothing
    weights = torch.where(counts > 1, 1 / (counts - 1).double(), 0.0).sqrt()
    dim = features.shape[1]
    shared, scatter = sums.new_zeros(dim, dim), sums.new_zeros(dim, dim)
    for block, of_class in class_blocks(features, classes, len(names)):
        weighted = (block - means[of_class]) * weights[of_class, None]
        shared.addmm_(weighted.T, weighted)
        centred = block - mean
        scatter.addmm_(centred.T, centred)

    several = counts > 1
    diagonal = ridge * torch.eye(dim, dtype=torch.float64, device=features.device)
    whitener = _whitener(shared / several.sum() + diagonal, "mean of the class covariances")
    global_whitener = _whitener(scatter / (counts.sum() - 1) + diagonal, "global covariance")
    return Gaussians(means[several], whitener, mean, global_whitener)


def mahalanobis(features: Tensor, fitted: Gaussians) -> Tensor:
    """``- min_k (x - mu_k)' S^-1 (x - mu_k)``: negated squared distance to the nearest class mean; at most 0.

    Args:
        features: shape (B, D); ``B * (K + 4 D)`` float64 numbers are held beside them.
        fitted: of ID features.

    Returns:
        float64, shape (B,); higher = more in-distribution.

    Source: Lee et al., NeurIPS 2018, https://arxiv.org/abs/1807.03888.

    Example:
        >>> fitted = fit_gaussians(torch.tensor([[-1.0], [1.0], [9.0], [11.0]]), torch.tensor([0, 0, 1, 1]))
        >>> mahalanobis(torch.tensor([[1.0], [2.0]]), fitted)  # class variances are 2
        tensor([-0.5000, -2.0000], dtype=torch.float64)
    """
    return -_nearest(_coordinates(features, fitted), fitted.axes)


def relative_mahalanobis(features: Tensor, fitted: Gaussians) -> Tensor:
    """``(x - mu)' S_0^-1 (x - mu) - min_k (x - mu_k)' S^-1 (x - mu_k)``, mu and S_0 of all ID images together.

    Args:
        features: shape (B, D).
        fitted: of ID features.

    Returns:
        float64, shape (B,); higher = more in-distribution; 0 everywhere where there is one class.

    Source: Ren et al., 2021, https://arxiv.org/abs/2106.09022.
    """
    coordinates = _coordinates(features, fitted)
    background = coordinates.square() @ fitted.axes.precisions  # (B,)
    return background - _nearest(coordinates, fitted.axes)


def nearest_neighbours(features: Tensor, bank: Tensor, k: int = 1, temperature: float = 0.02) -> Tensor:
    """``log mean_i exp(cosine_i / temperature)`` over the k nearest ID features i.

    With k = 1 it ranks like the largest cosine.

    Args:
        features: unit vectors, shape (B, D).
        bank: unit vectors of ID images, shape (n, D).
        k: neighbours, at most n.
        temperature: divides cosines.

    Returns:
        float64, shape (B,); higher = more in-distribution; ``1 / temperature`` for an image of the bank at k = 1.

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
    if k == len(bank):  # in blocks: all cosines of a batch to ImageNet would not fit
        return log_mass(features, bank, 1 / temperature) - math.log(k)

    return (top_k(features, bank, k).values / temperature).logsumexp(dim=1) - math.log(k)


def kth_neighbour(features: Tensor, bank: Tensor, k: int) -> Tensor:
    """Negated Euclidean distance to the k-th nearest ID feature, ``- sqrt(2 - 2 cosine_k)``.

    Args:
        features: unit vectors, shape (B, D).
        bank: unit vectors of ID images, shape (n, D).
        k: which neighbour, from 1 to n.

    Returns:
        float64, shape (B,), in [-2, 0]; higher = more in-distribution.

    Raises:
        ValueError: if k exceeds the bank.

    Source: Sun et al., ICML 2022, https://arxiv.org/abs/2204.06507.

    Example:
        >>> kth_neighbour(torch.eye(2)[:1], torch.eye(2), k=2)
        tensor([-1.4142], dtype=torch.float64)
    """
    last = -top_k(-features, bank, 1).values[:, 0] if k == len(bank) else top_k(features, bank, k).values[:, -1]
    return -(2 - 2 * last).clamp_min(0).sqrt()


def _coordinates(features: Tensor, fitted: Gaussians) -> Tensor:
    """Along the axes, (B, D) float64: an image is whitened once, so that a class costs D and not D^2."""
    return (features.double() - fitted.mean) @ fitted.axes.matrix


def _nearest(coordinates: Tensor, axes: Axes) -> Tensor:
    """Squared distance to the nearest class mean, (B,).

    Half of ``|u - m|^2 - |u|^2`` is ``|m|^2 / 2 - u . m``: one matrix product finds the nearest mean, as far as float64
    can tell them apart. The product cancels digits near a mean, so the distance is that of the differences.
    """
    nearest = torch.addmm(axes.half_squares, coordinates, axes.means.T, alpha=-1).argmin(dim=1)  # of (B, K)
    return (coordinates - axes.means[nearest]).square().sum(dim=1)


def _whitener(covariance: Tensor, what: str) -> Tensor:
    """Matrix W with ``W W'`` the inverse of the covariance; `what` names the covariance in the error."""
    values, vectors = torch.linalg.eigh(covariance)
    if values[0] <= values[-1] * len(values) * torch.finfo(torch.float64).eps:
        raise ValueError(
            f"the {what} is singular ({len(values)} dimensions, smallest eigenvalue {float(values[0]):.3g}): "
            f"give more images, or a ridge above 0"
        )

    return torch.div(vectors, values.sqrt())
