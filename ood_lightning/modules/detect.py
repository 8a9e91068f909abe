"""Scores every set with every detector in one pass, and measures how well ID and OOD come apart."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import lightning.pytorch as L
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_info
from torch import Tensor, nn

from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.texts import TextBank
from ood_lightning.corpora.words import Corpus
from ood_lightning.data.features import Features
from ood_lightning.data.labels import LabelSet
from ood_lightning.data.scores import ABOUT, SetScores
from ood_lightning.detectors.base import Detector, Evidence, Scorer, StreamDetector, StreamProtocol
from ood_lightning.encoders.base import Encoder
from ood_lightning.errors import SettingsError, ShardCountError
from ood_lightning.functional.similarity import top_k, unit
from ood_lightning.metrics.ood import ScoreBag
from ood_lightning.metrics.results import Result, evaluate, means
from ood_lightning.modules.label_sources import LabelSource, Stored, label_features, negative_words
from ood_lightning.modules.lexica import lexica
from ood_lightning.modules.streams import evaluate_streams

NEAREST = ("top_positive", "top_negative")
WHENCE = {
    "id_features": "ID training images (data.id_train_shards)",
    "id_labels": "labels of ID training images (.cls in data.id_train_shards)",
}


class DetectModule(L.LightningModule):
    """Label sets, detectors, and one bag of scores per set.

    Args:
        encoder: the data module's, by a link.
        corpus: words that negatives come from; a label set may bring its own (`label_sources.Under`).
        label_sets: by name; a path stands for a label set on disk.
        detectors: by the name that tables show; each reads the label set that its `labels` names.
        prompts: templates around each word.
        explain: label set whose nearest positive and negative are stored with each picture; the first if None.
        cache_dir: folder of all features.
        streams: detectors that learn from the test stream, by the name that tables show.
        protocol: how test streams are put together.
    """

    def __init__(
        self,
        encoder: Encoder,
        corpus: Corpus,
        label_sets: dict[str, LabelSource | str],
        detectors: dict[str, Detector],
        prompts: Prompts = Prompts(),  # noqa: B008
        explain: str | None = None,
        cache_dir: str = ".cache/features",
        streams: dict[str, StreamDetector] | None = None,
        protocol: StreamProtocol = StreamProtocol(),  # noqa: B008
    ) -> None:
        super().__init__()
        self.encoder, self.corpus, self.prompts, self.cache_dir = encoder, corpus, prompts, cache_dir
        self.sources = {name: Stored(s) if isinstance(s, str) else s for name, s in label_sets.items()}
        self.detectors, self.explain = detectors, explain
        self.streams, self.protocol = streams or {}, protocol
        self.bags = nn.ModuleList()
        self.results: list[Result] = []
        self.scores: list[SetScores] = []
        self._check()

    def _check(self) -> None:
        if not self._every or not self.sources:
            raise SettingsError("an evaluation needs at least one detector and one label set")
        twice = self.detectors.keys() & self.streams.keys()
        if twice:
            raise SettingsError(f"{', '.join(sorted(twice))} is in detectors and in streams: give each its own name")
        for name, detector in self._every.items():
            if name in ABOUT:
                raise SettingsError(f"no detector may be called {name!r}: the scores have a column of that name")
            if detector.labels and detector.labels not in self.sources:
                raise SettingsError(
                    f"detector {name!r} reads the label set {detector.labels!r}, the run has {', '.join(self.sources)}"
                )
        if self.explain is None:
            self.explain = next(iter(self.sources))
        elif self.explain not in self.sources:
            raise SettingsError(f"explain is {self.explain!r}, the run's label sets are {', '.join(self.sources)}")

    @property
    def _every(self) -> dict[str, Detector | StreamDetector]:
        return {**self.detectors, **self.streams}

    def setup(self, stage: str) -> None:
        """Make or read every label set and its text features; rank 0 first, the others from its cache."""
        device, strategy = self.trainer.strategy.root_device, self.trainer.strategy
        if not self.trainer.is_global_zero:
            strategy.barrier("label sets")
        self._prepare(device)
        if self.trainer.is_global_zero:
            strategy.barrier("label sets")
        sets = self.trainer.datamodule.sets  # type: ignore[attr-defined]
        self.bags = nn.ModuleList(ScoreBag([*self.scorers, *NEAREST]) for _ in sets)

    def _prepare(self, device: torch.device) -> None:
        self.encoder.load(device)
        bank = TextBank(self.encoder, self.cache_dir)
        under = lexica(self.sources, self.corpus, self.prompts, bank)
        self.label_sets: dict[str, LabelSet] = {n: source.label_set(under[n]) for n, source in self.sources.items()}
        for name, label_set in self.label_sets.items():
            if label_set.edited:
                rank_zero_info(f"label set {name!r} was edited by hand after it was made")
        self.labels = {
            name: label_features(label_set, under[name], self.encoder.logit_scale, device)
            for name, label_set in self.label_sets.items()
        }
        texts = {name: (found.words, negative_words(found, under[name])) for name, found in self.label_sets.items()}
        self._texts = texts[self.explain]  # type: ignore[index]
        encode = {name: partial(bank.encode, prompts=lexicon.prompts) for name, lexicon in under.items()}
        self._bind(Evidence(self.labels, texts=texts, encode=encode), device)

    def _bind(self, evidence: Evidence, device: torch.device) -> None:
        """Give every detector what it needs; one that misses something is listed as not run."""
        given: Features | None = self.trainer.datamodule.id_train  # type: ignore[attr-defined]
        if given is not None:
            labels = given.label.to(device) if (given.label >= 0).any() else None
            evidence = replace(evidence, id_features=unit(given.image.float()).to(device), id_labels=labels)
        self.scorers: dict[str, Scorer] = {}
        self.not_run: dict[str, str] = {}
        self.evidence = evidence
        for name, detector in self._every.items():
            if detector.needs_negatives and not len(self.labels[detector.labels].negatives):
                raise SettingsError(f"detector {name!r} needs negatives, its label set {detector.labels!r} has none")
            lacking = evidence.lacks(detector.inputs)
            if lacking:
                self.not_run[name] = f"needs {' and '.join(WHENCE[field] for field in lacking)}"
            elif isinstance(detector, Detector):
                self.scorers[name] = detector.bind(evidence)
        if len(self.not_run) == len(self._every):
            reasons = "; ".join(f"{name} {reason}" for name, reason in self.not_run.items())
            raise SettingsError(f"no detector can run: {reasons}")

    def test_step(self, batch: dict[str, Tensor], batch_idx: int, dataloader_idx: int = 0) -> None:
        """Score one block of one set."""
        features = unit(batch["image"])
        columns = [score(features) for score in self.scorers.values()]
        # the nearest words travel beside the scores as numbers, exact in float64, so that one gathering does
        columns += [_nearest(features, texts) for texts in self.labels[self.explain][:2]]  # type: ignore[index]
        bag: Any = self.bags[dataloader_idx]
        bag.update(torch.stack(columns, dim=1), batch["id"])

    def on_test_epoch_end(self) -> None:
        """Gather, check that every sample was scored once, and measure."""
        sets = self.trainer.datamodule.sets  # type: ignore[attr-defined]
        self.scores = [self._gathered(i, s) for i, s in enumerate(sets)]
        id_sets = [(s, scored) for s, scored in zip(sets, self.scores, strict=True) if s.role != "ood"]
        ood_sets = [(s, scored) for s, scored in zip(sets, self.scores, strict=True) if s.role == "ood"]
        self.results = [
            evaluate(
                name,
                id_scored.name,
                ood_scored.name,
                id_scored.scores[:, column],
                ood_scored.scores[:, column],
                supervision=self.supervision(name),
                group=ood.group,
                recipe=self._recipe(name),
            )
            for column, name in enumerate(self.scorers)
            for _, id_scored in id_sets
            for ood, ood_scored in ood_sets
        ]
        self.results += self._streamed()
        logged = {
            f"test/{mean.id_set}/{mean.detector}/{metric}": value
            for mean in means(self.results)
            if not mean.group
            for metric, value in (("auroc", mean.auroc), ("fpr_ood@id_tpr95", mean.fpr_ood_at_id_tpr95))
        }
        # equal on every rank: the scores were gathered; sync_dist would only average equal numbers
        self.log_dict(logged, rank_zero_only=True)

    def _streamed(self) -> list[Result]:
        """Rank 0 streams, one defined order after another, and tells the others: all hold the same numbers."""
        running = {name: stream for name, stream in self.streams.items() if name not in self.not_run}
        results: list[Result] = []
        if running and self.trainer.is_global_zero:
            about = {name: (self.supervision(name), self._recipe(name)) for name in running}
            sets = self.trainer.datamodule.sets  # type: ignore[attr-defined]
            device = self.trainer.strategy.root_device
            results = evaluate_streams(running, self.evidence, sets, self.protocol, device, about)
        return self.trainer.strategy.broadcast(results) if running else []

    def supervision(self, detector: str) -> tuple[str, ...]:
        """What a detector was given, by itself and through its label set."""
        found = self._every[detector]
        given = self._label_set(detector).supervision if found.labels else ()
        return tuple(sorted(found.needs | set(given)))

    def _label_set(self, detector: str) -> LabelSet:
        return self.label_sets[self._every[detector].labels]

    def _recipe(self, detector: str) -> str:
        return self._label_set(detector).sha256 if self._every[detector].labels else ""

    def _gathered(self, index: int, eval_set: Any) -> SetScores:
        bag: ScoreBag = self.bags[index]  # type: ignore[assignment]
        ids, scores, duplicates = bag.compute()
        promised = len(eval_set.features)
        if len(ids) != promised or duplicates:
            raise ShardCountError(f"set {eval_set.manifest.name!r} ({duplicates} scored twice)", len(ids), promised)
        features, scores = eval_set.features, scores.cpu()
        rows = scores[:, len(self.scorers) :].long().T.tolist()
        nearest = [[texts[i] if i >= 0 else "" for i in row] for texts, row in zip(self._texts, rows, strict=True)]
        return SetScores(
            features.name, eval_set.role, features.keys, features.label, scores[:, : len(self.scorers)], *nearest
        )


def _nearest(features: Tensor, texts: Tensor) -> Tensor:
    """Row of the nearest text, -1 where there are none, as float64."""
    if not len(texts):
        return torch.full((len(features),), -1.0, dtype=torch.float64, device=features.device)
    return top_k(features, texts, 1).indices[:, 0].double()
