"""Scores every set with every detector in one pass, and measures how well ID and OOD come apart."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as L
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_info
from torch import Tensor, nn

from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.texts import TextBank
from ood_lightning.corpora.words import Corpus
from ood_lightning.data.artifacts.label_set import LabelSet
from ood_lightning.data.artifacts.scores import ABOUT, SetScores
from ood_lightning.detectors.base import Detector, Scorer
from ood_lightning.detectors.evidence import Evidence, needed
from ood_lightning.detectors.stream import StreamDetector, StreamProtocol
from ood_lightning.encoders.base import Encoder
from ood_lightning.errors import SettingsError, ShardCountError
from ood_lightning.evaluation.model_gate import Gate, checked
from ood_lightning.evaluation.prepare import check_dimensions, prepare
from ood_lightning.evaluation.streams import evaluate_streams
from ood_lightning.functional.similarity import top_k, unit
from ood_lightning.label_sets.sources import LabelSource, Stored
from ood_lightning.metrics.base import Metric
from ood_lightning.metrics.results import Result, evaluate, means
from ood_lightning.metrics.score_collector import ScoreCollector
from ood_lightning.metrics.standard import STANDARD, with_standard
from ood_lightning.places import FEATURES

NEAREST = ("top_positive", "top_negative")


class DetectModule(L.LightningModule):
    """Label sets, detectors, and one bag of scores per set.

    Args:
        encoder: the data module's, by a link.
        corpus: words that negatives come from; a label set may bring its own (`label_sets.sources.WithCorpus`).
        label_sets: by name; a path stands for a label set on disk.
        detectors: by the name that tables show; each reads the label set that its `labels` names.
        prompts: templates around each word.
        explain: label set whose nearest positive and negative are stored with each picture; the first that can be made
            if None, or if the one that is named cannot.
        cache_dir: folder of all features.
        streams: detectors that learn from the test stream, by the name that tables show.
        protocol: how test streams are put together.
        gate: what to do where the zero-shot top-1 of a set that has a card is not what was published for the encoder.
        metrics: further metrics by the name that tables show, beside the five standard ones.
    """

    def __init__(
        self,
        encoder: Encoder,
        corpus: Corpus,
        label_sets: dict[str, LabelSource | str],
        detectors: dict[str, Detector],
        prompts: Prompts = Prompts(),  # noqa: B008
        explain: str | None = None,
        cache_dir: str = FEATURES,
        streams: dict[str, StreamDetector] | None = None,
        protocol: StreamProtocol = StreamProtocol(),  # noqa: B008
        gate: Gate = "refuse",
        metrics: dict[str, Metric] | None = None,
    ) -> None:
        super().__init__()
        self.encoder, self.corpus, self.prompts, self.cache_dir = encoder, corpus, prompts, cache_dir
        self.sources = {name: Stored(s) if isinstance(s, str) else s for name, s in label_sets.items()}
        self.detectors, self.explain = detectors, explain
        self.streams, self.protocol, self.gate = streams or {}, protocol, gate
        self.metrics = with_standard(metrics or {})
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
        """Check the model, make or read every label set and its text features; rank 0 first, others from its cache."""
        device, strategy = self.trainer.strategy.root_device, self.trainer.strategy
        self.top1 = checked(self.trainer, TextBank(self.encoder, self.cache_dir), self.prompts, self.gate)
        if not self.trainer.is_global_zero:
            strategy.barrier("label sets")
        self._prepare(device)
        if self.trainer.is_global_zero:
            strategy.barrier("label sets")
        sets = self.trainer.datamodule.sets  # type: ignore[attr-defined]
        self.bags = nn.ModuleList(ScoreCollector([*self.scorers, *NEAREST]) for _ in sets)

    def _prepare(self, device: torch.device) -> None:
        self.encoder.load(device)
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        bank = TextBank(self.encoder, self.cache_dir)
        self.label_sets, self.unmade, self.evidence = prepare(
            self.encoder, self.sources, self.corpus, self.prompts, bank, data.id_train, device
        )
        self.labels = {name: found.features for name, found in self.evidence.label_sets.items()}
        wanted = self.explain or ""
        self.explained = wanted if wanted in self.labels else next(iter(self.labels))
        if wanted in self.unmade:
            rank_zero_info(f"pictures are explained by label set {self.explained!r}: {wanted!r} {self.unmade[wanted]}")
        learned = [] if data.id_train is None else [data.id_train]
        dim = self.labels[self.explained].positives.shape[1]
        check_dimensions([*(s.features for s in data.sets), *learned], dim, self.encoder.name)
        self._bind()

    def _bind(self) -> None:
        """Give every detector what it needs; one that misses something is listed as not run."""
        self.scorers: dict[str, Scorer] = {}
        self.not_run: dict[str, str] = {}
        self.columns = {name: detector.columns for name, detector in self.detectors.items()}
        for name, detector in self._every.items():
            if detector.labels in self.unmade:
                self.not_run[name] = self.unmade[detector.labels]
                continue
            if detector.needs_negatives and not len(self.labels[detector.labels].negatives):
                raise SettingsError(f"detector {name!r} needs negatives, its label set {detector.labels!r} has none")
            lacking, unnamed = self.evidence.available.lacking(detector.required_inputs), detector.missing()
            absent = [c for c in self.columns.get(name, ()) if c not in ("image", *self.encoder.extra_features)]
            if unnamed:
                self.not_run[name] = f"needs {unnamed.replace('<name>', name)}"
            elif lacking or absent:
                self.not_run[name] = needed(lacking, absent)
            elif isinstance(detector, Detector):
                self.scorers[name] = _bound(name, detector, self.evidence)
        read = {column for name in self.scorers for column in self.columns[name]}
        self.trainer.datamodule.columns = tuple(sorted(read - {"image"}))  # type: ignore[attr-defined]
        if len(self.not_run) == len(self._every):
            reasons = "; ".join(f"{name} {why}" for name, why in self.not_run.items())
            raise SettingsError(f"no detector can run: {reasons}")

    def test_step(self, batch: dict[str, Tensor], batch_idx: int, dataloader_idx: int = 0) -> None:
        """Score one block of one set."""
        features = unit(batch["image"])
        given = {**batch, "image": features}
        columns = [_scored(n, score, [given[c] for c in self.columns[n]]) for n, score in self.scorers.items()]
        # the nearest words travel beside the scores as numbers, exact in float64, so that one gathering does
        columns += [_nearest(features, texts) for texts in self.labels[self.explained][:2]]
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
                metrics=self.metrics,
            )
            for column, name in enumerate(self.scorers)
            for _, id_scored in id_sets
            for ood, ood_scored in ood_sets
        ]
        self.results += self._streamed()
        logged = {
            f"test/{mean.id_set}/{mean.detector}/{metric}": estimate.value
            for mean in means(self.results)
            if not mean.group
            for metric, estimate in mean.metrics.items()
            if metric in ("auroc", "fpr_ood@id_tpr95") or metric not in STANDARD
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
            try:
                results = evaluate_streams(running, self.evidence, sets, self.protocol, device, about, self.metrics)
            except ValueError as error:
                raise SettingsError(f"test streams: {error}") from error
        return self.trainer.strategy.broadcast(results) if running else []

    def supervision(self, detector: str) -> tuple[str, ...]:
        """What a detector was given, by itself and through its label set."""
        found = self._every[detector]
        given = self._label_set(detector).supervision if found.labels else ()
        return tuple(sorted(found.supervision | set(given)))

    def _label_set(self, detector: str) -> LabelSet:
        return self.label_sets[self._every[detector].labels]

    def _recipe(self, detector: str) -> str:
        return self._label_set(detector).sha256 if self._every[detector].labels else ""

    def _gathered(self, index: int, eval_set: Any) -> SetScores:
        bag: ScoreCollector = self.bags[index]  # type: ignore[assignment]
        ids, scores, duplicates = bag.compute()
        promised = len(eval_set.features)
        if len(ids) != promised or duplicates:
            raise ShardCountError(f"set {eval_set.manifest.name!r} ({duplicates} scored twice)", len(ids), promised)
        features, scores = eval_set.features, scores.cpu()
        rows = scores[:, len(self.scorers) :].long().T.tolist()
        sides = zip(self.evidence.label_sets[self.explained].texts, rows, strict=True)
        nearest = [[texts[i] if i >= 0 else "" for i in row] for texts, row in sides]
        return SetScores(
            features.name, eval_set.role, features.keys, features.label, scores[:, : len(self.scorers)], *nearest
        )


def _bound(name: str, detector: Detector, evidence: Evidence) -> Scorer:
    try:
        return detector.bind(evidence)
    except ValueError as error:
        raise SettingsError(f"detector {name!r}: {error}") from error


def _scored(name: str, score: Scorer, columns: list[Tensor]) -> Tensor:
    try:
        return score(*columns)
    except ValueError as error:
        raise SettingsError(f"detector {name!r} cannot score: {error}") from error


def _nearest(features: Tensor, texts: Tensor) -> Tensor:
    """Row of the nearest text, -1 where there are none, as float64."""
    if not len(texts):
        return torch.full((len(features),), -1.0, dtype=torch.float64, device=features.device)
    return top_k(features, texts, 1).indices[:, 0].double()
