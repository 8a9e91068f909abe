"""Scores of an image from its cosines to a thousand ID names.

Features are random unit vectors: what a score costs does not depend on what they show.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.rows import Row, Ways
from ood_lightning.detectors.base import LabelDetector
from ood_lightning.detectors.evidence import LabelFeatures
from ood_lightning.detectors.maxlogit import MaxLogit
from ood_lightning.detectors.mcm import MCM
from ood_lightning.functional.similarity import unit

Published = Callable[[Tensor], Tensor]  # float32 cosines (B, K) to scores (B,)


def rows(small: bool) -> list[Row]:
    """MCM and MaxLogit."""
    images, names, dim = (64, 50, 32) if small else (1024, 1000, 512)

    def row(name: str, title: str, aim: str, detector: LabelDetector, published: Published) -> Row:
        return Row(
            name,
            title,
            f"D {dim}, {images:,} images, {names:,} names",
            "the bare product of images and names",
            aim,
            lambda: _ways(detector, published, images, names, dim),
            repeats=25,
        )

    return [
        row("mcm", "MCM", "ours at most 2.2 times bare", MCM(), _softmax),
        row("maxlogit", "MaxLogit", "ours at most 1.7 times bare", MaxLogit(), lambda cosines: cosines.amax(dim=1)),
    ]


def _softmax(cosines: Tensor) -> Tensor:
    return cosines.softmax(dim=1).amax(dim=1)


def _ways(detector: LabelDetector, published: Published, n_images: int, n_names: int, dim: int) -> Ways:
    draw = torch.Generator().manual_seed(0)
    images, names = (unit(torch.randn(n, dim, generator=draw)) for n in (n_images, n_names))
    labels = LabelFeatures(names, names[:0], 100.0)
    return {
        "bare": lambda: images @ names.T,
        "ours": lambda: detector(images, labels),
        "published: in float32": lambda: published(images @ names.T),
    }
