"""Whole commands with names of another world, with the ID set's names, and with none."""

import json
from pathlib import Path
from typing import Any

import pytest
import tiny_configs
import yaml
from shard_files import MakeSet
from tiny_configs import Settings

from ood_lightning.cli.main import main
from ood_lightning.data.artifacts.label_set import LabelSet
from ood_lightning.data.artifacts.quality import read_quality

pytestmark = pytest.mark.slow  # whole commands

SOURCES = "ood_lightning.label_sets.sources"
FOREIGN = "horse\ntree\nriver\n"


@pytest.fixture(autouse=True)
def _foreign(tmp_path: Path) -> None:
    (tmp_path / "foreign.txt").write_text(FOREIGN)


def label_sets(path: Path, sources: dict[str, Any], detectors: dict[str, str], **data: Any) -> None:
    """The evaluation with other label sets, and with LabelMass or MCM on each."""
    settings = yaml.safe_load(path.read_text())
    model = settings["model"]["init_args"]
    model["label_sets"] = sources
    model["detectors"] = {
        name: {"class_path": f"ood_lightning.detectors.{kind}", "init_args": {"labels": name}}
        for name, kind in detectors.items()
    }
    settings["data"]["init_args"] |= data
    tiny_configs.write(path, settings)


def names(source: str | None = None) -> Settings:
    return {"class_path": f"{SOURCES}.IDNames", "init_args": {"names": source}}


def test_names_of_another_world_stop_a_test_and_a_warning_stands_in_its_results(
    eval_yaml: Path, capsys: pytest.CaptureFixture[str]
):
    label_sets(eval_yaml, {"names": names("foreign.txt")}, {"names": "mcm.MCM"})
    assert main(["test", "--config", str(eval_yaml)]) == 2
    assert "label set 'names' has 0 of the 2 class names of ID set 'id_test'" in capsys.readouterr().err
    assert not Path("run/eval/DONE").exists()

    assert main(["test", "--config", str(eval_yaml), "--names_check", "warn"]) == 0
    metadata = json.loads(Path("run/eval/results.json").read_text())["about"]
    assert "it begins with 'horse', 'tree', 'river', the set's own with 'red', 'green'" in metadata["remarks"][0]
    assert metadata["remarks"][0] in Path("run/eval/results.md").read_text()

    label_sets(eval_yaml, {"names": names()}, {"names": "mcm.MCM"})
    assert main(["test", "--config", str(eval_yaml)]) == 0
    assert "remarks" not in json.loads(Path("run/eval/results.json").read_text())["about"]
    assert LabelSet.read("run/eval/labels/names.json").words == ["red", "green"]


def test_without_names_anywhere_the_rows_of_names_are_not_run(
    eval_yaml: Path, sets: Path, capsys: pytest.CaptureFixture[str]
):
    Path("run").mkdir()
    by_hand = {"format": "ood_lightning/label-set/1", "recipe": {"method": "hand"}}
    Path("run/labels.json").write_text(
        json.dumps({**by_hand, "positives": [{"label": "red"}], "negatives": ["dog", "cat"]})
    )
    sources = {"names": names(), "mined": "run"}  # the folder of a run
    detectors = {"names": "mcm.MCM", "mined": "label_mass.LabelMass"}
    label_sets(eval_yaml, sources, detectors, id_shards=[str(sets / "train")], covariate_shards=None)

    assert main(["test", "--config", str(eval_yaml)]) == 0
    metadata = json.loads(Path("run/eval/results.json").read_text())["about"]
    assert metadata["not_run"]["names"].startswith(
        "needs names of the ID classes (class_names in the ID set's manifest"
    )
    assert "needs names of the ID classes" in capsys.readouterr().out


def fitted(path: Path, id_shards: str, **writer: Any) -> list[str]:
    settings = yaml.safe_load(path.read_text())
    settings["data"]["init_args"]["id_shards"] = id_shards
    settings["trainer"]["callbacks"][1]["init_args"] |= writer
    return ["fit", "--config", str(tiny_configs.write(path, settings))]


def test_a_fit_is_measured_with_the_names_of_its_own_set(
    fit_yaml: Path, sets: Path, make_set: MakeSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    labelled = str(make_set(tmp_path, "labelled", shards=(20, 20)))
    assert main(fitted(fit_yaml, labelled, names="foreign.txt")) == 2
    assert "list of names 'foreign.txt' has 0 of the 2 class names" in capsys.readouterr().err
    assert not Path("run/fit/last.ckpt").exists()

    assert main([*fitted(fit_yaml, labelled, names="foreign.txt"), "--names_check=warn"]) == 0
    said = capsys.readouterr().out
    assert "against the true names: overlap 0.0 %" in said
    assert "warning: list of names 'foreign.txt' has 0 of" in said

    assert main(fitted(fit_yaml, labelled, names=None)) == 0
    said = capsys.readouterr().out
    assert "against the true names: overlap" in said
    assert "warning" not in said
    measured = read_quality("run/fit")["label_sets"]["labels"]["names"]
    assert (measured["source"], measured["names"]) == ("class_names of labelled", 2)


def test_a_fit_without_names_is_not_measured_with_any(fit_yaml: Path, sets: Path, capsys: pytest.CaptureFixture[str]):
    assert main(fitted(fit_yaml, str(sets / "train"))) == 0
    assert "against the true names" not in capsys.readouterr().out


def settings_of(tmp_path: Path, encoder: Settings, corpus: Settings, **more: Any) -> list[str]:
    step = {"encoder": encoder, "corpus": corpus, "prompts": {"templates": ["{}"]}, "cache_dir": "cache", **more}
    return ["--config", str(tiny_configs.write(tmp_path / "step.yaml", step))]


def test_mine_filter_and_save_detector_refuse_them_too_and_go_on_with_a_warning(
    tmp_path: Path, sets: Path, encoder_yaml: Settings, words_yaml: Settings, capsys: pytest.CaptureFixture[str]
):
    source = {"class_path": f"{SOURCES}.MinedNegatives", "init_args": {"names": "foreign.txt", "count": 3}}
    known, parts = str(sets / "id_test"), (tmp_path, encoder_yaml, words_yaml)
    judge = {"class_path": "ood_lightning.filtering.judges.wordnet.WordNetJudge"}
    mass = {"class_path": "ood_lightning.detectors.label_mass.LabelMass", "init_args": {"sharpness": 1.0}}
    commands = {
        "mine": {"source": source, "id_shards": known, "out": "mined.json"},
        "filter": {"label_set": source, "id_train_shards": known, "judge": judge, "out": "filtered"},
        "save-detector": {"label_set": source, "id_train_shards": known, "score": mass, "out": "detector"},
    }

    for command, more in commands.items():
        settings = settings_of(*parts, **more)
        assert main([command, *settings]) == 2
        assert "has 0 of the 2 class names of ID set 'id_test'" in capsys.readouterr().err
        assert main([command, *settings, "--names_check", "warn"]) == 0
        assert "has 0 of the 2 class names of ID set 'id_test'" in "".join(capsys.readouterr())

    for path in ("mined.json", "filtered/labels.json", "detector/labels.json"):
        assert "fewer than half" in LabelSet.read(path).recipe["names_check"]

    sound = {**source, "init_args": {"count": 3}}  # the ID set's names
    assert main(["mine", *settings_of(*parts, source=sound, id_shards=known, out="sound.json")]) == 0
    assert LabelSet.read("sound.json").words == ["red", "green"]
    assert "names_check" not in LabelSet.read("sound.json").recipe


def test_a_probe_is_trained_on_the_names_of_its_set(
    tmp_path: Path, sets: Path, encoder_yaml: Settings, words_yaml: Settings, capsys: pytest.CaptureFixture[str]
):
    data = {"encoder": encoder_yaml, "id_shards": str(sets / "id_test"), "batch_size": 8, "cache_dir": "cache"}
    writer = {"class_path": "ood_lightning.callbacks.probe.ProbeWriter"}
    for source, status in (("foreign.txt", 2), (None, 0)):
        model = {"corpus": words_yaml, "label_set": names(source), "cache_dir": "cache"}
        settings = {
            "trainer": tiny_configs.trainer("run/plp", [writer], max_epochs=1),
            "model": {"class_path": "ood_lightning.modules.probe.ProbeModule", "init_args": model},
            "data": {
                "class_path": "ood_lightning.datamodules.targets.TargetFeatures",
                "init_args": {**data, "num_workers": 0},
            },
        }
        assert main(["fit", "--config", str(tiny_configs.write(tmp_path / "plp.yaml", settings))]) == status
        assert ("has 0 of the 2 class names" in capsys.readouterr().err) == bool(status)
