"""Draws the mined concepts with pictures of their clusters, when a fit has ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as L
import torch
from PIL import Image
from safetensors.torch import load_file

from ood_lightning.callbacks.wandb import log_picture
from ood_lightning.data.artifacts.label_set import LabelSet
from ood_lightning.data.shards.decode import decode
from ood_lightning.data.shards.manifest import Manifest
from ood_lightning.data.shards.samples import read_samples
from ood_lightning.functional.votes import elect
from ood_lightning.report.sheet import PER_CONCEPT, contact_sheet


class ConceptSheet(L.Callback):
    """`concepts.png`: the concepts with most images, each with the pictures nearest to it in its clusters.

    Reads the shards that hold these pictures once more; list it after the label sets' writer.

    Args:
        concepts: how many.
    """

    def __init__(self, concepts: int = 24) -> None:
        self.concepts = concepts

    def on_fit_end(self, trainer: L.Trainer, module: Any) -> None:  # noqa: D102
        if not trainer.is_global_zero:
            return
        out = Path(trainer.default_root_dir)
        labels = LabelSet.read(out / "labels.json").words[: self.concepts]
        votes = load_file(out / "votes.safetensors")
        words = self._words(trainer)
        election = elect(votes["cluster"], votes["nearest"], votes["cosine"])
        wanted = {label: _nearest_images(words.index(label), votes, election) for label in labels}
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        rows = {row for shown in wanted.values() for row in shown}
        pictures = _pictures(data.manifest, rows, data.features.bad)
        sheet = contact_sheet([(label, [pictures[row] for row in rows]) for label, rows in wanted.items()])
        sheet.save(out / "concepts.png", optimize=True)
        log_picture(trainer, out / "concepts.png", "mined/concepts")
        print(f"concepts with their pictures: {out / 'concepts.png'}")

    def _words(self, trainer: L.Trainer) -> tuple[str, ...]:
        writer: Any = next(c for c in trainer.callbacks if type(c).__name__ == "LabelSetWriter")  # type: ignore[attr-defined]
        words: tuple[str, ...] = writer.corpus.load().words
        return words


def _nearest_images(word: int, votes: dict[str, torch.Tensor], election: Any) -> list[int]:
    """Rows of the images nearest to a concept among those of its clusters."""
    clusters = election.cluster[election.winner == word]
    own = torch.isin(votes["cluster"], clusters) & (votes["nearest"] == word)
    rows = own.nonzero()[:, 0]
    order = votes["cosine"][rows].argsort(descending=True, stable=True)
    return rows[order[: PER_CONCEPT[0] * PER_CONCEPT[1]]].tolist()


def _pictures(manifest: Manifest, rows: set[int], bad: list[str]) -> dict[int, Image.Image]:
    """Decoded pictures of a set by the row of their features; a bad sample (`shard key: reason`) has none."""
    found: dict[int, Image.Image] = {}
    start = 0
    for shard in manifest.shards:
        lost = [why for why in bad if why.startswith(f"{shard.path} ")]
        end = start + shard.samples - len(lost)
        if any(start <= row < end for row in rows):
            samples = read_samples(manifest.path(shard))
            good = (s for s in samples if not any(why.startswith(f"{shard.path} {s.key}: ") for why in lost))
            found |= {row: decode(sample.data) for row, sample in enumerate(good, start) if row in rows}
        start = end
    return found
