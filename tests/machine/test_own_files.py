"""Configs, the drawing model and the built-in pictures: whole, damaged, missing."""

import shutil
from pathlib import Path

import pytest
from source_files import ROOT

from ood_lightning.machine import own_files
from ood_lightning.places import ASSETS_VARIABLE


def test_a_checkout_has_everything():
    lines = [own_files.configs_line(), own_files.model_line(), own_files.pictures_line()]
    assert [line.verdict for line in lines] == ["PASS"] * 3


def test_configs_that_are_missing_or_damaged_fail(tmp_path: Path):
    assert own_files.configs_line(tmp_path).verdict == "FAIL"
    (tmp_path / "clustermine.yaml").write_text("a: 1\n")
    assert own_files.configs_line(tmp_path).verdict == "PASS"
    (tmp_path / "bad.yaml").write_text("a: [1\n")
    assert "bad.yaml" in own_files.configs_line(tmp_path).state


@pytest.fixture
def assets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of one built-in set and of the model's small file."""
    folder = tmp_path / "assets" / "pictograms"
    shutil.copytree(ROOT / "assets" / "pictograms" / "shards" / "id_val", folder / "shards" / "id_val")
    (folder / "model").mkdir()
    shutil.copy(ROOT / "assets" / "pictograms" / "model" / own_files.MODEL[0], folder / "model")
    monkeypatch.setenv(ASSETS_VARIABLE, str(folder.parent))
    return folder


def test_a_model_without_weights_and_one_that_was_not_fetched_fail(assets: Path):
    assert f"no {own_files.MODEL[1]}" in own_files.model_line().state
    (assets / "model" / own_files.MODEL[1]).write_text("version https://git-lfs.github.com/spec/v1\n")
    assert "git lfs pull" in own_files.model_line().mend


def test_a_shard_that_was_cut_fails_and_no_pictures_warn(assets: Path):
    assert "1 set with" in own_files.pictures_line().state
    tar = next((assets / "shards" / "id_val").glob("*.tar"))
    tar.write_bytes(tar.read_bytes()[:-1])
    assert own_files.pictures_line().verdict == "FAIL"

    shutil.rmtree(assets / "shards")
    assert own_files.pictures_line().verdict == "WARN"


def test_a_folder_of_assets_that_is_not_there_fails(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(ASSETS_VARIABLE, "/nowhere")
    assert [own_files.model_line().verdict, own_files.pictures_line().verdict] == ["FAIL", "FAIL"]
