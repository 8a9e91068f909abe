"""`predict`: a score and the nearest concepts for a person's own pictures."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.words import Corpus
from ood_lightning.detectors.base import Detector
from ood_lightning.encoders.base import Encoder
from ood_lightning.places import FEATURES

if TYPE_CHECKING:
    from ood_lightning.detectors.base import Scorer
    from ood_lightning.detectors.evidence import LabelFeatures


def predict(
    encoder: Encoder,
    images: str,
    label_set: str,
    detector: Detector,
    corpus: Corpus,
    prompts: Prompts = Prompts(),  # noqa: B008
    out: str | None = None,
    concepts: int = 3,
    cache_dir: str = FEATURES,
    batch_size: int = 64,
) -> int:
    """Score pictures: higher is more in-distribution.

    Args:
        encoder: the one that the label set was mined with.
        images: a picture, or a folder with all its subfolders.
        label_set: `labels.json` of a fit.
        detector: how to score; its own `labels` is not looked at.
        corpus: the one that the label set was mined from.
        prompts: the ones that the label set was mined with.
        out: .csv or .jsonl file for the rows; only printed if None.
        concepts: nearest positives to name for each picture.
        cache_dir: folder of all features.
        batch_size: pictures in a batch.
    """
    from ood_lightning.cli.checks import check_least, check_out
    from ood_lightning.cli.device import pick
    from ood_lightning.corpora.texts import TextBank
    from ood_lightning.data.pack.folder import find_pictures
    from ood_lightning.detectors.evidence import Evidence, ImageTower, Inputs, needed
    from ood_lightning.errors import SettingsError
    from ood_lightning.label_sets.ready import ready
    from ood_lightning.label_sets.sources import Stored
    from ood_lightning.label_sets.vocabulary import build_vocabularies

    check_out(out, ".csv", ".jsonl")
    check_least(1, concepts=concepts, batch_size=batch_size)
    passed_over = Counter[str]()
    files = find_pictures(images, passed_over)
    device = pick()
    encoder.load(device)
    bank = TextBank(encoder, cache_dir)
    source = Stored(label_set)
    vocabulary = build_vocabularies({label_set: source}, corpus, prompts, bank)[label_set]
    labels = source.label_set(vocabulary)
    found = ready(labels, vocabulary, device)
    if detector.needs_negatives and not len(found.features.negatives):
        raise SettingsError(f"{type(detector).__name__} needs negatives, the label set {label_set} has none")
    if unnamed := detector.missing():
        raise SettingsError(f"{type(detector).__name__} needs {unnamed}")
    absent = [column for column in detector.columns if column not in ("image", *encoder.extra_features)]
    if absent:
        raise SettingsError(
            f"{type(detector).__name__} reads {' and '.join(absent)} too: give encoder.extra_features: "
            f"[{', '.join(absent)}]"
        )
    tower = ImageTower(encoder.image_shape, encoder.encode_image)
    evidence = Evidence({detector.labels: found}, encoder.fingerprint, tower, Inputs())
    if lacking := evidence.available.lacking(detector.required_inputs):
        raise SettingsError(f"{type(detector).__name__} {needed(lacking)}, which `predict` does not have")
    score = detector.bind(evidence)
    concepts = min(concepts, len(labels.words))
    rows = _scored(files, encoder, score, detector.columns, found.features, found.texts, concepts, batch_size)
    _print(rows)
    if passed_over:
        print("no pictures by name: " + ", ".join(f"{n} {ending}" for ending, n in sorted(passed_over.items())))
    if out is not None:
        _write(Path(out), rows)
        print(f"{len(rows)} rows: {out}")
    return 0


def _scored(
    files: list[Path],
    encoder: Encoder,
    score: Scorer,
    reads: Sequence[str],
    labels: LabelFeatures,
    named: tuple[Any, Any],
    concepts: int,
    batch_size: int,
) -> list[dict[str, Any]]:
    """One row a picture, in order; one that cannot be decoded keeps its row and says why."""
    import torch

    from ood_lightning.data.shards.decode import decode
    from ood_lightning.functional.similarity import top_k
    from ood_lightning.progress import bar

    rows: list[dict[str, Any]] = []
    with bar(len(files), "score", "img") as progress_bar:
        for start in range(0, len(files), batch_size):
            batch, tensors = [], []
            for path in files[start : start + batch_size]:
                row: dict[str, Any] = {
                    "picture": str(path),
                    "score": None,
                    "concepts": [],
                    "nearest_negative": "",
                    "error": "",
                }
                rows.append(row)
                try:
                    tensors.append(encoder.transform(decode(path.read_bytes())))
                    batch.append(row)
                except (ValueError, OSError) as error:
                    row["error"] = f"cannot be decoded: {error}"
            if batch:
                columns = encoder.encode_columns(torch.stack(tensors), [name for name in reads if name != "image"])
                features, scores = columns["image"], score(*(columns[name] for name in reads)).tolist()
                near = top_k(features, labels.positives, concepts)
                far = top_k(features, labels.negatives, 1).indices[:, 0].tolist() if len(labels.negatives) else []
                for i, (row, value) in enumerate(zip(batch, scores, strict=True)):
                    row["score"] = value
                    row["concepts"] = [named[0][j] for j in near.indices[i].tolist()]
                    row["nearest_negative"] = named[1][far[i]] if far else ""
            progress_bar.update(len(files[start : start + batch_size]))
    return rows


def _print(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Column, Table

    columns = (Column("picture", overflow="fold"), "score", "nearest concepts", "nearest negative")
    table = Table(*columns, title="higher score = more in-distribution")
    for row in rows:
        score = row["error"] if row["score"] is None else f"{row['score']:.3f}"
        table.add_row(row["picture"], score, ", ".join(row["concepts"]), row["nearest_negative"])
    Console().print(table)


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({**row, "concepts": "|".join(row["concepts"])} for row in rows)
