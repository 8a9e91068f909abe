"""The same seed gives the same bytes of `labels.json`, however the work is cut into blocks."""

import functools
from pathlib import Path

import pytest

from ood_lightning.cli.main import main
from ood_lightning.functional import similarity
from ood_lightning.mining import nearest


def fit(config: Path, name: str, *more: str) -> dict[str, bytes]:
    """Label sets of a fit from nothing, in a folder and with a cache of its own."""
    folders = ["--trainer.default_root_dir", name, "--data.init_args.cache_dir", f"cache-{name}"]
    assert main(["fit", "--config", str(config), *folders, *more]) == 0
    return {file: Path(name, file).read_bytes() for file in ("labels.json", "posmine.json", "votes.safetensors")}


def test_two_fits_from_nothing_write_the_same_bytes_whatever_the_blocks(
    fit_yaml: Path, monkeypatch: pytest.MonkeyPatch
):
    first = fit(fit_yaml, "one")
    monkeypatch.setattr(similarity, "_PIECE", 64)
    monkeypatch.setattr(similarity, "_SPARE", 1)
    monkeypatch.setattr(nearest, "top_k", functools.partial(similarity.top_k, block=3))
    monkeypatch.setattr(nearest, "ROWS", 5)
    monkeypatch.setattr("ood_lightning.modules.temi.ASSIGN_BLOCK", 7)
    monkeypatch.setattr("ood_lightning.corpora.texts.WORDS_AT_ONCE", 22)
    assert fit(fit_yaml, "two") == first


def test_another_seed_gives_another_recipe(fit_yaml: Path):
    first = fit(fit_yaml, "one")["labels.json"]
    assert fit(fit_yaml, "two", "--data.init_args.seed", "1")["labels.json"] != first
