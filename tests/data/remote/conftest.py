"""A web server that breaks, a set on it, and a client that does not wait long."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faulty_server import FaultyServer

from ood_lightning.data.remote import download


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with FaultyServer() as running:
        yield running


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "FIRST_WAIT_S", 0.001)
    monkeypatch.setattr(download, "TIMEOUT_S", 1.0)
    monkeypatch.setattr(download, "TRIES", 4)


@pytest.fixture
def folder(tmp_path: Path, make_set: Callable[..., Path], server: FaultyServer) -> Path:
    """A set of shards of 2, 0 and 3 images that the server has under `/s`."""
    folder = make_set(tmp_path, "s", shards=(2, 0, 3))
    server.files |= {f"/s/{path.name}": path.read_bytes() for path in folder.iterdir()}
    return folder
