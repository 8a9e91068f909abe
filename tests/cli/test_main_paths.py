"""Every path of a command may begin with `~` or hold a variable, and any terminal takes any name."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny_configs
import yaml
from command_line import write_label_set
from shard_files import MakeSet, encoded

from ood_lightning.cli.main import main

MASS = {"class_path": "ood_lightning.detectors.label_mass.LabelMass"}
POSMINE = {"class_path": "ood_lightning.label_sets.posmine.PosMine", "init_args": {"min_images": 1}}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home folder, apart from the one that commands run in."""
    folder = tmp_path / "home"
    folder.mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("WORK", str(folder))
    monkeypatch.chdir(tmp_path / "here")
    return folder


def test_commands_on_sets_write_where_a_shell_would(home: Path, make_set: MakeSet):
    make_set(home, "s", shards=(3,))
    (home / "in").mkdir()
    (home / "in/a.png").write_bytes(encoded((9, 9, 9), 0))
    pack = ["data", "pack", "$WORK/in", "--name=p", "--role=ood", "--workers=1"]
    assert main([*pack, "--out=~/packed"]) == main([*pack, "--out=${WORK}/again"]) == 0
    assert main(["data", "check", "~/s", "--out=~/r.JSON", "--workers=1"]) == 0
    assert {path.name for path in home.iterdir()} >= {"packed", "again", "r.JSON"}
    assert not list(Path.cwd().iterdir())


def test_commands_on_features_write_where_a_shell_would(home: Path, make_set: MakeSet, config: Any):
    make_set(home, "train", shards=(9,), labelled=False)
    (home / "a.png").write_bytes(encoded((9, 9, 9), 0))
    here = {"cache_dir": "$WORK/cache"}
    assert main(["embed", *config("encoder", shards=["~/train"], num_workers=0, **here)]) == 0
    mine = config("encoder", "corpus", id_shards="~/train", source=POSMINE, **here)
    assert main(["mine", *mine, "--out=~/l.json"]) == 0
    save = config("encoder", "corpus", label_set="$WORK/l.json", score=MASS, **here)
    assert main(["save-detector", *save, "--out=~/d"]) == 0
    assert main(["predict", "~/a.png", "--detector=$WORK/d", "--out=~/p.csv"]) == 0

    assert {path.name for path in home.iterdir()} == {"train", "a.png", "cache", "l.json", "d", "p.csv"}
    assert not list(Path.cwd().iterdir())


@pytest.mark.slow
def test_a_run_lies_where_a_shell_would_put_it(home: Path, eval_yaml: Path):
    settings = yaml.safe_load(eval_yaml.read_text())
    settings["trainer"]["default_root_dir"] = "$WORK/run"
    settings["trainer"]["logger"]["init_args"]["save_dir"] = "~/run"
    settings["data"]["init_args"]["cache_dir"] = settings["model"]["init_args"]["cache_dir"] = "~/cache"
    tiny_configs.write(home / "eval.yaml", settings)
    assert main(["test", "--config=~/eval.yaml"]) == 0
    assert (home / "run/results.json").is_file()
    assert main(["report", "~/run", "--out=$WORK/report"]) == 0
    assert {path.name for path in home.iterdir()} == {"eval.yaml", "run", "cache", "report"}
    assert not list(Path.cwd().iterdir())


def test_a_variable_that_is_not_set_is_refused_and_makes_no_folder(home: Path, capsys: pytest.CaptureFixture[str]):
    (home / "a.png").write_bytes(encoded((9, 9, 9), 0))
    assert main(["data", "pack", "~", "--out=$NOWHERE/x", "--name=p", "--role=ood"]) == 2
    assert "names the variable NOWHERE, which is not set" in capsys.readouterr().err
    assert not list(Path.cwd().iterdir())


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "utf-8"])
def test_a_terminal_shows_what_it_can_of_a_name(encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    label_set = write_label_set(tmp_path / "l.json", negatives=("goéland", "猫"))
    screen = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", screen)
    assert main(["labels", "show", label_set]) == 0
    screen.flush()
    text = screen.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]
    assert "red" in text


def test_a_label_set_that_notepad_saved_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    label_set = Path(write_label_set(tmp_path / "l.json"))
    assert main(["labels", "show", str(label_set)]) == 0
    before = capsys.readouterr().out
    text = json.dumps(json.loads(label_set.read_text()), indent=1).replace("\n", "\r\n")
    label_set.write_text("\ufeff" + text, encoding="utf-8", newline="")
    assert main(["labels", "show", str(label_set)]) == 0
    assert capsys.readouterr().out == before


def test_a_config_that_notepad_saved_is_read(config: Any, sets: Path):
    file = Path(config("encoder", shards=[str(sets / "greys")], num_workers=0)[1])
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    assert main(["embed", "--config", str(file)]) == 0


def test_a_folder_that_was_removed_is_no_place_to_work_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert main(["doctor"]) == 2
    assert capsys.readouterr().err == "error: the current folder does not exist any more: go to another one\n"
    monkeypatch.chdir(tmp_path)
