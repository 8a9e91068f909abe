"""Scores on disk: one Parquet file per run, one row per picture, one column per detector (higher = more ID).

Written and read in row groups, so that memory does not grow with the rows: a set begins a row group of its own. Files
of earlier versions, with one large group, are read alike.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ood_lightning.data.artifacts.files import atomic_file
from ood_lightning.errors import SourceError, first_line

if TYPE_CHECKING:
    from torch import Tensor

ABOUT = ("key", "dataset", "role", "label", "top_positive", "top_negative")
REPEATED = ["dataset", "role", "label", "top_positive", "top_negative"]  # stored as numbers of distinct values
RUN = "run"  # key of the hash in the file's metadata
COLUMNS = "columns"  # key of the columns' names, once more: Parquet's checksums are of pages alone
ROWS = 65_536  # of a row group; with 20 detectors it takes 20 MB
BUFFER = 1 << 18  # bytes of a column read at once


class ScoreRows(Protocol):
    """Columns of scores of which some rows are read at a time."""

    def rows(self, start: int, stop: int) -> Tensor:
        """Rows from `start` up to `stop`, float64, shape ``(K, stop - start)``."""


@dataclass(frozen=True)
class SetScores:
    """Scores of one set, in its order.

    Args:
        name: of the set.
        role: what its images stand for.
        keys: of its n images.
        label: (n,) int64, -1 where unknown.
        scores: a column per detector, then the rows of each image's nearest positive and negative in `texts`; a row is
            -1 where there are none.
        texts: positives and negatives of the label set that explains the images.
    """

    name: str
    role: str
    keys: Sequence[str]
    label: Tensor
    scores: ScoreRows
    texts: tuple[Sequence[str], Sequence[str]]


def write_scores(path: Path, detectors: Sequence[str], sets: Sequence[SetScores], run: str = "") -> None:
    """Write all sets of a run into one Parquet file, with the run's hash; the same content gives the same bytes.

    Raises:
        UnwritableError: the disk is full, or the folder may not be written to.
    """
    strings = dict.fromkeys(ABOUT, pa.string()) | {"label": pa.int64()}
    columns = {**strings, **dict.fromkeys(detectors, pa.float64())}
    schema = pa.schema(list(columns.items()), {RUN: run, COLUMNS: json.dumps(list(columns))})

    # of scores and keys hardly two are equal: a dictionary would cost time and save nothing
    with (
        atomic_file(path) as file,
        pq.ParquetWriter(file, schema, use_dictionary=REPEATED, write_page_checksum=True) as writer,
    ):
        for scored in sets:
            for arrays in _row_groups(scored):
                writer.write_table(pa.table(arrays, schema), ROWS)


def _row_groups(scored: SetScores) -> Iterator[list[pa.Array]]:
    """The columns of a set, some rows at a time."""
    texts = [pa.array(of_side, pa.string()) for of_side in scored.texts]
    n = len(scored.keys)

    for start in range(0, n, ROWS):
        stop = min(start + ROWS, n)
        *scores, positives, negatives = scored.scores.rows(start, stop)
        yield [
            pa.array(scored.keys[start:stop], pa.string()),
            pa.repeat(scored.name, stop - start),
            pa.repeat(scored.role, stop - start),
            pa.array(scored.label[start:stop].numpy()),
            *(_taken(of_side, rows) for of_side, rows in zip(texts, (positives, negatives), strict=True)),
            *(pa.array(column.numpy()) for column in scores),
        ]


def _taken(texts: pa.Array, rows: Tensor) -> pa.Array:
    """The texts of some rows; "" for row -1."""
    numbers = rows.int().numpy()
    return texts.take(pa.array(numbers, mask=numbers < 0)).fill_null("")


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


class StoredScores:
    """Scores of a run on disk, of which a column is read at a time.

    Args:
        path: the file; what is read of it is compared with its checksums.

    Attributes:
        detectors: names of the columns.

    Raises:
        SourceError: there is no such file, or it is damaged.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise SourceError(f"there is no {path}: run `test` first")

        self._path = path
        self._runs: list[tuple[str, int]] = []  # the sets in the order of their rows, with the number of these
        with self._read() as file:
            schema = file.schema_arrow
            names = (schema.metadata or {}).get(COLUMNS.encode())
            if names is not None and json.loads(names) != schema.names:
                raise ValueError("its columns are not those that were written")

            self.detectors = [name for name in schema.names if name not in ABOUT]
            for of_sets in _pieces(file, "dataset"):
                encoded = pc.run_end_encode(of_sets)
                ends = encoded.run_ends.to_pylist()
                lengths = [end - start for start, end in zip([0, *ends], ends, strict=False)]
                self._runs += zip(encoded.values.to_pylist(), lengths, strict=True)

    def column(self, detector: str) -> dict[str, Tensor]:
        """One detector's scores of each set, by its name, float64, shape ``(n,)``; 8 bytes a row in all.

        Raises:
            SourceError: the file is damaged.
        """
        import torch

        values = torch.empty(sum(n for _, n in self._runs), dtype=torch.float64)
        at = 0
        with self._read() as file:
            for piece in _pieces(file, detector):
                values.numpy()[at : at + len(piece)] = piece.to_numpy(zero_copy_only=False)
                at += len(piece)
            if at < len(values):
                raise ValueError(f"{at} rows of {detector}, {len(values)} of sets")

        by_set: dict[str, list[Tensor]] = {}
        for (name, _), of_set in zip(self._runs, values.split([n for _, n in self._runs]), strict=True):
            by_set.setdefault(name, []).append(of_set)
        return {name: parts[0] if len(parts) == 1 else torch.cat(parts) for name, parts in by_set.items()}

    def texts(self, column: str) -> dict[str, list[str]]:
        """A column of texts of each set, by its name.

        Args:
            column: `key`, `role`, `top_positive` or `top_negative`.

        Raises:
            SourceError: the file is damaged, or has no such column.
        """
        with self._read() as file:
            if column not in file.schema_arrow.names:
                raise ValueError(f"it has no column {column}")
            rows = [text for piece in _pieces(file, column) for text in piece.to_pylist()]

        by_set: dict[str, list[str]] = {}
        at = 0
        for name, n in self._runs:
            by_set.setdefault(name, []).extend(rows[at : at + n])
            at += n
        return by_set

    def images(self) -> Iterator[dict[str, list[str]]]:
        """What is said of each image beside its scores: `key`, `dataset`, `role` and the two nearest words, in batches.

        Raises:
            SourceError: the file is damaged.
        """
        columns = [name for name in ABOUT if name != "label"]
        with self._read() as file:
            for batch in file.iter_batches(ROWS, columns=columns, use_threads=False):
                yield {name: batch.column(name).to_pylist() for name in columns}

    @contextmanager
    def _read(self) -> Iterator[pq.ParquetFile]:
        """The file, open; what is wrong with it is told as an error of a person's."""
        try:
            # without buffering ahead, which would hold whole row groups
            with pq.ParquetFile(
                self._path, page_checksum_verification=True, pre_buffer=False, buffer_size=BUFFER
            ) as file:
                yield file
        except (pa.ArrowException, OSError, ValueError) as error:
            raise _damaged(self._path, error) from None


def _pieces(file: pq.ParquetFile, column: str) -> Iterator[pa.Array]:
    """A column, some rows at a time."""
    for batch in file.iter_batches(ROWS, columns=[column], use_threads=False):
        yield batch.column(column)  # by name: with `MCM`, Parquet hands over `MCM.5` too
