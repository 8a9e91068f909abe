"""A run's scores on disk: written whole, and read a column at a time."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from benchmarks.rows import Row, Ways
from ood_lightning.data.artifacts.scores import SetScores, StoredScores, write_scores
from ood_lightning.metrics.joined_scores import JoinedScores
from ood_lightning.metrics.score_collector import ScoreCollector

DETECTORS = [f"detector {k}" for k in range(10)]
WORDS = [f"word {i}" for i in range(1500)]


def rows(small: bool) -> list[Row]:
    n = 2_000 if small else 1_000_000
    sizes = f"{n:,} rows, {len(DETECTORS)} detectors"
    return [
        Row(
            "scores-write",
            "scores.parquet, written",
            sizes,
            "one table of Python lists, by pyarrow",
            "ours at most 120 bytes a row, 114 MiB",
            partial(_writing, n),
            repeats=3,
        ),
        Row(
            "scores-read",
            "scores.parquet, a column read",
            sizes,
            "the whole table as Python lists, by pyarrow",
            "ours at most 60 bytes a row, 57 MiB",
            partial(_reading, n),
            repeats=3,
        ),
        Row(
            "scores-read-all",
            "scores.parquet, all columns read in turn",
            sizes,
            "the whole table as one array, by pyarrow and numpy",
            "ours at most 60 bytes a row, 57 MiB",
            partial(_reading_all, n),
            repeats=3,
        ),
    ]


def _scores(n: int) -> SetScores:
    draw = torch.Generator().manual_seed(0)
    collector = ScoreCollector([*DETECTORS, "positive", "negative"])
    for ids in torch.arange(n).split(1024):
        nearest = torch.stack([ids % len(WORDS), 7 * ids % len(WORDS)], dim=1)
        scores = torch.randn(len(ids), len(DETECTORS), generator=draw, dtype=torch.float64)
        collector.update(torch.cat([scores, nearest], dim=1), ids)

    keys = [f"n{i % 1000:08d}/ILSVRC2012_val_{i:08d}" for i in range(n)]
    table = JoinedScores("imagenet", [collector.in_order()], n, len(DETECTORS) + 2)
    return SetScores("imagenet", "id", keys, torch.arange(n) % 1000, table, (WORDS, WORDS))


def _writing(n: int) -> Ways:
    scores = _scores(n)
    folder = TemporaryDirectory()  # as long as the ways are there
    return _releasing(
        {
            "table": lambda: _write_table(Path(folder.name, "table.parquet"), scores),
            "ours": lambda: write_scores(Path(folder.name, "ours.parquet"), DETECTORS, [scores]),
        }
    )


def _reading(n: int) -> Ways:
    folder = TemporaryDirectory()
    write_scores(Path(folder.name, "scores.parquet"), DETECTORS, [_scores(n)])
    return _releasing(
        {
            "table": lambda: _table(folder).to_pydict(),
            "ours": lambda: StoredScores(Path(folder.name, "scores.parquet")).column(DETECTORS[3]),
        }
    )


def _reading_all(n: int) -> Ways:
    folder = TemporaryDirectory()
    write_scores(Path(folder.name, "scores.parquet"), DETECTORS, [_scores(n)])

    def ours() -> None:
        stored = StoredScores(Path(folder.name, "scores.parquet"))
        for detector in DETECTORS:
            stored.column(detector)

    stacked = lambda: np.stack([column.to_numpy() for column in _table(folder)], axis=1)  # noqa: E731
    return _releasing({"table": stacked, "ours": ours})


def _releasing(ways: Ways) -> Ways:
    """The same ways, which give back at their end what pyarrow keeps for later: the next turn's peak would lack it."""

    def released(work: Callable[[], object]) -> None:
        work()
        pa.default_memory_pool().release_unused()

    return {name: partial(released, work) for name, work in ways.items()}


def _table(folder: TemporaryDirectory[str]) -> pa.Table:
    return pq.read_table(Path(folder.name, "scores.parquet"), page_checksum_verification=True).select(DETECTORS)


def _write_table(path: Path, scored: SetScores) -> None:
    n = len(scored.keys)
    *scores, positives, negatives = scored.scores.rows(0, n)
    nearest = {
        name: [WORDS[row] for row in rows.long().tolist()]
        for name, rows in (("top_positive", positives), ("top_negative", negatives))
    }
    about = {
        "key": scored.keys,
        "dataset": [scored.name] * n,
        "role": [scored.role] * n,
        "label": scored.label.tolist(),
    }
    columns = {name: column.numpy() for name, column in zip(DETECTORS, scores, strict=True)}
    pq.write_table(pa.table({**about, **nearest, **columns}), path, write_page_checksum=True)
