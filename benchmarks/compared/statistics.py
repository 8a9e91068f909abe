"""Mean and deviation of a set's features, and Gaussians of its classes."""

import torch
from torch import Tensor

from benchmarks.rows import Row, Ways
from ood_lightning.functional.density import fit_gaussians
from ood_lightning.functional.moments import moments
from ood_lightning.functional.rows import JoinedRows


def rows(small: bool) -> list[Row]:
    n, dim, per_shard = (2000, 16, 300) if small else (200_000, 512, 10_000)
    images, classes, width = (600, 20, 16) if small else (50_000, 1000, 512)
    return [
        Row(
            name="statistics",
            title="mean and deviation",
            sizes=f"{n:,} images, D {dim}, float16, shards of {per_shard:,}",
            base="torch.std_mean of all features in float64",
            aim="memory that does not grow with the images",
            ways=lambda: _of_features(n, dim, per_shard),
        ),
        Row(
            name="gaussians",
            title="Gaussians of classes",
            sizes=f"{images:,} images, {classes:,} classes, D {width}",
            base="bare: two products of all features with themselves, float64",
            aim="ours at most 1.5; memory that does not grow with the images",
            ways=lambda: _of_classes(images, classes, width),
        ),
    ]


def _of_features(n: int, dim: int, per_shard: int) -> Ways:
    draw = torch.Generator().manual_seed(0)
    image = torch.nn.functional.normalize(torch.randn(n, dim, generator=draw), dim=1).half()
    shards = JoinedRows([part.clone() for part in image.split(per_shard)])
    return {
        "torch.std_mean": lambda: torch.std_mean(image.double(), dim=0),
        "ours": lambda: moments(shards),
    }


def _of_classes(n: int, n_classes: int, dim: int) -> Ways:
    draw = torch.Generator().manual_seed(0)
    labels = torch.randint(n_classes, (n,), generator=draw)
    image = torch.randn(n, dim, generator=draw)
    return {
        "bare": lambda: _products(image),
        "ours": lambda: fit_gaussians(image, labels),
        "a class at a time": lambda: _class_by_class(image, labels),
    }


def _products(image: Tensor) -> None:
    dim = image.shape[1]
    first, second = image.new_zeros(2, dim, dim, dtype=torch.float64)
    for block in image.split(2048):
        for total in (first, second):
            rows = block.double()
            total.addmm_(rows.T, rows)


def _class_by_class(image: Tensor, labels: Tensor) -> None:
    """Means and covariances of rows that a mask picks; covariances are inverted by their eigenvectors."""
    image = image.double()
    several = [c for c, n in enumerate(labels.bincount().tolist()) if n > 1]
    shared = sum(torch.cov(image[labels == c].T) for c in several) / len(several)
    for covariance in (shared, torch.cov(image.T)):
        torch.linalg.eigh(covariance)
