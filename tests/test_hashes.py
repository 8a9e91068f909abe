"""The hash of a run: equal for equal settings and inputs, wherever they lie."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ood_lightning.hashes import run_hash


@dataclass(frozen=True)
class Part:
    """A setting of a config."""

    path: str
    labels: str = "names"
    count: float = 1.0


class WithFingerprint:
    """Such as an encoder, whose other attributes do not count."""

    def __init__(self, fingerprint: str, device: str) -> None:
        self.fingerprint, self.device = fingerprint, device


def file(path: Path, text: str) -> str:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return str(path)


def test_a_file_counts_by_its_bytes_and_a_folder_not_at_all(tmp_path: Path):
    here, there = file(tmp_path / "a" / "x.json", "1"), file(tmp_path / "b" / "y.json", "1")
    assert run_hash({"part": Part(here)}) == run_hash({"part": Part(there)})
    before = run_hash({"part": Part(here)})
    file(tmp_path / "a" / "x.json", "2")
    assert run_hash({"part": Part(here)}) != before
    assert run_hash({"at": str(tmp_path / "a")}) == run_hash({"at": tmp_path / "b"})


def test_a_name_is_a_name_also_where_a_folder_is_called_so(tmp_path: Path):
    before = run_hash({"part": Part("x", labels="names")})
    Path("names").mkdir()
    assert run_hash({"part": Part("x", labels="names")}) == before


@pytest.mark.parametrize("change", [{"labels": "mined"}, {"count": 2.0}, {"path": "builtin:other"}])
def test_another_setting_gives_another_hash(change: dict[str, object]):
    part = Part("builtin:set")
    assert run_hash({"part": part}) != run_hash({"part": replace(part, **change)})  # type: ignore[arg-type]
    assert run_hash({"part": part}) == run_hash({"part": Part("builtin:set")})


def test_order_and_types_count():
    assert run_hash({"a": 1, "b": 2}) != run_hash({"b": 2, "a": 1})
    assert run_hash({"a": "1"}) != run_hash({"a": 1})
    assert run_hash({"a": {"x", "y"}}) == run_hash({"a": {"y", "x"}})


def test_a_fingerprint_stands_for_what_has_one():
    cpu, gpu = WithFingerprint("f", "cpu"), WithFingerprint("f", "gpu")
    assert run_hash({"encoder": cpu}) == run_hash({"encoder": gpu})
    assert run_hash({"encoder": cpu}) != run_hash({"encoder": WithFingerprint("g", "cpu")})
