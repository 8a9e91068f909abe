"""JSON lines to Parquet, and rows of it.

A Parquet file has its index behind its last row, so no later process can go on with half of one: rows are kept as JSON
lines until all are there.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from ood_lightning.data.artifacts.files import atomic_file
from ood_lightning.data.rows.formats import spelt
from ood_lightning.errors import UserError, first_line

GROUP = 8192  # rows of a row group; some 2 MB
TYPES = {str: pa.string(), float: pa.float64(), bool: pa.bool_(), list: pa.list_(pa.string())}


def write_parquet(path: Path, lines: BinaryIO, kinds: Mapping[str, type]) -> None:
    """Make a Parquet file of JSON lines, a row group at a time; the same rows give the same bytes.

    Args:
        path: written whole or not at all.
        lines: the rows, from their beginning.
        kinds: of the columns, in order: `str`, `float`, `bool`, or `list` of texts; each may be null.

    Raises:
        UnwritableError: the disk is full, or the folder may not be written to.
    """
    schema = pa.schema([(name, TYPES[kind]) for name, kind in kinds.items()])
    with atomic_file(path) as file, pq.ParquetWriter(file, schema, write_page_checksum=True) as writer:
        for group in _groups(lines):
            columns = {name: [_spelt(row[name]) for row in group] for name in kinds}
            writer.write_table(pa.table(columns, schema), GROUP)


def read_parquet(path: Path, error: Callable[[str], UserError]) -> Iterator[dict[str, Any]]:
    """Rows of a Parquet file, some thousand in memory at a time.

    Raises:
        UserError: what `error` makes of a text; the file is no Parquet file, or damaged.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for batch in file.iter_batches(GROUP):
                yield from batch.to_pylist()
    except pa.ArrowException as cause:
        raise error(f"{path} is not readable as Parquet: {first_line(cause)}") from None


def _groups(lines: BinaryIO) -> Iterator[list[dict[str, Any]]]:
    while group := [json.loads(line) for line in islice(lines, GROUP)]:
        yield group


def _spelt(value: Any) -> Any:
    if isinstance(value, str):
        return spelt(value)
    return [spelt(one) for one in value] if isinstance(value, list) else value
