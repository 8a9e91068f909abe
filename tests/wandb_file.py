"""Reads the file that an offline W&B run leaves, without network and login. Its format is internal to W&B 0.31."""

import json
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2 as pb

BLOCK, HEAD = 32768, 7


def records(path: Path) -> Iterator[Any]:
    """The records of a run's file, a log in blocks of 32 KiB as LevelDB writes them."""
    raw = path.read_bytes()
    assert raw[:4] == b":W&B"
    position, part = HEAD, b""

    while position + HEAD <= len(raw):
        left_in_block = BLOCK - position % BLOCK
        if left_in_block < HEAD:  # the end of a block that holds no further head
            position += left_in_block
            continue

        _, size, kind = struct.unpack("<IHB", raw[position : position + HEAD])
        if kind == 0 and size == 0:
            break
        start = position + HEAD
        position = start + size

        body = raw[start:position]
        part = body if kind in (1, 2) else part + body  # 1 whole, 2 first, 3 middle, 4 last
        if kind in (1, 4):
            record = pb.Record()
            record.ParseFromString(part)
            yield record


@dataclass
class Run:
    """What a run's file holds."""

    id: str = ""
    group: str = ""
    project: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    artifacts: dict[str, list[str]] = field(default_factory=dict)
    metadata: dict[str, dict[str, Any]] = field(default_factory=dict)
    exit_code: int | None = None

    def curve(self, name: str) -> list[Any]:
        """Every value that was logged under a name."""
        return [row[name] for row in self.history if name in row]


def values(items: Iterable[Any]) -> dict[str, Any]:
    """Keys and values of a record's items."""
    return {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items}


def read_run(path: Path) -> Run:
    """Collect the records of a run's file."""
    run = Run()

    for record in records(path):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            run.id, run.group, run.project = record.run.run_id, record.run.run_group, record.run.project
            run.config |= values(record.run.config.update)
        elif kind == "config":
            run.config |= values(record.config.update)
        elif kind == "history":
            run.history.append(values(record.history.item))
        elif kind == "artifact":
            run.metadata[record.artifact.name] = json.loads(record.artifact.metadata or "{}")
            run.artifacts[record.artifact.name] = [entry.path for entry in record.artifact.manifest.contents]
        elif kind == "exit":
            run.exit_code = record.exit.exit_code

    return run


def runs_in(folder: Path) -> list[Run]:
    """The runs below a folder, in the order of their start."""
    return [read_run(path) for path in sorted(folder.glob("**/offline-run-*/run-*.wandb"))]
