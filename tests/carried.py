"""Detectors of every class with what each needs, on the tiny model, to be carried in a folder."""

import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from shard_files import COLOURS
from tiny_configs import WORDS
from torch import Tensor

from ood_lightning import detectors
from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.texts import TextBank
from ood_lightning.corpora.words import Part, Words
from ood_lightning.data.artifacts.label_set import LabelSet, Positive
from ood_lightning.data.artifacts.store import write_store
from ood_lightning.detectors.base import BaseDetector, Detector, Scorer
from ood_lightning.detectors.evidence import (
    Evidence,
    IDFeatures,
    IDLabels,
    ImageTower,
    Inputs,
    TowerFeatures,
)
from ood_lightning.detectors.plp import names_sha256
from ood_lightning.detectors.synood import texts_sha256
from ood_lightning.encoders.base import Encoder
from ood_lightning.encoders.openclip import OpenClip
from ood_lightning.label_sets.ready import MadeLabelSet
from ood_lightning.label_sets.vocabulary import Vocabulary

CPU = torch.device("cpu")
POSITIVES = ("red", "green", "dog")
PROMPTS = Prompts(("{}", "a photo of a {}."))


def classes() -> dict[str, type[Any]]:
    """All concrete detectors of the package by name, those that learn from streams too."""
    modules = [import_module(f"ood_lightning.detectors.{m.name}") for m in pkgutil.iter_modules(detectors.__path__)]
    kinds = [kind for module in modules for kind in vars(module).values() if isinstance(kind, type)]
    return {
        kind.__name__: kind
        for kind in kinds
        if issubclass(kind, BaseDetector) and is_dataclass(kind) and not getattr(kind, "__abstractmethods__", ())
    }


@dataclass
class World:
    """What a run has: an encoder, a label set made ready, and ID training images."""

    encoder: Encoder
    made: MadeLabelSet
    available: Inputs
    images: Tensor  # (n, 3, H, W)

    def scorer(self, detector: Detector) -> Scorer:
        """Bound to the run itself, without any folder."""
        tower = ImageTower(self.encoder.image_shape, self.encoder.encode_image)
        label_sets = {detector.labels: self.made.ready(CPU)}
        return detector.bind(Evidence(label_sets, self.encoder.fingerprint, tower, self.available))

    def columns(self, detector: Detector) -> list[Tensor]:
        """The images' columns that the detector reads."""
        columns = self.encoder.encode_columns(self.images, [name for name in detector.columns if name != "image"])
        return [columns[name] for name in detector.columns]


def draw(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def world(
    tiny_model: Path,
    folder: Path,
    *,
    negatives: tuple[str, ...] | None = None,
    positives: tuple[str, ...] = POSITIVES,
    prompts: Prompts = PROMPTS,
) -> World:
    """A run on the tiny model; negatives are the rest of the corpus unless they are listed."""
    encoder = OpenClip(
        f"local-dir:{tiny_model}", feature_dtype="float32", extra_features=("tower", "patches", "length")
    )
    encoder.load(CPU)
    words = tuple(WORDS.split(","))
    parts: tuple[Part, ...] = tuple("adj" if word in COLOURS else "noun" for word in words)
    bank = TextBank(encoder, folder / "cache")
    vocabulary = Vocabulary(Words("words", words, "here", parts), torch.empty(0, 0), prompts, bank).encoded()

    recipe: dict[str, Any] = {"method": "hand", "supervision": ["id_names"]}
    label_set = vocabulary.with_adjectives(LabelSet(tuple(map(Positive, positives)), negatives, recipe))
    made = MadeLabelSet(label_set, vocabulary, None)

    train = encoder.encode_columns(draw(60, 3, 16, 16, seed=1), ["tower"])
    carried = [IDFeatures(train["image"]), TowerFeatures(train["tower"]), IDLabels(torch.arange(60) % 2)]
    return World(encoder, made, Inputs.of(*carried), draw(40, 3, 16, 16, seed=2))


def settings(kind: str, run: World, folder: Path, clipn: dict[str, Tensor]) -> Iterator[dict[str, Any]]:
    """Settings of a detector's class that make it work in such a run; several where it reads different things."""
    gaussians = {"ridge": 1e-2}

    match kind:
        case "Debiased":
            yield {"groups": 2, "true_share": 0.9}
        case "NegLabel":
            yield from ({"groups": 2}, {"groups": 2, "half": True})
        case "NegRefine":
            yield {"groups": 2, "k": 2}
        case "KNN":
            yield from ({"k": 3}, {"k": 5, "score": "distance", "features": "tower"})
        case "Mahalanobis" | "RelativeMahalanobis":
            yield from (gaussians, {**gaussians, "features": "tower", "labels": "names"})
        case "PLP":
            yield from ({"probe": _probe(run, folder, column), "features": column} for column in ("image", "tower"))
        case "SynOOD":
            yield from (
                {"head": _head(run, folder, of_length), "groups": 2, "own_length": of_length}
                for of_length in (False, True)
            )
        case "CLIPN":
            torch.save(clipn, folder / "clipn.pt")
            yield from ({"checkpoint": str(folder / "clipn.pt"), "score": score} for score in ("atd", "ctw"))
        case _:
            yield {}


def _probe(run: World, folder: Path, column: str) -> str:
    n, dim = len(run.made.label_set.positives), 16 if column == "image" else 32
    tensors = {"weight": draw(n, dim, seed=3), "bias": draw(n, seed=4), "mean": draw(dim, seed=5)}
    made = {"encoder": run.encoder.fingerprint, "features": column, "names": names_sha256(run.made.label_set.words)}
    file = folder / f"{column}.safetensors"
    write_store(file, {**tensors, "std": draw(dim, seed=6).abs() + 0.5}, made)
    return str(file)


def _head(run: World, folder: Path, own_length: bool) -> str:
    ready = run.made.ready(CPU)
    tensors = {"weight": draw(16, 16, seed=1), "bias": draw(16, seed=2), "gain": draw(16, seed=3)}
    tensors |= {"shift": draw(16, seed=4), "used": torch.tensor([1, 4]), "tuned": draw(2, 16, seed=5)}
    made = {"encoder": run.encoder.fingerprint, "prompts": ready.prompts, "labels": texts_sha256(*ready.texts)}
    file = folder / f"head{own_length}.safetensors"
    write_store(file, tensors, {**made, "supervision": ["id_images"], "own_length": own_length})
    return str(file)
