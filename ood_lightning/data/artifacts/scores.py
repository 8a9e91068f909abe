"""Scores on disk: one Parquet file per run, one row per picture, one column per detector (higher = more ID)."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from torch import Tensor

from ood_lightning.data.artifacts.files import atomic_write
from ood_lightning.errors import SourceError

ABOUT = ("key", "dataset", "role", "label", "top_positive", "top_negative")


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


def write_scores(path: Path, detectors: list[str], sets: list[SetScores]) -> None:
    """Write all sets of a run into one Parquet file."""
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

    sink = pa.BufferOutputStream()
    pq.write_table(pa.concat_tables(tables), sink)
    atomic_write(path, sink.getvalue().to_pybytes())


def read_scores(path: Path) -> tuple[list[str], dict[str, Tensor]]:
    """Detector names, and the (n, K) float64 scores of each set.

    Raises:
        SourceError: there is no such file.
    """
    if not path.is_file():
        raise SourceError(f"there is no {path}: run `test` first")

    table = pq.read_table(path)
    detectors = [name for name in table.column_names if name not in ABOUT]
    return detectors, {
        name: torch.tensor(
            [*table.filter(pc.field("dataset") == name).select(detectors).to_pydict().values()], dtype=torch.float64
        ).T
        for name in table["dataset"].unique().to_pylist()
    }
