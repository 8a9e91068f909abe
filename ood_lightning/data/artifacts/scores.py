"""Scores on disk: one Parquet file per run, one row per picture, one column per detector (higher = more ID)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ood_lightning.data.artifacts.files import atomic_write
from ood_lightning.errors import SourceError, first_line

if TYPE_CHECKING:
    from torch import Tensor

ABOUT = ("key", "dataset", "role", "label", "top_positive", "top_negative")
RUN = "run"  # key of the hash in the file's metadata
COLUMNS = "columns"  # key of the columns' names, once more: Parquet's checksums are of pages alone


@dataclass(frozen=True)
class SetScores:
    """Scores of one set, in its order.

    Args:
        scores: (n, K) float64, a column per detector.
        label: (n,) int64, -1 where unknown.
        top_positive: nearest positive of each picture.
        top_negative: nearest negative; empty where the label set has none.
    """

    name: str
    role: str
    keys: list[str]
    label: Tensor
    scores: Tensor
    top_positive: list[str]
    top_negative: list[str]


def write_scores(path: Path, detectors: list[str], sets: list[SetScores], run: str = "") -> None:
    """Write all sets of a run into one Parquet file, with the run's hash."""
    tables = [
        pa.table(
            {
                "key": scored.keys,
                "dataset": [scored.name] * len(scored.keys),
                "role": [scored.role] * len(scored.keys),
                "label": scored.label.tolist(),
                "top_positive": scored.top_positive,
                "top_negative": scored.top_negative,
                **{name: scored.scores[:, i].numpy() for i, name in enumerate(detectors)},
            }
        )
        for scored in sets
    ]

    table = pa.concat_tables(tables)
    stated = {RUN: run, COLUMNS: json.dumps(table.column_names)}
    sink = pa.BufferOutputStream()
    pq.write_table(table.replace_schema_metadata(stated), sink, write_page_checksum=True)
    atomic_write(path, sink.getvalue().to_pybytes())


def run_of_scores(path: Path) -> str:
    """The hash of the run that wrote a file of scores; "" in files from before there was one.

    Raises:
        SourceError: the file is damaged.
    """
    try:
        return ((pq.read_schema(path).metadata or {}).get(RUN.encode()) or b"").decode()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> SourceError:
    return SourceError(f"{path} is no whole file of scores ({first_line(error)}): run `test` again")


def read_scores(path: Path) -> tuple[list[str], dict[str, Tensor]]:
    """Detector names, and the (n, K) float64 scores of each set.

    Raises:
        SourceError: there is no such file, or it is damaged: its pages are compared with their checksums.
    """
    if not path.is_file():
        raise SourceError(f"there is no {path}: run `test` first")

    import torch

    try:
        table = pq.read_table(path, page_checksum_verification=True)
        names = (table.schema.metadata or {}).get(COLUMNS.encode())
        if names is not None and json.loads(names) != table.column_names:
            raise ValueError("its columns are not those that were written")
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _damaged(path, error) from None
    detectors = [name for name in table.column_names if name not in ABOUT]
    return detectors, {
        name: torch.tensor(
            [*table.filter(pc.field("dataset") == name).select(detectors).to_pydict().values()], dtype=torch.float64
        ).T
        for name in table["dataset"].unique().to_pylist()
    }
