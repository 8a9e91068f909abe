"""`validate` looks at all that files can tell, prints a line for each, and does nothing else."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_configs
import yaml
from command_line import write_label_set
from shard_files import encoded, write_tar

from ood_lightning.cli.main import main
from ood_lightning.encoders.openclip import OpenClip

Refused = Callable[[list[str], str], None]
MCM = {"class_path": "ood_lightning.detectors.mcm.MCM"}
MCM_ALONE = {"MCM": MCM}


@pytest.fixture(autouse=True)
def _nothing_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a check loads the model")

    monkeypatch.setattr(OpenClip, "load", refuse)


def changed(path: Path, part: str, **settings: Any) -> list[str]:
    """Change `init_args` of the model or the data of a config; returns the arguments that name it."""
    content = yaml.safe_load(path.read_text())
    content[part]["init_args"] |= settings
    return ["--config", str(tiny_configs.write(path, content))]


def test_a_fit_and_an_evaluation_are_told_apart_and_checked(
    fit_yaml: Path, eval_yaml: Path, capsys: pytest.CaptureFixture[str]
):
    before = set(Path().rglob("*"))
    assert main(["validate", "--config", str(fit_yaml)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("set ") and "48 pictures in 3 shards" in line for line in lines)
    assert "label set posmine: will be made" in lines
    assert lines[-1] == "`fit` can begin; nothing was computed or written"

    assert main(["validate", "test", "--config", str(eval_yaml)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("disk: about ") for line in lines)
    assert any(line.startswith("label set names: 2 positives, 0 negatives; fits") for line in lines)
    assert {"detector MCM: will run", "names of sets: all 4 differ"} <= set(lines)
    assert set(Path().rglob("*")) == before


@pytest.mark.slow
@pytest.mark.parametrize("command", [["validate"], ["test"]])
def test_an_evaluation_is_refused_before_the_first_picture(
    command: list[str], eval_yaml: Path, refused: Refused, tmp_path: Path, sets: Path
):
    elsewhere = {"method": "hand", "encoder": {"name": "other", "fingerprint": "0"}}
    write_label_set(tmp_path / "other.json", recipe=elsewhere)
    for label_set, words in (("none.json", "there is no label set none.json"), ("other.json", "encoder 'other'")):
        refused([*command, *changed(eval_yaml, "model", label_sets={"names": label_set}, detectors=MCM_ALONE)], words)

    prompts = {"method": "hand", "prompts": {"templates": ["other {}"], "order": "normalise-then-mean"}}
    write_label_set(tmp_path / "prompts.json", recipe=prompts)
    settings = changed(eval_yaml, "model", label_sets={"names": "prompts.json"}, detectors=MCM_ALONE)
    refused([*command, *settings], "was made with the prompts' templates")
    Path("file").touch()
    folder = ["--trainer.default_root_dir", "file/run"]
    write_label_set(tmp_path / "sound.json")
    settings = changed(eval_yaml, "model", label_sets={"names": "sound.json"}, detectors=MCM_ALONE)
    refused([*command, *settings, *folder], "trainer.default_root_dir is .* cannot be made in .*file: it is a file")

    absent = changed(eval_yaml, "data", ood_shards={"near": [str(sets / "blues"), "nowhere"]})
    refused([*command, *absent], "there is no set nowhere")
    assert not Path("cache").exists()


def test_a_disk_that_is_too_full_is_named(eval_yaml: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))  # type: ignore[attr-defined]
    refused(["test", "--config", str(eval_yaml)], "cache_dir is cache: about .* GB will be written there, and its disk")


def test_a_set_without_pictures_is_refused(config: Any, refused: Refused):
    write_tar(Path("x-0.tar"), [("notes.txt", b"none")])
    for command in ("validate", "embed"):
        refused([command, *config("encoder", shards=["x-0.tar"])], "holds no pictures")
    assert not Path("cache").exists()


def test_a_set_of_which_nothing_can_be_decoded_is_no_success(config: Any, refused: Refused, monkeypatch: Any):
    monkeypatch.undo()
    monkeypatch.chdir(Path(config("encoder")[1]).parent)
    write_tar(Path("x-0.tar"), [("a.png", b"no picture"), ("b.png", b"neither")])
    settings = config("encoder", shards=["x-0.tar"], max_bad_samples=2, num_workers=0)
    refused(["embed", *settings], "no picture of x can be read")


@pytest.mark.slow
def test_the_other_commands_by_their_keys(config: Any, sets: Path, tmp_path: Path, refused: Refused):
    write_label_set(tmp_path / "l.json")
    (tmp_path / "a.png").write_bytes(encoded((9, 9, 9), 0))
    (tmp_path / "file").touch()
    save = config("encoder", "corpus", label_set="l.json", score=MCM, out="detector")
    assert main(["validate", *save]) == 0
    refused(["validate", *save, "--out", "file/x"], "out is 'file/x', which cannot be made in .*file")
    refused(["save-detector", *save, "--label_set", "none.json"], "there is no label set none.json")
    refused(
        ["validate", "predict", "a.png", "--detector", "detector"],
        "there is no folder detector: expected a",
    )

    judge = {"class_path": "ood_lightning.filtering.judges.wordnet.WordNetJudge"}
    filtered = config("encoder", "corpus", label_set="l.json", judge=judge, out="filtered")
    assert main(["validate", *filtered]) == 0
    server = "ood_lightning.filtering.judges.openai_compatible.OpenAICompatibleJudge"
    away = {"class_path": server, "init_args": {"url": "http://127.0.0.1:9/v1", "model": "m"}}
    refused(
        ["filter", *config("encoder", "corpus", label_set="l.json", judge=away, out="filtered")],
        "http://127.0.0.1:9/v1 cannot be asked: 127.0.0.1 cannot be reached",
    )

    source = {"class_path": "ood_lightning.label_sets.clustermine.ClusterMine"}
    mine = config("encoder", "corpus", id_shards=str(sets / "train"), source=source, out="m.json")
    refused(["mine", *mine], "needs clusters of the ID training images")
    refused(["validate", *mine, "--votes", "none.safetensors"], "none.safetensors is missing or damaged")
    assert not (tmp_path / "cache").exists()


def test_settings_of_no_command(refused: Refused):
    for words in ([], ["--x", "1"]):
        refused(["validate", *words], "it is not clear which command these settings are for")
    refused(["validate", "report", "runs"], "'report' is no command that is checked. usage: .*validate")
    refused(["validate", "--config", "none.yaml"], "there is no config none.yaml")
