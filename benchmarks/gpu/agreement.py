"""Whether a device computes what the processor does, in float32 without TF32; the tests marked `gpu` ask the same."""

from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
from torch import Tensor

from benchmarks.compared.temi import OneProcess
from benchmarks.gpu.clock import Agreement, agreement, same_rows
from benchmarks.gpu.offered import LARGE, SMALL, Offered, Sizes, every_detector, offer, scores
from benchmarks.gpu.temi import all_weights
from benchmarks.gpu.towers import pictures, random_model, tokens
from ood_lightning.detectors.base import Detector, StreamDetector
from ood_lightning.detectors.compared_texts import ComparedTexts, CorpusProducts
from ood_lightning.functional.density import Gaussians, fit_gaussians, mahalanobis, relative_mahalanobis
from ood_lightning.functional.similarity import log_mass, neighbours, top_k, unit

CPU = torch.device("cpu")
Check = Callable[[], Agreement]
OF_SPREAD = 1e-3  # of the standard deviation of a detector's scores
# A cosine of float32 errs by about 1e-6 on either device, and log-masses by up to 100 times that, CLIP's scale.
NATS = {"absolute": 1e-3, "relative": 1e-5}
SQUARED_DISTANCES = {"absolute": 1e-6, "relative": 1e-9}  # float64
COSINES = {"absolute": 1e-9}  # float64, of float32 vectors
UNIT_FEATURES = {"absolute": 1e-4}  # of towers, whose layers add up their roundings
LOSSES = {"absolute": 1e-5, "relative": 1e-5}
# Of the way that weights went: AdamW moves each by its gradient's sign at first, and rounding turns that of a tiny one.
OF_WAY = 1e-2


def section(small: bool, device: torch.device) -> dict[str, Any]:
    """Everything by name."""
    torch.set_float32_matmul_precision("highest")
    found: dict[str, Any] = {}
    with TemporaryDirectory() as folder:
        for name, check in checks(small, device, Path(folder)):
            try:
                found[name] = check()
            except Exception as error:  # whatever it is, the other checks go on
                found[name] = {"agrees": False, "error": f"{type(error).__name__}: {error}"}
    return found


def checks(small: bool, device: torch.device, folder: Path) -> Iterator[tuple[str, Check]]:
    """All checks by name.

    Args:
        small: toy sizes.
        device: to compare with the processor.
        folder: for files that detectors read.
    """
    sizes = SMALL if small else LARGE
    yield from detectors(sizes, device, folder)
    yield from similarity(sizes, device)
    yield from gaussians(sizes, device)
    yield from temi(small, device)
    yield from towers("small" if small else "ViT-B-16", device)


def detectors(sizes: Sizes, device: torch.device, folder: Path) -> Iterator[tuple[str, Check]]:
    """Scores of every detector."""
    here, there = offer(sizes, CPU), offer(sizes, device)
    for name, detector in every_detector(here, folder).items():
        yield f"detector {name}", partial(_scores_agree, detector, here, there)


def _scores_agree(detector: Detector | StreamDetector, here: Offered, there: Offered) -> Agreement:
    own = scores(detector, here)
    return agreement(own, scores(detector, there), absolute=OF_SPREAD * float(own.std()))


def similarity(sizes: Sizes, device: torch.device) -> Iterator[tuple[str, Check]]:
    """Equation 1's mass, the nearest texts, and neighbours, with equal rows among them."""
    offered = offer(sizes, CPU)
    image, texts = offered.columns["image"], offered.evidence.labels("neglabel").negatives
    bank = torch.cat([image, image[:7]])  # twins
    there = (image.to(device), texts.to(device))

    yield "log_mass", lambda: agreement(log_mass(image, texts, 100.0), log_mass(*there, 100.0), **NATS)
    yield "one product, masses", lambda: agreement(*(_masses(*side) for side in ((image, texts), there)), **NATS)
    yield "one product, nearest", lambda: same_rows(*(_nearest(*side) for side in ((image, texts), there)))
    yield "top_k, cosines", lambda: agreement(top_k(image, texts, 3).values, top_k(*there, 3).values, **COSINES)
    yield "top_k, rows", lambda: same_rows(top_k(image, texts, 3).indices, top_k(*there, 3).indices)
    yield "neighbours", lambda: same_rows(neighbours(bank, 5), neighbours(bank.to(device), 5))


def _sides(texts: Tensor) -> list[ComparedTexts]:
    """Every fifth text, and the rest, as a label set mined from a corpus has them."""
    rows, corpus = torch.arange(len(texts)), CorpusProducts(texts)
    return [corpus.rows(rows[rows % 5 == 0]), corpus.rows(rows[rows % 5 != 0])]


def _masses(image: Tensor, texts: Tensor) -> Tensor:
    return torch.stack([side.log_mass(scale)(image) for side in _sides(texts) for scale in (100.0, 400.0)])


def _nearest(image: Tensor, texts: Tensor) -> Tensor:
    return torch.stack([side.nearest()(image) for side in _sides(texts)])


def gaussians(sizes: Sizes, device: torch.device) -> Iterator[tuple[str, Check]]:
    """Squared distances under Gaussians that each device fits itself."""
    classes = torch.arange(sizes.names).repeat_interleave(8)
    features = unit(torch.randn(len(classes), sizes.dim, generator=torch.Generator().manual_seed(2)))
    image = offer(sizes, CPU).columns["image"]

    def check(function: Callable[[Tensor, Gaussians], Tensor]) -> Agreement:
        here = fit_gaussians(features, classes, ridge=1e-3)
        there = fit_gaussians(features.to(device), classes.to(device), ridge=1e-3)
        return agreement(function(image, here), function(image.to(device), there), **SQUARED_DISTANCES)

    for function in (mahalanobis, relative_mahalanobis):
        yield function.__name__, partial(check, function)


class Trained(NamedTuple):
    """TEMI after three steps; `way` is the change of all weights."""

    losses: Tensor
    prior: Tensor
    way: Tensor


def temi(small: bool, device: torch.device) -> Iterator[tuple[str, Check]]:
    """Losses, prior and weights after three steps of training."""
    shape = (16, 10, 8) if small else (512, 1000, 256)
    here, there = (cache(partial(_trained, *shape, on)) for on in (CPU, device))

    def weights() -> Agreement:
        apart = (here().way - there().way).norm() / here().way.norm()
        return agreement(torch.zeros(()), apart, absolute=OF_WAY)

    yield "TEMI losses", lambda: agreement(here().losses, there().losses, **LOSSES)
    yield "TEMI prior", lambda: agreement(here().prior, there().prior, absolute=1e-6)
    yield "TEMI weights", weights


def _trained(dim: int, n_clusters: int, batch: int, device: torch.device) -> Trained:
    draw = torch.Generator().manual_seed(0)
    module = OneProcess(n_clusters, n_heads=2, slices=2)
    module.start(dim, batch)
    module.to(device)

    before = all_weights(module)
    for step in range(3):
        image, neighbour = (torch.randn(batch, dim, generator=draw).to(device) for _ in range(2))
        module.training_step({"image": image, "neighbour": neighbour}, step)
    return Trained(torch.stack(module._epoch_losses).cpu(), module.prior.cpu(), all_weights(module) - before)


def towers(name: str, device: torch.device) -> Iterator[tuple[str, Check]]:
    """Unit features of images and texts."""
    model, there = random_model(name), random_model(name).to(device)
    images, texts = pictures(model, 3).float() / 255, tokens(model, 5)

    @torch.inference_mode()
    def check(method: str, inputs: Tensor) -> Agreement:
        own, other = getattr(model, method)(inputs), getattr(there, method)(inputs.to(device))
        return agreement(unit(own), unit(other), **UNIT_FEATURES)

    yield f"{name}, images", partial(check, "encode_image", images)
    yield f"{name}, texts", partial(check, "encode_text", texts)
