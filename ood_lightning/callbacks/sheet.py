"""Draws the mined concepts with images of their clusters, when a fit has ended."""

import math
from pathlib import Path
from typing import Annotated, Any

import lightning.pytorch as L
import torch
from lightning.pytorch.utilities import rank_zero_only

from ood_lightning.callbacks.wandb import log_picture, log_picture_table
from ood_lightning.data.artifacts.label_set import LabelSet
from ood_lightning.data.artifacts.votes import FILE as VOTES
from ood_lightning.data.artifacts.votes import read_votes
from ood_lightning.datamodules.contracts import UnlabelledData, data_of
from ood_lightning.functional.votes import elect
from ood_lightning.ranges import Range, in_range
from ood_lightning.reasons.thumbnails import images_at
from ood_lightning.report.sheet import PER_CONCEPT, contact_sheet

SHOWN = 4  # pictures of a concept in a logger's table


class ConceptSheet(L.Callback):
    """`concepts.png`: the concepts with most images, each with the pictures nearest to it in its clusters.

    Reads the shards that hold these pictures once more; list it after the label sets' writer.

    Args:
        concepts: how many.
    """

    @in_range
    def __init__(self, concepts: Annotated[int, Range(1, 10_000)] = 24) -> None:
        self.concepts = concepts

    @rank_zero_only
    def on_fit_end(self, trainer: L.Trainer, module: Any) -> None:  # noqa: D102
        out = Path(trainer.default_root_dir)
        if not (out / "labels.json").is_file():
            print(f"no pictures of concepts: this fit made no {out / 'labels.json'}")
            return

        labels = LabelSet.read(out / "labels.json").words[: self.concepts]
        data = data_of(trainer, UnlabelledData, self)
        votes = read_votes(out / VOTES, data.manifest, len(data.features))
        election = elect(votes["cluster"], votes["nearest"], votes["cosine"])
        # votes count the words of the label sets' writer
        writer: Any = next(c for c in trainer.callbacks if type(c).__name__ == "LabelSetWriter")  # type: ignore[attr-defined]
        words = writer.corpus.load().words
        rows = {label: _nearest_images(words.index(label), votes, election) for label in labels}

        images = images_at(data.manifest, {row for of_label in rows.values() for row in of_label}, data.features.bad)
        sheet = contact_sheet([(label, [images[row] for row in of_label]) for label, of_label in rows.items()])

        sheet.save(out / "concepts.png", optimize=True)
        log_picture(trainer, out / "concepts.png", "mined/concepts")
        concepts = [[label, *(images[row] for row in of_label[:SHOWN])] for label, of_label in rows.items()]
        columns = ("concept", *(f"picture {i + 1}" for i in range(SHOWN)))
        log_picture_table(
            trainer, "mined/pictures", columns, [row + [None] * (len(columns) - len(row)) for row in concepts]
        )
        print(f"concepts with their pictures: {out / 'concepts.png'}")


def _nearest_images(word: int, votes: dict[str, torch.Tensor], election: Any) -> list[int]:
    """Rows of the images nearest to a concept among those of its clusters, by falling cosine."""
    clusters = election.cluster[election.winner == word]
    in_clusters = torch.isin(votes["cluster"], clusters) & (votes["nearest"] == word)
    rows = in_clusters.nonzero()[:, 0]

    order = votes["cosine"][rows].argsort(descending=True, stable=True)
    return rows[order[: math.prod(PER_CONCEPT)]].tolist()
