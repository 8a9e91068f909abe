"""Images inside Parquet files, in the form in which Hugging Face data sets are exported."""

import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from ood_lightning.data.pack.listings import Entry, Listing, stamp_of
from ood_lightning.errors import SourceError


class Row(NamedTuple):
    """One row of one row group."""

    path: str
    group: int
    row: int
    column: str

    def read(self) -> bytes:
        """The image's bytes."""
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
    """Images of Parquet files in the order of their rows: the first column of bytes, and `label` if there is one.

    Raises:
        SourceError: a file is damaged or holds no images.
    """
    listing = Listing([])
    unread: dict[str, None] = {}  # a set that keeps its order

    for path in paths:
        try:
            with pq.ParquetFile(path) as file:
                column = _image_column(path, file.schema_arrow)
                unread |= dict.fromkeys(name for name in file.schema_arrow.names if name not in (column, "label"))
                listing.class_names = listing.class_names or _class_names(file.schema_arrow)
                listing.entries += _entries(path, file, column)
        except SourceError:
            raise
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"{path} is no sound Parquet file: {error}") from None

    listing.unread = tuple(unread)
    return listing


def _image_column(path: Path, schema: pa.Schema) -> str:
    """The first column of bytes, alone or as the field `bytes` of a struct.

    Raises:
        SourceError: there is none, or the column `label` holds neither integers nor text.
    """
    if schema.get_field_index("label") >= 0:
        kind = schema.field("label").type
        if not pa.types.is_integer(kind) and not pa.types.is_string(kind):
            raise SourceError(f"{path}: its column label is {kind}, expected integers or text")

    for column in schema:
        kind = column.type
        if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
            kind = kind.field("bytes").type
        if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            return str(column.name)
    raise SourceError(f"{path} has the columns {', '.join(schema.names)}, and none of encoded pictures (bytes)")


def _entries(path: Path, file: pq.ParquetFile, column: str) -> Iterator[Entry]:
    stamp = stamp_of(path.stat())
    for group in range(file.num_row_groups):
        labels = (
            file.read_row_group(group, columns=["label"]).column(0).to_pylist()
            if file.schema_arrow.get_field_index("label") >= 0
            else [None] * file.metadata.row_group(group).num_rows
        )

        for row, label in enumerate(labels):
            location = Row(str(path), group, row, column)
            yield Entry(f"{path.stem}/{group:05d}-{row:06d}", location, stamp, -1 if label is None else label)


def _class_names(schema: pa.Schema) -> tuple[str, ...]:
    """Names that the `datasets` library keeps beside integer labels."""
    try:
        return tuple(json.loads(schema.metadata[b"huggingface"])["info"]["features"]["label"]["names"])
    except (KeyError, ValueError, TypeError, RecursionError):
        return ()
