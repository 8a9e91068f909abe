"""Writes what a finished fit elects: `labels.json` (ClusterMine), `posmine.json`, the votes, and `quality.json`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as L
from safetensors.torch import save

from ood_lightning.callbacks.wandb import log_file, log_table
from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.texts import TextBank
from ood_lightning.corpora.words import Corpus
from ood_lightning.data.artifacts.files import atomic_write
from ood_lightning.data.artifacts.label_set import LabelSet
from ood_lightning.data.artifacts.quality import FILE as QUALITY
from ood_lightning.data.artifacts.quality import write_quality
from ood_lightning.data.class_names import read_names
from ood_lightning.label_sets import quality
from ood_lightning.label_sets.clustermine import clustermine
from ood_lightning.label_sets.nearest import nearest_words
from ood_lightning.label_sets.posmine import posmine
from ood_lightning.label_sets.recipe import recipe, with_adjectives

NOT_IN_RECIPE = {"slices"}  # changes nothing
SHOWN = 12


class LabelSetWriter(L.Callback):
    """Votes over a corpus when the fit has ended, also when all its epochs were done before.

    Args:
        corpus: words that clusters may elect.
        prompts: templates around each word.
        min_images: PosMine's M.
        names: a set with a manifest or a text file with the true names; only measured with, never mined with.
    """

    def __init__(
        self,
        corpus: Corpus,
        prompts: Prompts = Prompts(),  # noqa: B008
        min_images: int = 100,
        names: str | None = None,
    ) -> None:
        self.corpus, self.prompts, self.min_images, self.names = corpus, prompts, min_images, names

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Refuse names that cannot be read before the training, not after it."""
        if self.names is not None:
            read_names(self.names)

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
        found: dict[str, Any] = {
            "clusters": quality.clusters(votes, module.hparams.n_clusters),
            "truth": quality.truth(assignments, data.features.label),
            "label_sets": {},
        }
        true = self._true_names(bank)
        row = {word: i for i, word in enumerate(words.words)}
        for name, mined in {"labels": elected, "posmine": counted}.items():
            own = word_features[[row[word] for word in mined.words]]
            found["label_sets"][name] = quality.label_set(mined, own, true)
        write_quality(out / QUALITY, found)
        self._log(trainer, out, elected, quality.logged(found))

    def _true_names(self, bank: TextBank) -> quality.TrueNames | None:
        if self.names is None:
            return None
        names = read_names(self.names)
        return quality.TrueNames(
            self.names, names, bank.features(names, self.prompts.without_adjectives(), "true names")
        )

    def _settings(self, trainer: L.Trainer, module: Any, data: Any) -> dict[str, Any]:
        temi = {k: v for k, v in module.hparams.items() if not k.startswith("_") and k not in NOT_IN_RECIPE}
        temi |= {"epochs": trainer.max_epochs, "batch_size": data.batch_size, "n_neighbours": data.n_neighbours}
        temi |= {"self_neighbour": True} if data.self_neighbour else {}
        return {"temi": temi, "seed": data.seed}

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
        if "mined/overlap" in measured:
            told = (f"{what} {100 * measured[f'mined/{what}']:.1f} %" for what in ("overlap", "precision", "f1"))
            print(f"against the true names: {', '.join(told)}")
        print(f"measures: {out / QUALITY}")
