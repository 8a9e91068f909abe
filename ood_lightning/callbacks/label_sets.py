"""Writes what a fit is for: label sets, the votes behind them, and measures of both."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import torch
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.rank_zero import rank_zero_info
from torch import Tensor

from ood_lightning.callbacks.checkpoint import hash_of_fit
from ood_lightning.callbacks.wandb import log_file, log_lineage, log_memory, log_table
from ood_lightning.checks import Check
from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.texts import TextBank
from ood_lightning.corpora.words import Corpus
from ood_lightning.data.artifacts.features import FeatureSet
from ood_lightning.data.artifacts.label_set import LabelSet
from ood_lightning.data.artifacts.quality import FILE as QUALITY
from ood_lightning.data.artifacts.quality import write_quality
from ood_lightning.data.artifacts.votes import FILE as VOTES
from ood_lightning.data.artifacts.votes import write_votes
from ood_lightning.datamodules.contracts import UnlabelledData, data_of
from ood_lightning.detectors.evidence import Inputs
from ood_lightning.errors import SettingsError
from ood_lightning.file_names import check_names
from ood_lightning.label_sets import quality
from ood_lightning.label_sets.base import LabelSource
from ood_lightning.label_sets.checks import inputs_to_come, label_set_checks
from ood_lightning.label_sets.clustermine import ClusterMine
from ood_lightning.label_sets.id_names import IDSetNames, NamesCheck, foreign_names, true_names, with_id_names
from ood_lightning.label_sets.posmine import PosMine
from ood_lightning.label_sets.ready import MadeLabelSet, lacking, make_possible, none_made
from ood_lightning.label_sets.training_images import Clusters, IDTrainingSet, inputs_of
from ood_lightning.label_sets.vocabulary import Vocabulary, one_text_each

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
        names: a set with a manifest or a text file with the true names; None: those of the ID set, where its manifest
            has some. Only measured with, never mined with.
        names_check: what to do where names are given that are not those of the ID set's manifest.
    """

    def __init__(
        self,
        corpus: Corpus,
        prompts: Prompts = Prompts(),  # noqa: B008
        label_sets: dict[str, LabelSource] | None = None,
        names: str | None = None,
        names_check: NamesCheck = "refuse",
    ) -> None:
        self.corpus, self.prompts, self.names, self.names_check = corpus, prompts, names, names_check
        self.sources = label_sets or {"labels": ClusterMine(), "posmine": PosMine()}
        check_names("label set", self.sources)
        if Path(QUALITY).stem in self.sources:
            raise SettingsError(f"no label set may be called {Path(QUALITY).stem!r}: the fit writes {QUALITY} itself")

    def checks(self, data: Any) -> list[Check]:
        """What files tell of the label sets and of the true names, before any picture is embedded."""
        bank = TextBank(data.encoder, data.cache_dir)
        available = inputs_to_come(data.id_sets, self.names_check, images=True, clusters=True)
        checks = label_set_checks(self.sources, self.corpus, self.prompts, bank, available)
        return [*checks, Check("true names", partial(self._look_at_names, available))]

    def _look_at_names(self, available: Inputs) -> str:
        names = self._true_names(available)
        if names is None:
            return "none, so that nothing is compared with them"
        return "; ".join([f"{len(names):,} to compare with", *self._foreign(names, available)])

    def _foreign(self, names: list[str], available: Inputs) -> list[str]:
        """What is to be said of true names that are not the ID set's own."""
        return [*foreign_names({self.names or "of the ID set": names}, "list of names", available).values()]

    def on_fit_start(self, trainer: L.Trainer, module: Any) -> None:
        """Say before the training which label sets need what this fit does not have; refuse if all of them do."""
        available = self._available(trainer, module)
        self.remarks = self._foreign(self._true_names(available) or [], available) if self.names else []
        missing = lacking(self.sources, available)
        if len(missing) == len(self.sources):
            raise none_made(missing)
        for name, why in missing.items():
            rank_zero_info(f"label set {name!r} will not be made: it {why}")

    @rank_zero_only
    def on_fit_end(self, trainer: L.Trainer, module: Any) -> None:  # noqa: D102
        data, out = data_of(trainer, UnlabelledData, self), Path(trainer.default_root_dir)
        data.encoder.load(trainer.strategy.root_device)
        bank = TextBank(data.encoder, data.cache_dir)

        available = self._available(trainer, module)
        made, reasons = make_possible(self.sources, self.corpus, self.prompts, bank, available)
        corpus = self.corpus.load().sha256
        settings = {"corpus": corpus, "prompts": self.prompts, "sources": self.sources, "names": self.names}
        run = hash_of_fit(trainer, module, data, **settings)
        for name, one in made.items():
            one.label_set.write(out / f"{name}.json", run)
        for name, why in reasons.items():
            (out / f"{name}.json").unlink(missing_ok=True)  # of an earlier run, which would be taken for this one's
            print(f"label set {name!r} was not made: {why}")

        votes = self._votes(available, bank)
        write_votes(out / VOTES, votes, data.manifest, run)

        measures = {
            "run": run,
            "clusters": quality.clusters(votes, module.settings["n_clusters"]),
            "truth": quality.truth(votes["cluster"], data.features.label),
            "label_sets": self._compared(made, bank, available),
        }
        write_quality(out / QUALITY, measures)
        self._log(trainer, data, run, {name: one.label_set for name, one in made.items()}, quality.logged(measures))
        for remark in [*self.remarks, *(one.remark for one in made.values() if one.remark)]:
            print(f"warning: {remark}")

    def _available(self, trainer: L.Trainer, module: Any) -> Inputs:
        """What the fit offers to label sources: its images, and the clusters that it has found at its end."""
        data, device = data_of(trainer, UnlabelledData, self), trainer.strategy.root_device
        images = FeatureSet(data.manifest, data.features)
        available = inputs_of(images, device, fit_settings=module.recipe(trainer))
        available = with_id_names(available, [data.manifest], self.names_check)
        return available.offering(Clusters, lambda: Clusters(module.to(device).assign(data.features.image)))

    def _votes(self, available: Inputs, bank: TextBank) -> dict[str, Tensor]:
        """Cluster, nearest word of the corpus and the cosine to it, for each image."""
        words = one_text_each(self.corpus.load(), self.prompts, bank.encoder)
        vocabulary = Vocabulary(words, torch.empty(0, 0), self.prompts, bank).encoded()
        nearest = available[IDTrainingSet].nearest(vocabulary)
        return {"cluster": available[Clusters].assignments, "nearest": nearest.indices, "cosine": nearest.values}

    def _true_names(self, available: Inputs) -> list[str] | None:
        """Names to measure with; None where none are given and the ID set has none."""
        return true_names(self.names, available) if self.names or IDSetNames in available else None

    def _compared(self, made: Mapping[str, MadeLabelSet], bank: TextBank, available: Inputs) -> dict[str, Any]:
        """Measures of each label set, against the true names where there are some."""
        names, compared = self._true_names(available), None
        if names is not None:
            source = self.names or f"class_names of {available[IDTrainingSet].images.manifest.name}"
            features = bank.features(names, self.prompts.without_adjectives(), "true names")
            compared = quality.TrueNames(source, names, features)
        return {name: quality.label_set(one.label_set, one.positives(), compared) for name, one in made.items()}

    def _log(
        self,
        trainer: L.Trainer,
        data: UnlabelledData,
        run: str,
        label_sets: Mapping[str, LabelSet],
        measured: dict[str, float],
    ) -> None:
        """Show the numbers and the first label set to loggers, and the words of all sets on the terminal."""
        for logger in trainer.loggers:
            logger.log_metrics(measured, step=trainer.global_step)
            logger.save()
        out, (first, *_) = Path(trainer.default_root_dir), label_sets
        features = {"encoder": data.encoder.fingerprint, data.manifest.name: data.manifest.fingerprint}
        log_lineage(trainer, f"features-{data.manifest.name}", "features", features)
        log_lineage(trainer, "heads", "heads", {"run": run, **features})
        made_from = {"heads": run, **features, "label set": label_sets[first].sha256}
        log_file(trainer, out / f"{first}.json", first, "label-set", made_from)
        log_memory(trainer)
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
