"""Pictures inside Parquet files, in the form in which Hugging Face data sets are exported."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ood_lightning.data.pack.listings import Entry, Listing, stamp_of
from ood_lightning.errors import SourceError


@dataclass(frozen=True, slots=True)
class Row:
    """One row of one row group."""

    path: str
    group: int
    row: int
    column: str

    def read(self) -> bytes:
        """The picture's bytes."""
        cell = _group(self.path, self.group, self.column)[self.row].as_py()
        data = cell["bytes"] if isinstance(cell, dict) else cell
        if data is None:
            raise ValueError("the row holds no bytes")
        return bytes(data)


@lru_cache(maxsize=1)  # rows are read in order
def _group(path: str, group: int, column: str) -> pa.ChunkedArray:
    with pq.ParquetFile(path) as file:
        return file.read_row_group(group, columns=[column]).column(0)


def parquet_listing(paths: Sequence[Path]) -> Listing:
    """Pictures of Parquet files in the order of their rows: the first column of bytes, and `label` if there is one.

    Raises:
        SourceError: a file is damaged or holds no pictures.
    """
    entries: list[Entry] = []
    names: tuple[str, ...] = ()
    unread: dict[str, None] = {}
    for path in paths:
        try:
            with pq.ParquetFile(path) as file:
                column, labelled = _columns(path, file.schema_arrow)
                unread |= dict.fromkeys(name for name in file.schema_arrow.names if name not in (column, "label"))
                names = names or _class_names(file.schema_arrow)
                stamp = stamp_of(path.stat())
                for group in range(file.num_row_groups):
                    rows = file.metadata.row_group(group).num_rows
                    labels = file.read_row_group(group, columns=["label"]).column(0).to_pylist() if labelled else []
                    for row in range(rows):
                        label = -1 if not labelled or labels[row] is None else labels[row]
                        name = f"{path.stem}/{group:05d}-{row:06d}"
                        entries.append(Entry(name, Row(str(path), group, row, column), stamp, label))
        except SourceError:
            raise
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"{path} is no sound Parquet file: {error}") from None
    return Listing(entries, names, unread=tuple(unread))


def _columns(path: Path, schema: pa.Schema) -> tuple[str, bool]:
    for column in schema:
        kind = column.type
        held = kind.field("bytes").type if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0 else kind
        if pa.types.is_binary(held) or pa.types.is_large_binary(held):
            labels = schema.get_field_index("label")
            integer = labels >= 0 and pa.types.is_integer(schema.field(labels).type)
            text = labels >= 0 and pa.types.is_string(schema.field(labels).type)
            if labels >= 0 and not integer and not text:
                raise SourceError(f"{path}: its column label is {schema.field(labels).type}, expected integers or text")
            return column.name, labels >= 0
    raise SourceError(f"{path} has the columns {', '.join(schema.names)}, and none of encoded pictures (bytes)")


def _class_names(schema: pa.Schema) -> tuple[str, ...]:
    """Names that the `datasets` library keeps beside integer labels."""
    try:
        about: dict[str, Any] = json.loads((schema.metadata or {})[b"huggingface"])
        return tuple(about["info"]["features"]["label"]["names"])
    except (KeyError, ValueError, TypeError):
        return ()
