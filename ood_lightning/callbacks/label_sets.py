"""Writes what a finished fit elects: `labels.json` (ClusterMine), `posmine.json`, and the votes themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as L
import torch
from safetensors.torch import save

from ood_lightning.callbacks.wandb import log_file, log_table
from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.texts import TextBank
from ood_lightning.corpora.words import Corpus
from ood_lightning.data.files import atomic_write
from ood_lightning.data.labels import LabelSet
from ood_lightning.functional.votes import elect, quality
from ood_lightning.mining.clustermine import clustermine
from ood_lightning.mining.nearest import nearest_words
from ood_lightning.mining.posmine import posmine
from ood_lightning.mining.recipe import recipe, with_adjectives

NOT_IN_RECIPE = {"slices"}  # changes nothing
SHOWN = 12


class LabelSetWriter(L.Callback):
    """Votes over a corpus when the fit has ended, also when all its epochs were done before.

    Args:
        corpus: words that clusters may elect.
        prompts: templates around each word.
        min_images: PosMine's M.
    """

    def __init__(self, corpus: Corpus, prompts: Prompts = Prompts(), min_images: int = 100) -> None:  # noqa: B008
        self.corpus, self.prompts, self.min_images = corpus, prompts, min_images

    def on_fit_end(self, trainer: L.Trainer, module: Any) -> None:  # noqa: D102
        if not trainer.is_global_zero:
            return  # a vote takes seconds; the ranks' work is over
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        device, out = trainer.strategy.root_device, Path(trainer.default_root_dir)
        words = self.corpus.load()
        data.encoder.load(device)
        bank = TextBank(data.encoder, data.cache_dir)
        word_features = bank.features(words.words, self.prompts, words.name, words.parts)
        assignments = module.to(device).assign(data.features.image)
        nearest = nearest_words(data.features.image, word_features, device)
        about = recipe(words, self.prompts, data.encoder, data.manifest, **self._settings(trainer, module, data))
        elected = clustermine(assignments, nearest.indices, nearest.values, words.words, about)
        counted = posmine(nearest.indices, words.words, self.min_images, about)
        elected, counted = (with_adjectives(mined, words, self.prompts) for mined in (elected, counted))
        elected.write(out / "labels.json")
        counted.write(out / "posmine.json")
        of_set = {"id_set": data.manifest.fingerprint}  # rows say nothing about another set of as many pictures
        votes = {"cluster": assignments, "nearest": nearest.indices, "cosine": nearest.values}
        atomic_write(out / "votes.safetensors", save({k: v.contiguous() for k, v in votes.items()}, of_set))
        self._log(trainer, out, elected, self._measured(votes, elected, module.hparams.n_clusters))

    def _settings(self, trainer: L.Trainer, module: Any, data: Any) -> dict[str, Any]:
        temi = {k: v for k, v in module.hparams.items() if not k.startswith("_") and k not in NOT_IN_RECIPE}
        temi |= {"epochs": trainer.max_epochs, "batch_size": data.batch_size, "n_neighbours": data.n_neighbours}
        temi |= {"self_neighbour": True} if data.self_neighbour else {}
        return {"temi": temi, "seed": data.seed}

    def _measured(self, votes: dict[str, torch.Tensor], elected: LabelSet, n_clusters: int) -> dict[str, float]:
        election = elect(votes["cluster"], votes["nearest"], votes["cosine"])
        found = quality(votes["cluster"], votes["nearest"], election, n_clusters)
        size = election.size.double()
        return {
            "mined/positives": len(elected.positives),
            "mined/clusters_in_use": len(size),
            "mined/cluster_size_min": float(size.min()),
            "mined/cluster_size_median": float(size.median()),
            "mined/cluster_size_max": float(size.max()),
            **{f"mined/{name}": float(value) for name, value in found._asdict().items()},
        }

    def _log(self, trainer: L.Trainer, out: Path, elected: LabelSet, measured: dict[str, float]) -> None:
        for logger in trainer.loggers:
            logger.log_metrics(measured, step=trainer.global_step)
            logger.save()
        log_file(trainer, out / "labels.json", "labels", "label-set")
        columns = ("label", "clusters", "images", "agreement")
        log_table(trainer, "mined/words", columns, [[getattr(p, c) for c in columns] for p in elected.positives])
        best = ", ".join(elected.words[:SHOWN])
        print(f"{len(elected.positives)} positives from {measured['mined/clusters_in_use']:.0f} clusters: {best}, ...")
        print(f"label sets: {out / 'labels.json'} (ClusterMine), {out / 'posmine.json'} (PosMine)")
