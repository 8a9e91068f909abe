"""Writes what a fit is for: label sets, the votes behind them, and measures of both."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import torch
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.rank_zero import rank_zero_info
from safetensors.torch import save
from torch import Tensor

from ood_lightning.callbacks.wandb import log_file, log_table
from ood_lightning.checks import Check
from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.texts import TextBank
from ood_lightning.corpora.words import Corpus
from ood_lightning.data.artifacts.features import FeatureSet
from ood_lightning.data.artifacts.files import atomic_write
from ood_lightning.data.artifacts.label_set import LabelSet
from ood_lightning.data.artifacts.quality import FILE as QUALITY
from ood_lightning.data.artifacts.quality import write_quality
from ood_lightning.data.class_names import read_names
from ood_lightning.datamodules.contracts import NeighbourData, data_of
from ood_lightning.detectors.evidence import Inputs
from ood_lightning.errors import SettingsError
from ood_lightning.label_sets import quality
from ood_lightning.label_sets.base import LabelSource
from ood_lightning.label_sets.checks import kinds, label_set_checks
from ood_lightning.label_sets.clustermine import ClusterMine
from ood_lightning.label_sets.posmine import PosMine
from ood_lightning.label_sets.ready import MadeLabelSet, lacking, make_possible, none_made
from ood_lightning.label_sets.training_images import Clusters, IDTrainingSet, inputs_of
from ood_lightning.label_sets.vocabulary import Vocabulary

SHOWN = 12


class LabelSetWriter(L.Callback):
    """Asks every label source for its set when the fit has ended, also when all its epochs were done before.

    Files in the run's folder: `NAME.json` for each label set, `votes.safetensors` with the cluster and the nearest word
    of each image, and `quality.json`.

    Args:
        corpus: words that images may vote for.
        prompts: templates around each word.
        label_sets: by the name of the file; None: `labels` by ClusterMine and `posmine` by PosMine. Loggers show the
            first one.
        names: a set with a manifest or a text file with the true names; only measured with, never mined with.
    """

    def __init__(
        self,
        corpus: Corpus,
        prompts: Prompts = Prompts(),  # noqa: B008
        label_sets: dict[str, LabelSource] | None = None,
        names: str | None = None,
    ) -> None:
        self.corpus, self.prompts, self.names = corpus, prompts, names
        self.sources = label_sets or {"labels": ClusterMine(), "posmine": PosMine()}
        if Path(QUALITY).stem in self.sources:
            raise SettingsError(f"no label set may be called {Path(QUALITY).stem!r}: the fit writes {QUALITY} itself")

    def checks(self, data: Any) -> list[Check]:
        """What files tell of the label sets and of the true names, before any picture is embedded."""
        bank = TextBank(data.encoder, data.cache_dir)
        checks = label_set_checks(self.sources, self.corpus, self.prompts, bank, kinds(images=True, clusters=True))
        return [*checks, Check("true names", self._look_at_names)]

    def _look_at_names(self) -> str:
        return "none given" if self.names is None else f"{len(read_names(self.names)):,} in {self.names}"

    def on_fit_start(self, trainer: L.Trainer, module: Any) -> None:
        """Say before the training which label sets need what this fit does not have; refuse if all of them do."""
        missing = lacking(self.sources, self._available(trainer, module))
        if len(missing) == len(self.sources):
            raise none_made(missing)
        for name, why in missing.items():
            rank_zero_info(f"label set {name!r} will not be made: it {why}")

    @rank_zero_only
    def on_fit_end(self, trainer: L.Trainer, module: Any) -> None:  # noqa: D102
        data, out = data_of(trainer, NeighbourData, self), Path(trainer.default_root_dir)
        data.encoder.load(trainer.strategy.root_device)
        bank = TextBank(data.encoder, data.cache_dir)

        available = self._available(trainer, module)
        made, reasons = make_possible(self.sources, self.corpus, self.prompts, bank, available)
        for name, one in made.items():
            one.label_set.write(out / f"{name}.json")
        for name, why in reasons.items():
            (out / f"{name}.json").unlink(missing_ok=True)  # of an earlier run, which would be taken for this one's
            print(f"label set {name!r} was not made: {why}")

        votes = self._votes(available, bank)
        # rows say nothing about another set of as many pictures
        atomic_write(out / "votes.safetensors", save(votes, {"id_set": data.manifest.fingerprint}))

        measures = {
            "clusters": quality.clusters(votes, module.settings["n_clusters"]),
            "truth": quality.truth(votes["cluster"], data.features.label),
            "label_sets": self._compared(made, bank),
        }
        write_quality(out / QUALITY, measures)
        self._log(trainer, {name: one.label_set for name, one in made.items()}, quality.logged(measures))

    def _available(self, trainer: L.Trainer, module: Any) -> Inputs:
        """What the fit offers to label sources: its images, and the clusters that it has found at its end."""
        data, device = data_of(trainer, NeighbourData, self), trainer.strategy.root_device
        temi = {name: value for name, value in module.settings.items() if name != "slices"}  # these change nothing
        temi |= {"epochs": trainer.max_epochs, "batch_size": data.batch_size, "n_neighbours": data.n_neighbours}
        if data.self_neighbour:
            temi["self_neighbour"] = True

        images = FeatureSet(data.manifest, data.features)
        available = inputs_of(images, device, fit_settings={"temi": temi, "seed": data.seed})
        return available.offering(Clusters, lambda: Clusters(module.to(device).assign(data.features.image)))

    def _votes(self, available: Inputs, bank: TextBank) -> dict[str, Tensor]:
        """Cluster, nearest word of the corpus and the cosine to it, for each image."""
        vocabulary = Vocabulary(self.corpus.load(), torch.empty(0, 0), self.prompts, bank).encoded()
        nearest = available[IDTrainingSet].nearest(vocabulary)
        return {"cluster": available[Clusters].assignments, "nearest": nearest.indices, "cosine": nearest.values}

    def _compared(self, made: Mapping[str, MadeLabelSet], bank: TextBank) -> dict[str, Any]:
        """Measures of each label set, against the true names where there are some."""
        true_names = None
        if self.names is not None:
            names, prompts = read_names(self.names), self.prompts.without_adjectives()
            true_names = quality.TrueNames(self.names, names, bank.features(names, prompts, "true names"))
        return {name: quality.label_set(one.label_set, one.positives(), true_names) for name, one in made.items()}

    def _log(self, trainer: L.Trainer, label_sets: Mapping[str, LabelSet], measured: dict[str, float]) -> None:
        """Show the numbers and the first label set to loggers, and the words of all sets on the terminal."""
        for logger in trainer.loggers:
            logger.log_metrics(measured, step=trainer.global_step)
            logger.save()
        out, (first, *_) = Path(trainer.default_root_dir), label_sets
        log_file(trainer, out / f"{first}.json", first, "label-set")
        columns = ("label", "clusters", "images", "agreement")
        rows = [[getattr(positive, column) for column in columns] for positive in label_sets[first].positives]
        log_table(trainer, "mined/words", columns, rows)

        for name, label_set in label_sets.items():
            words = ", ".join(label_set.words[:SHOWN])
            print(f"{len(label_set.positives)} positives by {label_set.recipe.get('method')}: {words}, ...")
            print(f"label set: {out / name}.json")
        if "mined/overlap" in measured:
            shares = (f"{what} {100 * measured[f'mined/{what}']:.1f} %" for what in ("overlap", "precision", "f1"))
            print(f"{first!r} against the true names: {', '.join(shares)}")
        print(f"{measured['mined/clusters_in_use']:.0f} clusters in use; measures: {out / QUALITY}")
