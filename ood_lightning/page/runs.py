"""What a run left in its folder, read for the page. What is missing is left out and said, never guessed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ood_lightning.data.artifacts.label_set import LabelSet
from ood_lightning.data.artifacts.typed import decode_json
from ood_lightning.errors import SourceError, UserError
from ood_lightning.hashes import sha256_of
from ood_lightning.reasons.stored import FILE as REASONS
from ood_lightning.reasons.stored import Reasons, read_reasons
from ood_lightning.report.labels import flat
from ood_lightning.report.one_run import check_one_run, unfinished
from ood_lightning.report.stored import latest_settings, read_about, read_results

if TYPE_CHECKING:
    from ood_lightning.metrics.intervals import Comparison
    from ood_lightning.metrics.results import Result

RESULTS, SCORES, DECISIONS = "results.json", "scores.parquet", "decisions.csv"
PROVENANCE = (RESULTS, "results.csv", SCORES, REASONS, DECISIONS, "summary.md")
RECORDED = ("run", "encoder", "corpus", "versions", "bootstrap", "streams", "not_run")  # of `about`
MANIFEST, RUN_SETTINGS = "detector/detector.json", "settings.yaml"  # of `run`; `run -c` takes the latter
OF_DETECTOR = (MANIFEST, "detector/labels.json", "detector/calibration.json", "detector/texts.safetensors")


@dataclass(frozen=True)
class StoredFile:
    """A file of a run.

    Args:
        name: relative to the run's folder.
        size: in bytes.
        sha256: of its content.
    """

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Settings:
    """A run's settings.

    Args:
        command: that takes them.
        file: relative to the run's folder.
        text: YAML, without what an address may hold in secret.
    """

    command: str
    file: str
    text: str


@dataclass(frozen=True)
class _MadeFrom:
    """What the page shows of `detector.json`."""

    encoder: Any = None
    detector: Any = None
    corpus: Any = None
    prompts: Any = None
    supervision: Any = None
    provenance: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PageRun:
    """A run as the page shows it.

    Args:
        name: as the page calls it.
        folder: where it lies.
        results: its rows.
        comparisons: of its detectors.
        metadata: `about` of its `results.json`.
        reasons: why pictures were accepted or rejected; None where it kept none.
        label_sets: by the hash that results name.
        files: that were read.
        facts: what else its `results.json` or its detector records, as name and text.
        config: its settings; None where it kept none.
        remarks: what is missing, and what is to be known.
    """

    name: str
    folder: Path
    results: Sequence[Result]
    comparisons: Sequence[Comparison]
    metadata: Mapping[str, Any]
    reasons: Reasons | None
    label_sets: Mapping[str, LabelSet]
    files: Sequence[StoredFile]
    facts: Sequence[tuple[str, str]]
    config: Settings | None
    remarks: Sequence[str]

    def prefixed(self, prefix: str) -> tuple[list[Result], list[Comparison]]:
        """Rows and comparisons with a text before the names of detectors, so that those of several runs differ."""
        rows = [replace(row, detector=prefix + row.detector) for row in self.results]
        pairs = [
            replace(pair, label_free=prefix + pair.label_free, names_based=prefix + pair.names_based)
            for pair in self.comparisons
        ]
        return rows, pairs


def read_run(path: Path, name: str) -> PageRun:
    """Everything that the page shows of a run.

    Args:
        path: a run's folder, or its `results.json`.
        name: as the page calls it.

    Raises:
        SourceError: there is nothing to show, a file is damaged, or two are of different runs.
    """
    folder = path if path.is_dir() else path.parent
    reasons = read_reasons(folder)
    has_results = (folder / RESULTS).is_file()
    if not has_results and reasons is None:
        raise SourceError(
            f"{path} holds neither {RESULTS} nor {REASONS}: name the folder of a finished `test` or `run`"
        )

    remarks: list[str] = []
    results: list[Result] = []
    comparisons: list[Comparison] = []
    metadata: dict[str, Any] = {}
    if has_results:
        check_one_run(folder)
        results, comparisons = read_results(folder)
        metadata = read_about(folder)
        remarks += unfinished(folder)

    if reasons is None:
        remarks.append(
            f"kept no {REASONS}: list ood_lightning.callbacks.page.ReportPage behind the results' writer and run "
            f"`test` again to see words and pictures"
        )
    elif reasons.run != metadata.get("run", reasons.run):
        remarks.append(f"{REASONS} is of another run and left out: run `test` again")
        reasons = None

    files = [_file(folder, one) for one in PROVENANCE if (folder / one).is_file()]
    files += [_file(folder, str(one.relative_to(folder))) for one in sorted((folder / "labels").glob("*.json"))]
    files += [_file(folder, one) for one in OF_DETECTOR if (folder / one).is_file()]
    config = _config(folder)
    if config is not None:
        files.append(_file(folder, config.file))
    label_sets = _label_sets(folder)
    return PageRun(
        name, folder, results, comparisons, metadata, reasons, label_sets, files, _facts(folder), config, remarks
    )


def _file(folder: Path, name: str) -> StoredFile:
    return StoredFile(name, (folder / name).stat().st_size, sha256_of(folder / name))


def _label_sets(folder: Path) -> dict[str, LabelSet]:
    """Label sets of a run by their hash; what is no label set is a person's own file."""
    label_sets = {}
    for file in [*sorted((folder / "labels").glob("*.json")), folder / "detector" / "labels.json"]:
        if file.is_file():
            try:
                label_set = LabelSet.read(file)
            except UserError:
                continue
            label_sets[label_set.sha256] = label_set
    return label_sets


def _facts(folder: Path) -> list[tuple[str, str]]:
    """What a run's results record for people: encoder, versions, seeds, and what could not run; else its detector's."""
    recorded: dict[str, Any] = {}
    if (folder / MANIFEST).is_file():
        content = (folder / MANIFEST).read_bytes()
        manifest = asdict(decode_json(content, _MadeFrom, str(folder / MANIFEST), SourceError))
        made_by = manifest.pop("provenance")
        recorded = {name: value for name, value in manifest.items() if value is not None}
        recorded |= {name: made_by[name] for name in ("images", "seed", "choice", "versions") if name in made_by}
    if (folder / RESULTS).is_file():
        metadata = json.loads((folder / RESULTS).read_text(encoding="utf-8-sig")).get("about", {})
        recorded |= {name: metadata[name] for name in RECORDED if name in metadata}
    return [(name, text) for name, text in flat(recorded).items() if text not in ("", "null", "[]", "false")]


def _config(folder: Path) -> Settings | None:
    """The settings of a `run`, or of the latest test in a folder."""
    from ood_lightning.data.remote.addresses import redacted

    of_run = folder / RUN_SETTINGS
    command, file = ("run", of_run) if of_run.is_file() else ("test", latest_settings(folder))
    if file is None:
        return None

    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    words = (" ".join(redacted(word) if "://" in word else word for word in line.split(" ")) for line in lines)
    return Settings(command, str(file.relative_to(folder)), "\n".join(words))


def names_of(paths: Sequence[str], names: Sequence[str] | None) -> list[str]:
    """A name for each run: those that a person chose, else those of the folders, else the whole paths."""
    if names:
        return list(names)
    folders = [Path(path) if Path(path).suffix != ".json" else Path(path).parent for path in paths]
    short = [folder.resolve().name for folder in folders]
    return short if len(set(short)) == len(short) else list(paths)
