"""ClusterMine and PosMine as label sources of a fit, of an evaluation and of a prediction."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ood_lightning.cli.main import main
from ood_lightning.data.artifacts.label_set import LabelSet

pytestmark = pytest.mark.slow  # whole commands

SOURCES = "ood_lightning.label_sets"
CLUSTERMINE = {"class_path": f"{SOURCES}.clustermine.ClusterMine"}
POSMINE = {"class_path": f"{SOURCES}.posmine.PosMine", "init_args": {"min_images": 2}}


def mass(labels: str) -> dict[str, Any]:
    return {"class_path": "ood_lightning.detectors.label_mass.LabelMass", "init_args": {"labels": labels}}


def test_an_evaluation_mines_the_sets_of_the_fit_from_its_votes(fit_yaml: Path, eval_yaml: Path, sets: Path):
    assert main(["fit", "--config", str(fit_yaml)]) == 0
    settings = yaml.safe_load(eval_yaml.read_text())
    model = settings["model"]["init_args"]
    model["prompts"] = yaml.safe_load(fit_yaml.read_text())["trainer"]["callbacks"][1]["init_args"]["prompts"]
    votes = {**CLUSTERMINE, "init_args": {"votes": "run/fit/votes.safetensors"}}
    model["label_sets"] |= {"mined": votes, "counted": POSMINE, "without votes": CLUSTERMINE}
    model["detectors"] |= {name: mass(name) for name in ("mined", "counted", "without votes")}
    settings["data"]["init_args"]["id_train_shards"] = str(sets / "train")
    eval_yaml.write_text(yaml.safe_dump(settings, sort_keys=False))
    assert main(["test", "--config", str(eval_yaml)]) == 0

    for name, fitted in (("mined", "labels"), ("counted", "posmine")):
        made = LabelSet.read(f"run/eval/labels/{name}.json")
        assert made.positives == LabelSet.read(f"run/fit/{fitted}.json").positives
    results = json.loads(Path("run/eval/results.json").read_text())
    reason = "needs clusters of the ID training images (`votes.safetensors` of a fit)"
    assert results["about"]["not_run"] == {"without votes": reason}
    assert {row["supervision"] for row in results["results"] if row["detector"] == "mined"} == {"id_images"}


def test_a_fit_makes_the_label_sets_that_it_can_and_says_what_the_others_lack(
    fit_yaml: Path, sets: Path, capsys: pytest.CaptureFixture[str]
):
    settings = yaml.safe_load(fit_yaml.read_text())
    writer = settings["trainer"]["callbacks"][1]["init_args"]
    interneg = {"class_path": f"{SOURCES}.interneg.InterNegNegatives", "init_args": {"names": str(sets / "id_test")}}
    writer["label_sets"] |= {"below": interneg}
    fit_yaml.write_text(yaml.safe_dump(settings))
    writer["label_sets"]["posmine"]["init_args"]["min_images"] = 49  # of 48
    fit_yaml.write_text(yaml.safe_dump(settings))
    Path("run/fit").mkdir(parents=True)
    Path("run/fit/posmine.json").write_text("of an earlier run")
    assert main(["fit", "--config", str(fit_yaml)]) == 0
    output, error = capsys.readouterr()
    needed = "needs labels of ID training images (.cls in data."
    assert f"label set 'below' will not be made: it {needed}" in output + error
    assert f"label set 'below' was not made: {needed}" in output
    assert "label set 'posmine' was not made: PosMine: no word is the nearest of 49 images" in output
    assert sorted(path.stem for path in Path("run/fit").glob("*.json")) == ["labels", "quality"]

    writer["label_sets"] = {"below": interneg}
    fit_yaml.write_text(yaml.safe_dump(settings))
    assert main(["fit", "--config", str(fit_yaml), "--trainer.default_root_dir", "run/none"]) == 2
    assert f"no label set can be made: label set 'below' {needed}" in capsys.readouterr().err
    assert not Path("run/none/last.ckpt").exists()

    writer["label_sets"] = {"quality": CLUSTERMINE}
    fit_yaml.write_text(yaml.safe_dump(settings))
    assert main(["fit", "--config", str(fit_yaml)]) == 2
    assert "no label set may be called 'quality': the fit writes quality.json itself" in capsys.readouterr().err


def test_a_data_module_of_another_kind_is_refused_in_one_line(fit_yaml: Path, capsys: pytest.CaptureFixture[str]):
    settings = yaml.safe_load(fit_yaml.read_text())
    settings["data"]["class_path"] = "ood_lightning.datamodules.targets.TargetFeatures"
    del settings["data"]["init_args"]["n_neighbours"]
    fit_yaml.write_text(yaml.safe_dump(settings))
    assert main(["fit", "--config", str(fit_yaml)]) == 2
    (error,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert (
        "TEMIModule reads data of the kind PairData, and the config names TargetFeatures, which has no moments" in error
    )
