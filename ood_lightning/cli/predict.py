"""`predict`: a score and the nearest concepts for a person's own pictures."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.words import Corpus
from ood_lightning.data.artifacts.files import atomic_write
from ood_lightning.data.artifacts.sheets import csv_bytes
from ood_lightning.detectors.base import Detector
from ood_lightning.encoders.base import Encoder
from ood_lightning.errors import SOME_UNREAD, SettingsError, ShardContentError, check_least
from ood_lightning.label_sets.base import LabelSource
from ood_lightning.label_sets.id_names import NamesCheck
from ood_lightning.places import FEATURES, check_out, expanded
from ood_lightning.plurals import listed
from ood_lightning.report.console import console, table

if TYPE_CHECKING:  # in quotes below: where all annotations are texts, jsonargparse imports these to read them
    from torch import Tensor

    from ood_lightning.detectors.base import Scorer
    from ood_lightning.detectors.evidence import ReadyLabelSet


def predict(
    encoder: Encoder,
    images: str,
    label_set: LabelSource | str,
    detector: Detector,
    corpus: Corpus,
    prompts: Prompts = Prompts(),  # noqa: B008
    out: str | None = None,
    concepts: int = 3,
    id_train_shards: str | None = None,
    cache_dir: str = FEATURES,
    batch_size: int = 64,
    names_check: NamesCheck = "refuse",
) -> int:
    """Score pictures: higher is more in-distribution.

    Args:
        encoder: the one that the label set was mined with.
        images: a picture, or a folder with all its subfolders.
        label_set: where the set comes from; a path stands for a label set on disk, such as `labels.json` of a fit.
        detector: how to score; its own `labels` is not looked at.
        corpus: the one that the label set was or is mined from.
        prompts: the ones that the label set was or is mined with.
        out: .csv or .jsonl file for the rows; only printed if None.
        concepts: nearest positives to name for each picture.
        id_train_shards: ID training images, for label sets and detectors that look at some.
        cache_dir: folder of all features.
        batch_size: pictures in a batch.
        names_check: what to do where the label set is given names that are not those of `id_train_shards`.
    """
    from ood_lightning.checks import Check, before_work, file_check
    from ood_lightning.cli.without_trainer import begin, checks_before
    from ood_lightning.data.pack.folder import find_pictures
    from ood_lightning.evaluation.prepare import prepare, why_not
    from ood_lightning.label_sets.sources import as_source

    check_out(out, ".csv", ".jsonl")
    check_least(1, concepts=concepts, batch_size=batch_size)
    passed_over = Counter[str]()
    files = find_pictures(images, passed_over)

    extra_features, name = encoder.extra_features, detector.labels
    kind, sources = type(detector).__name__, {name: as_source(label_set)}
    detectors = {kind: detector}
    checks = checks_before(
        encoder, cache_dir, id_train_shards, names_check, sources, corpus, prompts, detectors=detectors
    )
    if out is not None:
        checks.append(file_check("rows", out, "out"))
    before_work([Check("pictures", lambda: f"{len(files):,} in {images}"), *checks])

    device, bank, available = begin(encoder, cache_dir, id_train_shards, names_check, extra_features=extra_features)
    evidence = prepare(sources, corpus, prompts, bank, available, device).evidence
    if why := why_not(kind, detector, evidence, extra_features):
        raise SettingsError(f"{kind} {why.replace('data.', '')}, which this command was not given")

    scorer = detector.bind(evidence)
    rows = _scored(files, encoder, scorer, detector.columns, evidence.label_sets[name], concepts, batch_size)
    _print(rows)
    if passed_over:
        print(f"no pictures by name: {listed(passed_over)}")
    if out is not None:
        _write(expanded(out), rows)
        print(f"{len(rows)} rows: {out}")

    unread = [row["error"] for row in rows if row["score"] is None]
    if len(unread) == len(rows):
        raise ShardContentError(f"none of the {len(rows)} pictures in {images} could be scored: {unread[0]}")
    return SOME_UNREAD if unread else 0


def _scored(
    files: Sequence[Path],
    encoder: Encoder,
    scorer: "Scorer",
    columns: Sequence[str],
    ready: "ReadyLabelSet",
    concepts: int,
    batch_size: int,
) -> list[dict[str, Any]]:
    """One row a picture, in order; one that cannot be decoded keeps its row and says why."""
    import torch

    from ood_lightning.data.artifacts.unit_vectors import check_directions
    from ood_lightning.progress import bar

    nearest_negative = ready.negatives.nearest()
    rows: list[dict[str, Any]] = []
    with bar(len(files), "score", "img") as progress_bar:
        for start in range(0, len(files), batch_size):
            batch = [_decoded(path, encoder) for path in files[start : start + batch_size]]
            readable = [(row, image) for row, image in batch if image is not None]
            if readable:
                images = torch.stack([image for _, image in readable])  # (b, 3, H, W)
                features = encoder.encode_columns(images, [name for name in columns if name != "image"])
                check_directions(features, f"pictures up to {files[start + len(batch) - 1]}")
                scores = scorer(*(features[name] for name in columns)).tolist()
                named = _nearest_words(features["image"], ready, concepts, nearest_negative(features["image"]))
                for (row, _), score, words in zip(readable, scores, named, strict=True):
                    row |= {"score": score, **words}
            rows += [row for row, _ in batch]
            progress_bar.update(len(batch))
    return rows


def _decoded(path: Path, encoder: Encoder) -> "tuple[dict[str, Any], Tensor | None]":
    """The row of a picture, without a score yet, and its pixels (3, H, W); no pixels where it cannot be decoded."""
    from ood_lightning.data.shards.decode import decode

    row: dict[str, Any] = {"picture": str(path), "score": None, "concepts": [], "nearest_negative": "", "error": ""}
    try:
        return row, encoder.transform(decode(path.read_bytes(), upright=True))
    except (ValueError, OSError) as error:
        return {**row, "error": f"cannot be decoded: {error}"}, None


def _nearest_words(
    features: "Tensor", ready: "ReadyLabelSet", concepts: int, negatives: "Tensor"
) -> list[dict[str, Any]]:
    """The nearest positives and the nearest negative of each image, as parts of its row.

    Args:
        features: unit-norm, shape (b, D).
        ready: whose words are named.
        concepts: positives for each image, at most.
        negatives: position of the nearest negative, shape (b,); -1 where there is none.
    """
    from ood_lightning.functional.similarity import top_k

    texts = ready.texts
    positives = top_k(features, ready.positives.features, min(concepts, len(texts.positives))).indices.tolist()
    return [
        {"concepts": [texts.positives[i] for i in row], "nearest_negative": texts.negatives[at] if at >= 0 else ""}
        for row, at in zip(positives, negatives.tolist(), strict=True)
    ]


def _print(rows: list[dict[str, Any]]) -> None:
    cells = [
        [
            row["picture"],
            row["error"] if row["score"] is None else f"{row['score']:.3f}",
            ", ".join(row["concepts"]),
            row["nearest_negative"],
        ]
        for row in rows
    ]
    columns = ("picture", "score", "nearest concepts", "nearest negative")
    console().print(table("higher score = more in-distribution", columns, cells))


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    if path.suffix.lower() == ".jsonl":
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        # a byte of a file name that is no UTF-8 is spelt as JSON spells it, so that readers get the name back
        atomic_write(path, lines.encode("utf-8", "backslashreplace"))
    else:
        cells = [{**row, "concepts": "|".join(row["concepts"])}.values() for row in rows]
        atomic_write(path, csv_bytes([list(rows[0]), *cells]))
