"""A finished `test` run, read again: what it was made of, its features and its scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.words import Corpus
from ood_lightning.data.artifacts.features import EvalSet
from ood_lightning.data.artifacts.label_set import LabelSet
from ood_lightning.data.artifacts.scores import StoredScores
from ood_lightning.data.artifacts.typed import decode_json
from ood_lightning.data.cards.cards import with_groups
from ood_lightning.data.shards.manifest import Role
from ood_lightning.data.shards.read_manifest import read_manifest
from ood_lightning.datamodules.embedding import embed
from ood_lightning.detectors.base import Detector, StreamDetector
from ood_lightning.encoders.base import Encoder
from ood_lightning.errors import SourceError
from ood_lightning.functional.similarity import unit
from ood_lightning.label_sets.base import LabelSource
from ood_lightning.metrics.base import Metric
from ood_lightning.metrics.results import Result, single
from ood_lightning.metrics.standard import with_standard
from ood_lightning.places import FEATURES
from ood_lightning.report.one_run import check_one_run
from ood_lightning.report.stored import SETTINGS, latest_settings, read_results

ROWS = 1024  # images that are compared with texts at once


@dataclass(frozen=True)
class RunSettings:
    """What a `test` run was made of; the names are those of its config.

    Args:
        encoder: of pictures and texts.
        corpus: of label sets that bring none.
        label_sets: by name.
        detectors: by name.
        id_shards: sources of ID sets.
        ood_shards: of OOD sets, by group.
        covariate_shards: of shifted ID sets.
        prompts: of label sets that bring none.
        explain: label set whose words stand beside the scores.
        cache_dir: folder of all features.
        streams: detectors that learn from the test stream, by name.
        metrics: beside the standard ones, by name.
        max_bad_samples: undecodable pictures that a set may have.
        num_workers: processes that decode pictures whose features are missing.
    """

    encoder: Encoder
    corpus: Corpus
    label_sets: dict[str, LabelSource | str]
    detectors: dict[str, Detector]
    id_shards: list[str]
    ood_shards: dict[str, list[str]]
    covariate_shards: list[str] | None = None
    prompts: Prompts = field(default_factory=Prompts)
    explain: str | None = None
    cache_dir: str = FEATURES
    streams: dict[str, StreamDetector] | None = None
    metrics: dict[str, Metric] | None = None
    max_bad_samples: int = 0
    num_workers: int = 2

    @property
    def sources(self) -> list[tuple[Role, str, str]]:
        """Role, group and source of each set, in the order of the scores."""
        return [
            *(("id", "", source) for source in with_groups(self.id_shards)),
            *(("covariate", "", source) for source in with_groups(self.covariate_shards or [])),
            *(("ood", group, source) for group, sources in self.ood_shards.items() for source in with_groups(sources)),
        ]


def settings_file(run: Path) -> Path:
    """Where the settings of a run's last `test` lie.

    Args:
        run: its folder.

    Raises:
        SourceError: there is none.
    """
    file = latest_settings(run)
    if file is None:
        raise SourceError(f"there is no {run / SETTINGS}: name the folder of a finished `test` run")
    return file


class Parts(NamedTuple):
    """Rows of results, of single sets alone, and whatever else `results.json` says of the run."""

    results: list[Result]
    metadata: dict[str, Any]


class StoredRun:
    """A finished run.

    Args:
        folder: of the run.
        settings: that it was made with.
        device: where images are compared with texts.

    Attributes:
        parts: of `results.json`.
        label_sets: as they were scored, by name.
        scores: of every set.

    Raises:
        SourceError: files are missing, damaged or of several runs.
    """

    def __init__(self, folder: Path, settings: RunSettings, device: torch.device) -> None:
        check_one_run(folder)
        self.folder, self.settings, self.device = folder, settings, device
        self.scores = StoredScores(folder / "scores.parquet")
        self.label_sets = {
            name: LabelSet.read(file)
            for name in settings.label_sets
            if (file := folder / "labels" / f"{name}.json").is_file()
        }
        results, _ = read_results(folder)
        content = decode_json((folder / "results.json").read_bytes(), dict[str, Any], str(folder), SourceError)
        self.parts = Parts(single(results), dict(content.get("about", {})))

    @property
    def explained(self) -> str:
        """Name of the label set whose words stand beside the scores."""
        named = self.settings.explain or next(iter(self.settings.label_sets))
        return named if named in self.label_sets else next(iter(self.label_sets))

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """The run's, by name."""
        return with_standard(self.settings.metrics or {})

    def sets(self) -> list[EvalSet]:
        """All sets with their features, in the order of the scores; what is not stored is embedded.

        Raises:
            SourceError: the scores are of other pictures.
        """
        keys, settings = self.scores.texts("key"), self.settings
        sets = []

        for role, group, source in settings.sources:
            manifest = read_manifest(source, role)
            stored = embed(
                settings.encoder,
                manifest,
                settings.cache_dir,
                device=self.device,
                num_workers=settings.num_workers,
                max_bad_samples=settings.max_bad_samples,
                extra_features=settings.encoder.extra_features,
            )

            features = stored.read(settings.max_bad_samples)
            if list(features.keys) != keys.get(features.name):
                raise SourceError(
                    f"set {features.name!r} ({source}) holds other pictures than {self.folder / 'scores.parquet'} has "
                    f"scores of: run `test` again"
                )
            sets.append(EvalSet(manifest, features, role, group))
        return sets


def in_blocks(images: EvalSet, device: torch.device, call: Callable[[slice, Tensor], object]) -> None:
    """Call a function with the rows and the unit-norm features (b, D) of some images at a time.

    Args:
        images: the set.
        device: of the features.
        call: is called.
    """
    for start in range(0, len(images.features), ROWS):
        rows = slice(start, min(start + ROWS, len(images.features)))
        call(rows, unit(images.features.image[rows].to(device).float()))


def pairs_of(sets: Sequence[EvalSet]) -> list[tuple[EvalSet, EvalSet]]:
    """Every ID or shifted set with every OOD set."""
    return [(one, other) for one in sets if one.role != "ood" for other in sets if other.role == "ood"]
