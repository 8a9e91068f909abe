"""Scores every set with every detector in one pass, and measures how well ID and OOD come apart."""

from collections.abc import Callable, Sequence
from typing import Any

import lightning.pytorch as L
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_info
from torch import Tensor

from ood_lightning.checks import Check
from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.texts import TextBank
from ood_lightning.corpora.words import Corpus
from ood_lightning.data.artifacts.scores import ABOUT, SetScores
from ood_lightning.datamodules.contracts import EvalData, data_of
from ood_lightning.detectors.base import Detector, Scorer, StreamDetector, StreamProtocol
from ood_lightning.detectors.evidence import Inputs
from ood_lightning.detectors.image_texts import text_checks
from ood_lightning.encoders.base import Encoder
from ood_lightning.errors import SettingsError
from ood_lightning.evaluation.join import join_scores, remove_shares
from ood_lightning.evaluation.model_gate import Gate, gate_model
from ood_lightning.evaluation.prepare import check_dimensions, prepare, why_not
from ood_lightning.evaluation.streams import Provenance, StreamScores, evaluate_streams
from ood_lightning.file_names import check_names
from ood_lightning.functional.similarity import unit
from ood_lightning.label_sets.base import LabelSource
from ood_lightning.label_sets.checks import inputs_to_come, label_set_checks
from ood_lightning.label_sets.id_names import NamesCheck, with_id_names
from ood_lightning.label_sets.sources import as_source
from ood_lightning.label_sets.training_images import inputs_of
from ood_lightning.metrics.base import Metric
from ood_lightning.metrics.joined_scores import JoinedScores
from ood_lightning.metrics.results import Result, evaluate, means
from ood_lightning.metrics.score_collector import ScoreCollector
from ood_lightning.metrics.shown_names import check_shown_names
from ood_lightning.metrics.standard import STANDARD, with_standard
from ood_lightning.places import FEATURES

NEAREST = ("top_positive", "top_negative")


class DetectModule(L.LightningModule):
    """Label sets, detectors, and one collector of scores for each set.

    Attributes:
        results: rows of single sets; there after the test's last batch, on every rank.
        scores: of each set; on rank 0 alone, and of several ranks only until the test ends.
        stream_scores: of detectors that learn from the stream; 8 bytes an image and order, on rank 0 alone.

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
        names_check: what to do where a label set is given names that are not those of the ID sets' manifests.
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
        names_check: NamesCheck = "refuse",
    ) -> None:
        super().__init__()
        self.encoder, self.corpus, self.prompts = encoder, corpus, prompts
        self.bank = TextBank(encoder, cache_dir)
        self.sources = {name: as_source(source) for name, source in label_sets.items()}
        self.detectors = detectors
        self.streams, self.protocol, self.gate = streams or {}, protocol, gate
        self.every: dict[str, Detector | StreamDetector] = {**detectors, **self.streams}
        self.metrics, self.names_check = with_standard(metrics or {}), names_check
        self.explain = explain or next(iter(self.sources), "")
        self._check()

    def _check(self) -> None:
        if not self.every or not self.sources:
            raise SettingsError("an evaluation needs at least one detector and one label set")
        check_names("label set", self.sources)
        if twice := self.detectors.keys() & self.streams.keys():
            raise SettingsError(f"{', '.join(sorted(twice))} is in detectors and in streams: give each its own name")

        check_shown_names("detector", self.every)
        check_shown_names("label set", self.sources)
        for name, detector in self.every.items():
            if name in ABOUT:
                raise SettingsError(f"no detector may be called {name!r}: the scores have a column of that name")
            if detector.labels is None:
                raise SettingsError(f"detector {name!r} has labels: null: put quotes around a label set's name")
            if detector.labels and detector.labels not in self.sources:
                raise SettingsError(
                    f"detector {name!r} reads the label set {detector.labels!r}, the run has {', '.join(self.sources)}"
                )

        if self.explain not in self.sources:
            raise SettingsError(f"explain is {self.explain!r}, the run's label sets are {', '.join(self.sources)}")

    def checks(self, data: Any) -> list[Check]:
        """What files tell of label sets and detectors, before any picture is embedded."""
        images = getattr(data, "id_train_shards", "") is not None
        available = inputs_to_come(getattr(data, "id_sets", list), self.names_check, images=images)
        of_label_sets = label_set_checks(self.sources, self.corpus, self.prompts, self.bank, available, self.every)
        return of_label_sets + text_checks(self.streams)

    def setup(self, stage: str) -> None:
        """Check the model, make or read every label set and its text features; rank 0 first, others from its cache."""
        self.data = data_of(self.trainer, EvalData, self)
        strategy = self.trainer.strategy
        self.top1 = gate_model(self.trainer, self.data.sets, self.bank, self.prompts, self.gate)

        if not self.trainer.is_global_zero:
            strategy.barrier("label sets")
        self._prepare(strategy.root_device)
        self._bind()
        if self.trainer.is_global_zero:
            strategy.barrier("label sets")

        self.stream_scores: list[StreamScores] = []
        self.collectors = [ScoreCollector([*self.scorers, *NEAREST]) for _ in self.data.sets]

    def _prepare(self, device: torch.device) -> None:
        """Label sets, evidence, and the label set that explains the images."""
        self.encoder.load(device)
        id_train = self.data.id_train
        available = Inputs() if id_train is None else inputs_of(id_train, device)
        id_sets = [one.manifest for one in self.data.sets if one.role == "id"]
        id_sets += [id_train.manifest] if id_train is not None else []
        available = with_id_names(available, id_sets, self.names_check)
        prepared = prepare(self.sources, self.corpus, self.prompts, self.bank, available, device)
        self.evidence, self.not_made, self.remarks = prepared

        label_sets = self.evidence.label_sets
        self.explained = self.explain if self.explain in label_sets else next(iter(label_sets))
        if self.explain in self.not_made:
            reason = self.not_made[self.explain]
            rank_zero_info(f"pictures are explained by label set {self.explained!r}: {self.explain!r} {reason}")

        images = [one.features for one in (*self.data.sets, id_train) if one is not None]
        check_dimensions(images, label_sets[self.explained].positives.features.shape[1], self.encoder.name)

    def _bind(self) -> None:
        """Bind every detector that can run, list the others as not run, and ask the data for the columns they read."""
        reasons = {
            name: self.not_made.get(detector.labels)
            or why_not(name, detector, self.evidence, self.encoder.extra_features)
            for name, detector in self.every.items()
        }
        self.not_run = {name: why for name, why in reasons.items() if why}
        if len(self.not_run) == len(self.every):
            raise SettingsError(f"no detector can run: {'; '.join(f'{name} {why}' for name, why in reasons.items())}")

        running = {name: detector for name, detector in self.detectors.items() if name not in self.not_run}
        self.scorers: dict[str, Scorer] = {
            name: _called(f"detector {name!r}", detector.bind, self.evidence) for name, detector in running.items()
        }
        explained = self.evidence.label_sets[self.explained]
        self.nearest = explained.positives.nearest(), explained.negatives.nearest()
        columns = {column for detector in running.values() for column in detector.columns}
        self.data.read_columns(sorted(columns - {"image"}))

    def test_step(self, batch: dict[str, Tensor], batch_idx: int, dataloader_idx: int = 0) -> None:
        """Score one block of one set."""
        features = {**batch, "image": unit(batch["image"])}
        scores = [
            _called(
                f"detector {name!r} cannot score",
                scorer,
                *(features[column] for column in self.detectors[name].columns),
            )
            for name, scorer in self.scorers.items()
        ]

        # the nearest words are kept beside the scores as numbers, exact in float64, so that they go one way
        scores += [nearest(features["image"]).double() for nearest in self.nearest]
        self.collectors[dataloader_idx].update(torch.stack(scores, dim=1), batch["id"])  # (B, detectors + 2)

    def on_test_epoch_end(self) -> None:
        """Rank 0 joins the scores, checks that every image was scored once, measures, and tells the others."""
        joined = join_scores(self.trainer, self.collectors, self.data.sets)
        results: list[Result] = []

        if self.trainer.is_global_zero:
            texts = self.evidence.label_sets[self.explained].texts
            self.scores = [
                SetScores(one.features.name, one.role, one.features.keys, one.features.label, scores, texts)
                for one, scores in zip(self.data.sets, joined, strict=True)
            ]
            results = [*self._measured(joined), *self._streamed()]
        self.results: list[Result] = self.trainer.strategy.broadcast(results)

        logged = {
            f"test/{mean.id_set}/{mean.detector}/{metric}": estimate.value
            for mean in means(self.results)
            if not mean.group
            for metric, estimate in mean.metrics.items()
            if metric in ("auroc", "fpr_ood@id_tpr95") or metric not in STANDARD
        }
        # equal on every rank: rank 0 told all of them; sync_dist would only average equal numbers
        self.log_dict(logged, rank_zero_only=True)

    def on_test_end(self) -> None:
        """Remove what ranks exchanged, once callbacks have written what they want of it."""
        remove_shares(self.trainer)

    def _measured(self, joined: Sequence[JoinedScores]) -> list[Result]:
        """A row for each detector, ID set and OOD set; of the scores, one detector's are in memory at a time."""
        sets = list(enumerate(self.data.sets))
        pairs = [(i, k) for i, id_set in sets if id_set.role != "ood" for k, ood_set in sets if ood_set.role == "ood"]

        results = []
        for number, name in enumerate(self.scorers):
            columns = [scores.column(number) for scores in joined]
            results += [
                evaluate(
                    name,
                    self.data.sets[i].features.name,
                    self.data.sets[k].features.name,
                    columns[i],
                    columns[k],
                    **self._provenance(name)._asdict(),
                    group=self.data.sets[k].group,
                    metrics=self.metrics,
                )
                for i, k in pairs
            ]

        return results

    def _streamed(self) -> list[Result]:
        """Rows of the detectors that learn from the stream, one defined order after another."""
        running = {name: stream for name, stream in self.streams.items() if name not in self.not_run}
        if not running:
            return []

        results: list[Result] = _called(
            "test streams",
            evaluate_streams,
            running,
            self.evidence,
            self.data.sets,
            self.protocol,
            self.trainer.strategy.root_device,
            {name: self._provenance(name) for name in running},
            self.metrics,
            self.stream_scores.append,
        )
        return results

    def _provenance(self, name: str) -> Provenance:
        """Supervision of a detector, its own and that of its label set, and the hash of that set."""
        detector = self.every[name]
        if not detector.labels:
            return Provenance(tuple(sorted(detector.supervision)), "")
        label_set = self.evidence.label_sets[detector.labels].label_set
        return Provenance(tuple(sorted(detector.supervision.union(label_set.supervision))), label_set.sha256)


def _called(what: str, call: Callable[..., Any], *arguments: object) -> Any:
    """What a call gives; if it refuses its arguments, the error says what was tried."""
    try:
        return call(*arguments)
    except ValueError as error:
        raise SettingsError(f"{what}: {error}") from error
