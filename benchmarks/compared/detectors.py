"""Detectors beside the bare matrix products of their sizes: static scores and streams.

Features are random unit vectors: what a score costs does not depend on what is in the image. The encoders' work is not
part of it: the pair texts of NegRefine are known beforehand (multimatch.py measures their encoding). InterNeg, which
runs the text tower backwards, is not here; nor are SynOOD, which is NegLabel after one small layer, and PLP, which is
MCM after one. Equation 1, MCM and MaxLogit have rows elsewhere.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from benchmarks.detector_inputs import Sizes, evidence, unit_vectors
from benchmarks.rows import Row, Ways
from ood_lightning.detectors.adaneg import AdaNeg, Proxies
from ood_lightning.detectors.base import Detector, StreamDetector
from ood_lightning.detectors.clipn import CLIPN
from ood_lightning.detectors.clipscope import CLIPScope
from ood_lightning.detectors.energy import Energy
from ood_lightning.detectors.entropy import Entropy
from ood_lightning.detectors.glmcm import GLMCM
from ood_lightning.detectors.knn import KNN
from ood_lightning.detectors.mahalanobis import Mahalanobis
from ood_lightning.detectors.neglabel import NegLabel
from ood_lightning.detectors.negrefine import NegRefine
from ood_lightning.detectors.relative_mahalanobis import RelativeMahalanobis
from ood_lightning.detectors.tanl import TANL
from ood_lightning.detectors.variance import Variance

BLOCK, BATCH, BATCHES = (
    1024,
    64,
    8,
)  # images scored together, as EvalFeatures does; of a stream's batch; of these a turn
ALL, TINY = Sizes(512, 79_403, 1000, 10_000, 20, 196), Sizes(32, 600, 20, 200, 4, 9)


def rows(small: bool) -> list[Row]:
    """Every detector once."""
    sizes = TINY if small else ALL
    groups = 10 if small else 100
    n_names, n_neglabel, n_corpus = (sizes.of(label_set) for label_set in ("names", "neglabel", "corpus"))

    static: list[tuple[str, Detector, list[int], str]] = [
        ("energy", Energy(), [n_names], "none"),
        ("entropy", Entropy(), [n_names], "none"),
        ("variance", Variance(), [n_names], "none"),
        ("clipn", CLIPN(checkpoint="its texts are random"), [n_names, n_names], "none"),
        ("neglabel", NegLabel(groups=groups), [n_neglabel], "none"),
        ("negrefine", NegRefine(groups=groups), [n_neglabel], "none"),
        ("knn-detector", KNN(k=5), [sizes.names * sizes.shots], "none"),
        ("mahalanobis", Mahalanobis(ridge=1e-3), [n_names], "ours at most 5 times bare"),
        ("relative-mahalanobis", RelativeMahalanobis(ridge=1e-3), [n_names], "ours at most 5 times bare"),
        ("gl-mcm", GLMCM(), [n_names], "none"),
    ]
    streams: list[tuple[str, StreamDetector, list[int], str]] = [
        ("tanl", TANL(labels="corpus"), [n_corpus], "ours at most 2.7 times bare"),
        ("adaneg", AdaNeg(), [n_neglabel, n_neglabel], "ours at most 1.6 times bare"),
        ("clipscope", CLIPScope(), [n_neglabel], "none"),
    ]

    made = []
    for name, detector, compared, aim in [*static, *streams]:
        is_stream = isinstance(detector, StreamDetector)
        images = f"batches of {BATCH}" if is_stream else f"{BLOCK:,} images at once"
        patches = f", {sizes.patches} patches each" if name == "gl-mcm" else ""
        made.append(
            Row(
                name,
                f"{type(detector).__name__}'s scores",
                f"D {sizes.dim}, {images}{patches}",
                f"products of image{' and patches' if patches else ''} with {' and '.join(f'{n:,}' for n in compared)}",
                aim,
                partial(_stream if is_stream else _static, sizes, detector, compared),
            )
        )
    return made


def _static(sizes: Sizes, detector: Detector, compared: Sequence[int]) -> Ways:
    draw = torch.Generator().manual_seed(0)
    columns = [unit_vectors(BLOCK, sizes.dim, draw)]
    if "patches" in detector.columns:
        columns.append(unit_vectors(BLOCK * sizes.patches, sizes.dim, draw).half().unflatten(0, (BLOCK, -1)))

    score = detector.bind(evidence(sizes, draw))
    return {"bare": _products(columns, sizes, compared, draw), "ours": partial(score, *columns)}


def _stream(sizes: Sizes, detector: StreamDetector, compared: Sequence[int]) -> Ways:
    draw = torch.Generator().manual_seed(0)
    images = unit_vectors(BATCH * BATCHES, sizes.dim, draw)
    offered = evidence(sizes, draw)

    def scored(stream: Callable[[Tensor], Tensor]) -> None:
        for batch in images.split(BATCH):
            stream(batch)

    ways: dict[str, Callable[[], object]] = {
        "bare": _products([images], sizes, compared, draw, BATCH),
        "ours": partial(scored, detector.open(offered)),
    }
    if isinstance(detector, AdaNeg):
        late = detector.open(offered)
        assert isinstance(late, Proxies)
        texts = late.memory.texts
        late.memory.add(texts, torch.arange(len(texts)), torch.zeros(len(texts)))
        ways["ours, an image for every label"] = partial(scored, late)
    return ways


def _products(
    columns: Sequence[Tensor], sizes: Sizes, compared: Sequence[int], draw: torch.Generator, block: int = 4096
) -> Callable[[], None]:
    """Of every column with so many vectors each, in the blocks that scores are computed in."""
    sides = [unit_vectors(n, sizes.dim, draw) for n in compared]

    def products() -> None:
        for part in (part for column in columns for part in column.flatten(0, -2).split(block)):
            for piece in (piece for side in sides for piece in side.split(8192)):
                part.float() @ piece.T

    return products
