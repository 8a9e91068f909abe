"""A web server that breaks, a set on it, and a client that does not wait long."""

from collections.abc import Callable
from pathlib import Path

import pytest
from faulty_server import FaultyServer
from impatient import impatient, server

__all__ = ["folder", "impatient", "server"]


@pytest.fixture
def folder(tmp_path: Path, make_set: Callable[..., Path], server: FaultyServer) -> Path:
    """A set of shards of 2, 0 and 3 images that the server has under `/s`."""
    folder = make_set(tmp_path, "s", shards=(2, 0, 3))
    server.files |= {f"/s/{path.name}": path.read_bytes() for path in folder.iterdir()}
    return folder
