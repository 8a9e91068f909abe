"""A server that plays the Hugging Face hub for the data set `me/set`, as far as its client asks."""

import hashlib
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
from faulty_server import FaultyServer
from shard_files import COLOURS, encoded

COMMIT = "c0ffee" + "0" * 34
API = "/api/datasets/me/set"


def parquet_table(first: int, n: int) -> bytes:
    """A Parquet file of n images as `datasets` writes it."""
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    cells = [{"bytes": encoded(COLOURS["red"], first + i), "path": f"{i}.png"} for i in range(n)]
    columns = pa.table({"image": pa.array(cells, kind), "label": pa.array([i % 2 for i in range(n)])})
    metadata = {"info": {"features": {"label": {"names": ["tench", "goldfish"]}}}}

    file = io.BytesIO()
    pq.write_table(columns.replace_schema_metadata({"huggingface": json.dumps(metadata)}), file, row_group_size=2)
    return file.getvalue()


def publish(
    server: FaultyServer,
    files: dict[str, bytes],
    commit: str = COMMIT,
    revision: str = "",
    folders: tuple[str, ...] = (),
) -> None:
    """Let the server answer what the client asks about these files.

    Args:
        server: that plays the hub.
        files: content by path in the data set.
        commit: that holds them.
        revision: that stands for the commit; empty: the default branch.
        folders: whose files are listed by themselves.
    """
    server.commit = commit
    info = f"{API}/revision/{revision}" if revision else API
    server.files[info] = json.dumps({"id": "me/set", "sha": commit}).encode()

    for folder in ("", *folders):
        rows = [_row(path, data) for path, data in files.items() if path.startswith(folder)]
        server.files[f"{API}/tree/{commit}" + (f"/{folder}" if folder else "")] = json.dumps(rows).encode()
    server.files |= {resolved(path, commit): data for path, data in files.items()}


def _row(path: str, data: bytes) -> dict[str, object]:
    lfs = {"size": len(data), "oid": hashlib.sha256(data).hexdigest(), "pointerSize": 130}
    return {"type": "file", "path": path, "size": len(data), "oid": "0" * 40, "lfs": lfs}


def resolved(path: str, commit: str = COMMIT) -> str:
    """Where the hub serves the bytes of a file; the client asks for the headers first, then for the bytes."""
    return f"/datasets/me/set/resolve/{commit}/{path}"
