"""`cache list` and `cache clean`: what features take on disk, and the oldest of them away."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ood_lightning.cli.main import main

Refused = Callable[[list[str], str], None]
ENCODER = "0123456789abcdef"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two sets of 2 and 3 MB, texts of 1 MB, and files that are none of ours."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "cache"
    sizes = {
        "cats-1": ["a.tar.safetensors", "precision.json"],
        "dogs-2": ["a.tar.safetensors", "b.tar.safetensors", "neighbours-4/0.safetensors"],
        "text": ["words.safetensors"],
    }
    for age, (name, files) in enumerate(sizes.items()):
        for file in files:
            path = folder / ENCODER / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(bytes(1_000_000))
            os.utime(path, (1000 + age, 1000 + age))

    (folder / "mine").mkdir()
    (folder / "mine" / "x.safetensors").write_bytes(b"mine")
    (folder / ENCODER / "cats-1" / "notes.txt").write_text("mine")
    return folder


def left(cache: Path) -> set[str]:
    return {str(path.relative_to(cache)) for path in cache.rglob("*") if path.is_file()}


def test_list_says_what_lies_there(cache: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["cache", "list", "--cache_dir", "cache"]) == 0
    printed = capsys.readouterr().out
    assert printed.index("cats-1") < printed.index("dogs-2") < printed.index("text/words.safetensors")
    assert "3 entries, 0.01 GB in cache" in printed
    assert "mine" not in printed


def test_the_oldest_go_first_and_nothing_that_is_not_ours(cache: Path, capsys: pytest.CaptureFixture[str]):
    before = left(cache)
    assert main(["cache", "clean", "--max_gb", "0.0045", "--cache_dir", "cache", "--dry_run", "true"]) == 0
    assert left(cache) == before
    assert "would remove 0123456789abcdef/cats-1: 2.0 MB" in capsys.readouterr().out

    assert main(["cache", "clean", "--max_gb", "0.0045", "--cache_dir", "cache"]) == 0
    assert before - left(cache) == {f"{ENCODER}/cats-1/a.tar.safetensors", f"{ENCODER}/cats-1/precision.json"}
    assert "1 entry removed, 0.00 GB stay" in capsys.readouterr().out

    assert main(["cache", "clean", "--max_gb", "0", "--cache_dir", "cache"]) == 0
    assert left(cache) == {"mine/x.safetensors", f"{ENCODER}/cats-1/notes.txt"}
    assert not (cache / ENCODER / "dogs-2").exists()


def test_mistakes_are_one_line(cache: Path, refused: Refused):
    refused(["cache", "clean", "--max_gb", "0", "--cache_dir", "none"], "cache_dir is 'none', and there is no such")
    refused(["cache", "clean", "--max_gb", "-1"], "max_gb is -1")


def test_a_cache_that_is_not_there_is_empty(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["cache", "list", "--cache_dir", str(tmp_path / "none")]) == 0
    assert "0 entries, 0.00 GB" in capsys.readouterr().out
