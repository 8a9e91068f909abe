"""Equation 1, the nearest words, neighbours and Gaussians: seconds beside the bare product, and peak memory."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.gpu.clock import Timed, timed
from ood_lightning.detectors.compared_texts import CorpusProducts
from ood_lightning.functional.density import fit_gaussians, mahalanobis
from ood_lightning.functional.similarity import neighbours, top_k, unit

BLOCK = 8192  # words or features in one bare product


def section(small: bool, device: torch.device) -> dict[str, Any]:
    """Everything by name; `ratio` is to the bare product in the same precision."""
    found: dict[str, Any] = {}
    for precision in ("highest", "high"):
        torch.set_float32_matmul_precision(precision)
        what = "float32" if precision == "highest" else "TF32"
        for n_words in (300, 1200) if small else (79_403, 270_000):
            found |= {f"{name}, {what}": row for name, row in corpus(4096 if not small else 64, n_words, device)}
        found[f"neighbours, {what}"] = _neighbours(device, *((200, 16, 5) if small else (50_000, 512, 50)))
    return found | _gaussians(device, *((20, 16, 64) if small else (1000, 512, 1024)))


def corpus(n_images: int, n_words: int, device: torch.device) -> list[tuple[str, dict[str, Any]]]:
    """Equation 1 and the nearest word over a corpus; D is 1,280, that of the largest encoders."""
    dim = 1280 if n_images > 64 else 16
    image, words = _random(n_images, dim, device), _random(n_words, dim, device)
    rows, n_mined = torch.arange(n_words), min(1500, n_words // 3)
    shared = CorpusProducts(words)
    sides = [shared.rows(rows[:n_mined]).log_mass(100.0), shared.rows(rows[n_mined:]).log_mass(100.0)]

    def equation_1() -> Tensor:
        batch = image.clone()  # another batch, so that nothing is answered from the last product
        return sides[0](batch) - sides[1](batch)

    bare = timed(partial(product, image, words), device)
    title = f"D {dim:,}, {n_images:,} images, {n_words:,} words"
    return [
        (f"equation 1, {title}", _beside(bare, equation_1, device)),
        (f"nearest word, {title}", _beside(bare, lambda: top_k(image, words, 1), device)),
    ]


def _neighbours(device: torch.device, n: int, dim: int, k: int) -> dict[str, Any]:
    features, rows = _random(n, dim, device), range(min(n, 8192))
    bare = timed(partial(product, features[: len(rows)], features), device)
    found = _beside(bare, lambda: neighbours(features, k, rows=rows), device)
    return {"sizes": f"{len(rows):,} of {n:,} x {dim}, k {k}", **found}


def _gaussians(device: torch.device, n_classes: int, dim: int, n_images: int) -> dict[str, Any]:
    classes = torch.arange(n_classes).repeat_interleave(8).to(device)
    features, image = _random(len(classes), dim, device), _random(n_images, dim, device)
    fitted = fit_gaussians(features, classes, ridge=1e-3)
    bare = timed(lambda: image.double() @ fitted.whitener @ fitted.means.T, device)
    fit = timed(lambda: fit_gaussians(features, classes, ridge=1e-3), device)
    sizes = f"{n_images:,} x {dim} x {n_classes:,}"
    return {
        "mahalanobis": {"sizes": sizes, **_beside(bare, lambda: mahalanobis(image, fitted), device)},
        "fit_gaussians": {"sizes": f"{len(classes):,} x {dim}", **fit._asdict()},
    }


def product(image: Tensor, texts: Tensor) -> None:
    """The product alone, block by block."""
    for block in texts.split(BLOCK):
        image @ block.T


def _beside(bare: Timed, work: Callable[[], object], device: torch.device) -> dict[str, Any]:
    ours = timed(work, device)
    return {**ours._asdict(), "bare_s": bare.s, "bare_peak_mib": bare.peak_mib, "ratio": ours.s / bare.s}


def _random(n: int, dim: int, device: torch.device) -> Tensor:
    return unit(torch.randn(n, dim, generator=torch.Generator().manual_seed(n))).to(device)
