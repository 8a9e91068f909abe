"""Every detector, and random evidence for it on any device."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from ood_lightning.data.artifacts.store import write_store
from ood_lightning.detectors.adaneg import AdaNeg
from ood_lightning.detectors.ants import ANTS
from ood_lightning.detectors.base import Detector, StreamDetector
from ood_lightning.detectors.clipn import CLIPN
from ood_lightning.detectors.clipscope import CLIPScope
from ood_lightning.detectors.compared_texts import OwnTexts
from ood_lightning.detectors.debiased import Debiased
from ood_lightning.detectors.energy import Energy
from ood_lightning.detectors.entropy import Entropy
from ood_lightning.detectors.evidence import (
    ClassBoundsBySet,
    Evidence,
    IDFeatures,
    IDLabels,
    ImageTower,
    Inputs,
    ReadyLabelSet,
    SoftTokens,
    Texts,
)
from ood_lightning.detectors.glmcm import GLMCM
from ood_lightning.detectors.image_texts import BareTexts
from ood_lightning.detectors.interneg import InterNeg
from ood_lightning.detectors.knn import KNN
from ood_lightning.detectors.label_mass import LabelMass
from ood_lightning.detectors.mahalanobis import Mahalanobis
from ood_lightning.detectors.maxlogit import MaxLogit
from ood_lightning.detectors.mcm import MCM
from ood_lightning.detectors.neglabel import NegLabel
from ood_lightning.detectors.negrefine import NegRefine
from ood_lightning.detectors.plp import PLP, names_sha256
from ood_lightning.detectors.relative_mahalanobis import RelativeMahalanobis
from ood_lightning.detectors.synood import SynOOD, texts_sha256
from ood_lightning.detectors.tanl import TANL
from ood_lightning.detectors.tins import TINS, SoftWords
from ood_lightning.detectors.variance import Variance
from ood_lightning.detectors.wordnet_texts import WordNetTexts
from ood_lightning.encoders.soft_tokens import SoftTokenTexts
from ood_lightning.functional.intermodal import ClassBounds
from ood_lightning.functional.similarity import unit

ENCODER, PROMPTS = "random", "random"
SHOTS = 12  # ID training images of a class


class Sizes(NamedTuple):
    """Of the evidence: `dim` D, class names, negatives, images to score, patches of an image."""

    dim: int
    names: int
    negatives: int
    images: int
    patches: int


SMALL = Sizes(dim=24, names=9, negatives=131, images=70, patches=5)
LARGE = Sizes(dim=512, names=1000, negatives=10_000, images=2048, patches=196)


class Offered(NamedTuple):
    """Evidence and images to score, on one device.

    Args:
        evidence: for every detector.
        columns: of the images.
    """

    evidence: Evidence
    columns: dict[str, Tensor]


class RandomTemplates:
    """Stands for soft-token templates: adds a row of a matrix to the vector, which has the features' width."""

    def __init__(self, rows: Tensor) -> None:
        self.rows, self.width = rows, rows.shape[1]

    def __len__(self) -> int:
        return len(self.rows)

    def fill(self, rows: Tensor, vectors: Tensor) -> Tensor:
        """Features (n, D) of templates and vectors."""
        return self.rows[rows.to(self.rows.device)] + 10 * vectors


def random_words(rows: Tensor) -> Callable[[tuple[str, ...]], SoftTokenTexts]:
    """Stands for words in a sentence: adds a row of a matrix to the vector, as :class:`RandomTemplates` does."""

    def forward(tokens: Tensor, positions: Tensor, vectors: Tensor) -> Tensor:
        return rows[tokens[:, 0] % len(rows)] + 10 * vectors

    def of(words: tuple[str, ...]) -> SoftTokenTexts:
        word = torch.arange(len(words))
        tokens = torch.stack([word, torch.zeros_like(word), torch.full_like(word, len(words))], dim=1)
        return SoftTokenTexts(tokens, torch.ones_like(word), forward, 0.02 * rows)

    return of


def offer(sizes: Sizes, device: torch.device) -> Offered:
    """The same random numbers on any device.

    Images lie near class names, so that scores differ and streams learn; half of them near a negative instead.
    """
    draw = torch.Generator().manual_seed(0)

    def near(centres: Tensor) -> Tensor:
        return unit(centres + torch.randn(centres.shape, generator=draw) / sizes.dim**0.5).to(device)

    names, negatives, further, known = (
        unit(torch.randn(n, sizes.dim, generator=draw)) for n in (sizes.names, sizes.negatives, 80, 64)
    )
    images = torch.stack([names[torch.arange(sizes.images) % sizes.names], negatives[torch.arange(sizes.images) % 97]])
    image = near(images[torch.arange(sizes.images) % 2, torch.arange(sizes.images)])
    patches = near(names[torch.randint(sizes.names, (sizes.images, sizes.patches), generator=draw)])
    classes = torch.arange(sizes.names).repeat_interleave(SHOTS)
    training, prototypes = near(names[classes]), near(names).double()

    names, negatives, further, known = (part.to(device) for part in (names, negatives, further, known))
    bounds = ClassBounds(prototypes, (prototypes * names.double()).sum(dim=1))
    tower = ImageTower((3, 8, 8), lambda pictures: known[: len(pictures)])
    available = Inputs.of(
        IDFeatures(training),
        IDLabels(classes.to(device)),
        ClassBoundsBySet({"interneg": bounds, "tins": bounds}),
        SoftTokens(cast(Any, RandomTemplates(further))),
        SoftWords(random_words(further)),
        BareTexts(lambda texts: further[: len(texts)]),
    )
    sides = {
        "clustermine": (names, negatives),
        "names": (names, negatives[:0]),
        "neglabel": (names, negatives),
        "interneg": (names, negatives),
        "tins": (names, negatives),
    }
    label_sets = {name: _ready(*side, known) for name, side in sides.items()}
    return Offered(Evidence(label_sets, ENCODER, tower, available), {"image": image, "patches": patches})


def _ready(positives: Tensor, negatives: Tensor, known: Tensor) -> ReadyLabelSet:
    texts = Texts([f"p{i}" for i in range(len(positives))], [f"n{i}" for i in range(len(negatives))])

    def encode(texts: Sequence[str]) -> Tensor:
        rows = [int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) % len(known) for text in texts]
        return known[rows]

    return ReadyLabelSet(
        cast(Any, None),  # no detector reads how its set was made
        OwnTexts(positives),
        OwnTexts(negatives),
        100.0,
        texts,
        PROMPTS,
        encode,
        positives_under=lambda other_tower: positives.flip(0),
    )


def every_detector(offered: Offered, folder: Path) -> dict[str, Detector | StreamDetector]:
    """Every detector by name; files that some read are written into the folder.

    Args:
        offered: whose label sets they are made for.
        folder: for a probe and a head.
    """
    probe, head = folder / "probe.safetensors", folder / "head.safetensors"
    _write_probe(offered.evidence, probe)
    _write_head(offered.evidence, head)
    one_by_one = {
        kind.__name__: kind()
        for kind in (
            *(LabelMass, MaxLogit, Energy, MCM, Entropy, Variance, NegLabel, NegRefine, Mahalanobis),
            *(RelativeMahalanobis, GLMCM, CLIPScope, AdaNeg, TANL, KNN, InterNeg, TINS),
        )
    }
    return {
        **one_by_one,
        "Debiased": Debiased(labels="neglabel", groups=10, true_share=0.9),
        "KNN distance": KNN(k=5, score="distance"),
        "CLIPN": CLIPN(checkpoint="its texts are random"),
        "PLP": PLP(probe=str(probe)),
        "SynOOD": SynOOD(head=str(head)),
        "AdaNeg, sample adaptive": AdaNeg(sample_adaptive=True),
        "ANTS": ANTS(texts=WordNetTexts()),
    }


def _write_probe(evidence: Evidence, path: Path) -> None:
    names = evidence.labels("names").positives.cpu()
    dim = names.shape[1]
    tensors = {"weight": 10 * names, "bias": torch.zeros(len(names)), "mean": torch.zeros(dim), "std": torch.ones(dim)}
    texts = evidence.label_sets["names"].texts.positives
    write_store(path, tensors, {"encoder": ENCODER, "features": "image", "names": names_sha256(texts)})


def _write_head(evidence: Evidence, path: Path) -> None:
    draw, ready = torch.Generator().manual_seed(1), evidence.label_sets["neglabel"]
    dim, used = ready.features.positives.shape[1], torch.arange(3)
    tensors = {
        "weight": torch.randn(dim, dim, generator=draw) / dim,
        "bias": torch.zeros(dim),
        "gain": torch.full((dim,), 0.1),
        "shift": torch.zeros(dim),
        "used": used,
        "tuned": torch.randn(len(used), dim, generator=draw),
    }
    made = {"encoder": ENCODER, "prompts": PROMPTS, "labels": texts_sha256(*ready.texts), "supervision": ["id_images"]}
    write_store(path, tensors, made)


def scores(detector: Detector | StreamDetector, offered: Offered, batch: int = 64) -> Tensor:
    """Scores of all images, in batches, in order."""
    score: Callable[..., Tensor]
    names: Sequence[str] = ["image"]
    if isinstance(detector, StreamDetector):
        score = detector.open(offered.evidence)
    else:
        score, names = detector.bind(offered.evidence), detector.columns

    batches = zip(*(offered.columns[name].split(batch) for name in names), strict=True)
    return torch.cat([score(*columns) for columns in batches])
