"""The same seed gives the same bytes of label sets, however the work is cut into blocks."""

import functools
from pathlib import Path

import pytest

from ood_lightning.cli.main import main
from ood_lightning.functional import exact_top, products, selection
from ood_lightning.label_sets import negatives, training_images

pytestmark = pytest.mark.slow  # whole commands


def fit(config: Path, name: str, *more: str) -> dict[str, bytes]:
    """Label sets of a fit from nothing, in a folder and with a cache of its own."""
    folders = ["--trainer.default_root_dir", name, "--data.init_args.cache_dir", f"cache-{name}"]
    assert main(["fit", "--config", str(config), *folders, *more]) == 0
    return {file: Path(name, file).read_bytes() for file in ("labels.json", "posmine.json", "votes.safetensors")}


def test_two_fits_from_nothing_write_the_same_bytes_whatever_the_blocks(
    fit_yaml: Path, monkeypatch: pytest.MonkeyPatch
):
    first = fit(fit_yaml, "one")
    monkeypatch.setattr(products, "_PIECE", 64)
    monkeypatch.setattr(exact_top, "_SPARE", 1)
    monkeypatch.setattr(training_images, "top_k", functools.partial(training_images.top_k, block=3))
    monkeypatch.setattr(training_images, "ROWS", 5)
    monkeypatch.setattr("ood_lightning.modules.temi.ASSIGN_BLOCK", 7)
    monkeypatch.setattr("ood_lightning.corpora.texts.WORDS_AT_ONCE", 22)
    assert fit(fit_yaml, "two") == first


def label_sets(config: Path, name: str) -> dict[str, bytes]:
    """Label sets that a test writes, from nothing, in a folder and with a cache of its own."""
    folders = ["--trainer.default_root_dir", name]
    folders += [f"--{part}.init_args.cache_dir=cache-{name}" for part in ("data", "model")]
    assert main(["test", "--config", str(config), *folders]) == 0
    return {path.name: path.read_bytes() for path in Path(name, "labels").iterdir()}


def test_mined_negatives_are_the_same_bytes_whatever_the_blocks(mined_yaml: Path, monkeypatch: pytest.MonkeyPatch):
    first = label_sets(mined_yaml, "one")
    assert set(first) == {f"{name}.json" for name in ("names", "neglabel", "official", "csp", "augmented", "ends")}
    monkeypatch.setattr(negatives, "quantile_cosine", functools.partial(selection.quantile_cosine, block=3))
    monkeypatch.setattr("ood_lightning.corpora.texts.WORDS_AT_ONCE", 5)
    assert label_sets(mined_yaml, "two") == first


def test_another_seed_gives_another_recipe(fit_yaml: Path):
    first = fit(fit_yaml, "one")["labels.json"]
    assert fit(fit_yaml, "two", "--data.init_args.seed", "1")["labels.json"] != first
