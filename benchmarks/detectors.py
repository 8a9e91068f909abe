"""Every detector's speed and memory, beside the bare matrix product of the same sizes in the same run.

python -m benchmarks.detectors [--dims 512 1024] [--images 10000] [--words 79403]

Features are random unit vectors: what a score costs does not depend on what is in the picture. The encoders' work is
not part of it: the pair texts of NegRefine are known beforehand (benchmarks.multimatch measures their encoding), and
InterNeg, which runs the text tower backwards, is not here; nor is SynOOD, which is NegLabel after one small layer.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from functools import partial
from tempfile import TemporaryDirectory
from typing import NamedTuple

import torch
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from safetensors.torch import save_file
from torch import Tensor

from benchmarks.timing import best_s, peak_mib
from ood_lightning.data.artifacts.label_set import LabelSet, Positive
from ood_lightning.detectors.adaneg import AdaNeg
from ood_lightning.detectors.base import Detector, StreamDetector
from ood_lightning.detectors.clipn import CLIPN
from ood_lightning.detectors.clipscope import CLIPScope
from ood_lightning.detectors.energy import Energy
from ood_lightning.detectors.entropy import Entropy
from ood_lightning.detectors.evidence import (
    Evidence,
    IDFeatures,
    IDLabels,
    ImageTower,
    Inputs,
    LabelFeatures,
    ReadyLabelSet,
    Texts,
)
from ood_lightning.detectors.glmcm import GLMCM
from ood_lightning.detectors.knn import KNN
from ood_lightning.detectors.label_mass import LabelMass
from ood_lightning.detectors.mahalanobis import Mahalanobis
from ood_lightning.detectors.maxlogit import MaxLogit
from ood_lightning.detectors.mcm import MCM
from ood_lightning.detectors.neglabel import NegLabel
from ood_lightning.detectors.negrefine import NegRefine
from ood_lightning.detectors.plp import PLP, PROVENANCE_KEY, names_sha256
from ood_lightning.detectors.relative_mahalanobis import RelativeMahalanobis
from ood_lightning.detectors.tanl import TANL
from ood_lightning.detectors.variance import Variance
from ood_lightning.functional.similarity import unit
from ood_lightning.progress import bar

BLOCK = 1024  # images scored together, as EvalFeatures does
N_NAMES, N_NEGATIVES, N_MINED = 1000, 10_000, 1500
N_PATCHES = 196  # ViT-B/16
SHOTS = 20  # ID training images a class


class Row(NamedTuple):
    """A detector, and how many vectors it compares an image with."""

    name: str
    compared: int
    open: Callable[[], Callable[[Tensor], Tensor]]
    batch_size: int = BLOCK
    patches: int = 0  # of each image, beside its feature
    images: int | None = None  # fewer than asked for, where they take long


def evidence(dim: int, words: int, draw: torch.Generator) -> Evidence:
    """Label sets of ImageNet's size over a corpus, and labelled ID images."""
    corpus = unit(torch.randn(words, dim, generator=draw))
    names = unit(torch.randn(N_NAMES, dim, generator=draw))

    labels = {
        "clustermine": LabelFeatures(corpus[:N_MINED], corpus[N_MINED:], 100.0),
        "names": LabelFeatures(names, corpus[:0], 100.0),
        "neglabel": LabelFeatures(names, corpus[:N_NEGATIVES], 100.0),
        "corpus": LabelFeatures(names, corpus, 100.0),
    }
    texts = {
        name: Texts([f"p{i}" for i in range(len(p))], [f"n{i}" for i in range(len(n))])
        for name, (p, n, _) in labels.items()
    }

    id_labels = torch.arange(N_NAMES).repeat_interleave(SHOTS)
    id_features = unit(names[id_labels] + torch.randn(len(id_labels), dim, generator=draw))
    known = unit(torch.randn(4096, dim, generator=draw))
    label_sets = {
        name: ReadyLabelSet(
            LabelSet((Positive("random"),), (), {}),
            features,
            texts[name],
            prompts="random",
            encode=lambda texts: known[torch.arange(len(texts)) % len(known)],
            positives_under=partial(_known, known[: len(features.positives)]),
        )
        for name, features in labels.items()
    }
    tower = ImageTower((3, 8, 8), lambda images: known[: len(images)])
    return Evidence(label_sets, "random", tower, Inputs.of(IDFeatures(id_features), IDLabels(id_labels)))


def _known(features: Tensor, make: object) -> Tensor:
    return features


def rows(offered: Evidence, probe: str) -> Iterator[Row]:
    """Every detector with the number of vectors it compares an image with."""
    counts = {
        name: len(ready.features.positives) + len(ready.features.negatives)
        for name, ready in offered.label_sets.items()
    }
    static: list[tuple[str, Detector, int]] = [
        ("ClusterMine (equation 1)", LabelMass(), counts["clustermine"]),
        ("MaxLogit", MaxLogit(), counts["names"]),
        ("Energy", Energy(), counts["names"]),
        ("MCM", MCM(), counts["names"]),
        ("Entropy", Entropy(), counts["names"]),
        ("Variance", Variance(), counts["names"]),
        ("CLIPN", CLIPN(checkpoint="its texts are random"), 2 * counts["names"]),
        ("PLP", PLP(probe=probe), counts["names"]),
        ("NegLabel, 100 groups", NegLabel(), counts["neglabel"]),
        ("NegRefine, pair texts known", NegRefine(), counts["neglabel"]),
        ("KNN", KNN(), len(offered[IDFeatures].image)),
        ("Mahalanobis", Mahalanobis(), N_NAMES),
        ("RelativeMahalanobis", RelativeMahalanobis(), N_NAMES),
    ]

    for name, detector, compared in static:
        yield Row(name, compared, partial(detector.bind, offered))

    yield Row(
        f"GL-MCM, {N_PATCHES} patches",
        (1 + N_PATCHES) * counts["names"],
        partial(GLMCM().bind, offered),
        patches=N_PATCHES,
        images=BLOCK,
    )

    streams: list[tuple[str, StreamDetector, int]] = [
        ("CLIPScope, batches of 64", CLIPScope(), counts["neglabel"]),
        ("AdaNeg, batches of 64", AdaNeg(), counts["neglabel"]),
        ("TANL, batches of 64", TANL(labels="corpus"), counts["corpus"]),
    ]
    for name, stream, compared in streams:
        yield Row(name, compared, partial(stream.open, offered), 64)


def bare(images: Tensor, texts: Tensor, batch_size: int) -> None:
    """The product alone, in the blocks that scores are computed in."""
    for block in images.split(batch_size):
        for part in texts.split(8192):
            block @ part.T


def measure(row: Row, images: Tensor, vectors: Tensor) -> list[str]:
    """One line of the table."""
    images = images[: row.images]
    texts, patches = vectors[: row.compared // (1 + row.patches)], torch.empty(0)
    if row.patches:
        patches = vectors[torch.arange(row.batch_size * row.patches) % len(vectors)].half()
        patches = patches.view(row.batch_size, row.patches, -1)

    def product() -> None:
        bare(images, texts, row.batch_size)
        if row.patches:
            bare(patches.flatten(0, 1).float(), texts, row.batch_size)

    product()  # the first product of a size is slower than the rest
    plain = best_s(product, repeats=2)

    def scored() -> None:
        score = opened[0] if len(opened) == 1 else row.open()
        for block in images.split(row.batch_size):
            score(*((block, patches[: len(block)]) if row.patches else (block,)))

    opened = [] if row.batch_size != BLOCK else [row.open()]  # a stream begins anew, a static score is bound once
    spent = best_s(scored, repeats=2)
    peak = peak_mib(scored)
    rate = len(images) / spent
    return [
        row.name,
        f"{row.compared:,}",
        f"{plain:.2f}",
        f"{spent:.2f}",
        f"{spent / plain:.2f}",
        f"{rate:,.0f}",
        f"{peak:,.0f}",
    ]


def write_probe(offered: Evidence, folder: str) -> str:
    """A PLP probe of the right size."""
    names = offered.labels("names").positives
    dim = names.shape[1]
    tensors = {"weight": names, "bias": torch.zeros(len(names)), "mean": torch.zeros(dim), "std": torch.ones(dim)}
    texts = offered.label_sets["names"].texts.positives
    made = {"encoder": offered.encoder, "features": "image", "names": names_sha256(texts)}
    path = f"{folder}/probe.safetensors"
    save_file(tensors, path, {PROVENANCE_KEY: json.dumps(made)})
    return path


def filled(table: Table, every: list[Row], images: Tensor, vectors: Tensor, what: str) -> Table:
    """The table with a line for every row."""
    with bar(len(every), what, "detector") as progress_bar:
        for row in every:
            table.add_row(*measure(row, images, vectors))
            progress_bar.update(1)
    return table


def main() -> None:
    """Print a table for each dimension."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dims", type=int, nargs="+", default=[512, 1024])
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--words", type=int, default=79_403)
    options = parser.parse_args()

    for dim in options.dims:
        draw = torch.Generator().manual_seed(0)
        offered = evidence(dim, options.words, draw)
        images = unit(torch.randn(options.images, dim, generator=draw))
        vectors = unit(torch.randn(options.words + N_NAMES, dim, generator=draw))

        title = f"D = {dim}, {options.images:,} images, {options.words:,} words, {torch.get_num_threads()} threads"
        table = Table(
            "detector",
            "compared with",
            "product s",
            "score s",
            "ratio",
            "images/s",
            "peak MiB",
            title=title,
            box=SIMPLE,
        )

        with TemporaryDirectory() as folder:
            every = list(rows(offered, write_probe(offered, folder)))
            table = filled(table, every, images, vectors, f"measure D = {dim}")
        Console(width=110).print(table)


if __name__ == "__main__":
    main()
