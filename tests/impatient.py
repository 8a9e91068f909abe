"""Fixtures: a web server that breaks, and a client that does not wait long. A conftest.py imports them."""

from collections.abc import Iterator

import pytest
from faulty_server import FaultyServer

from ood_lightning.data.remote import download


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with FaultyServer() as running:
        yield running


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "FIRST_WAIT_S", 0.001)
    monkeypatch.setattr(download, "TIMEOUT_S", 1.0)
    monkeypatch.setattr(download, "TRIES", 4)
