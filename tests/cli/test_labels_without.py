"""`labels without`: an edited set's scores are those that `test` computes anew, and its run is one like any other."""

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from command_line import said
from tiny_configs import Settings, write

from ood_lightning.cli.main import main
from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.words import WordFile
from ood_lightning.data.artifacts.label_set import LabelSet, Positive
from ood_lightning.data.artifacts.scores import StoredScores
from ood_lightning.label_sets.vocabulary import corpus_recipe

ROUNDING = 2e-5  # of float32 products at ten times CLIP's scale, in nats
MASS = "ood_lightning.detectors.label_mass.LabelMass"


@pytest.fixture
def run(eval_yaml: Path, words_yaml: Settings, tmp_path: Path) -> Path:
    """A finished `test` of a label set whose negatives are the rest of the corpus, and of one that lists them."""
    words = WordFile(words_yaml["init_args"]["path"]).load()
    recipe = {"corpus": corpus_recipe(words, Prompts(("{}",))), "method": "hand"}
    LabelSet((Positive("red", images=3), Positive("dog")), None, recipe).write(tmp_path / "rest.json")
    LabelSet((Positive("red"), Positive("green")), ("cat", "sky", "blue"), {}).write(tmp_path / "listed.json")

    settings = yaml.safe_load(eval_yaml.read_text())
    model: dict[str, Any] = settings["model"]["init_args"]
    model["label_sets"] = {"rest": "rest.json", "listed": "listed.json"}
    model["detectors"] = {
        "Rest": {"class_path": MASS, "init_args": {"labels": "rest", "sharpness": 1.0}},
        "Sharp": {"class_path": MASS, "init_args": {"labels": "rest", "sharpness": 10.0}},
        "Listed": {"class_path": MASS, "init_args": {"labels": "listed", "sharpness": 1.0}},
        "MCM": {"class_path": "ood_lightning.detectors.mcm.MCM", "init_args": {"labels": "rest"}},
    }
    write(eval_yaml, settings)
    assert main(["test", "--config", str(eval_yaml)]) == 0
    return tmp_path / "run" / "eval"


def without(run: Path, name: str, *words: str) -> int:
    return main(["labels", "without", str(run / "labels" / f"{name}.json"), *words, "--out", "edited"])


EDITS = [
    ("rest", ["--drop", "dog"]),
    ("rest", ["--add", "green"]),
    ("rest", ["--drop", "Red", "--add", "green", "grey", "horse"]),
    ("rest", ["--add", "a word that the corpus lacks"]),
    ("listed", ["--drop", "green", "cat", "--add", "blue"]),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "words"), EDITS)
def test_scores_and_words_are_those_of_a_whole_test(run: Path, name: str, words: list[str], tmp_path: Path):
    assert without(run, name, *words) == 0
    (config,) = (tmp_path / "edited" / "log").glob("*/config.yaml")
    assert main(["test", "--config", str(config), "--trainer.default_root_dir", "whole"]) == 0

    moved, whole = (StoredScores(tmp_path / folder / "scores.parquet") for folder in ("edited", "whole"))
    assert moved.detectors == whole.detectors == (["Rest", "Sharp"] if name == "rest" else ["Listed"])
    for detector in moved.detectors:
        for of_set, expected in whole.column(detector).items():
            torch.testing.assert_close(
                moved.column(detector)[of_set], expected, atol=ROUNDING, rtol=0
            )  # the rounding of float32 products

    assert moved.texts("key") == whole.texts("key")
    if name == "rest":  # the run's words were those of this set
        for side in ("top_positive", "top_negative"):
            assert moved.texts(side) == whole.texts(side)


@pytest.mark.slow
def test_the_new_run_is_reported_beside_the_old_one(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert without(run, "rest", "--drop", "dog", "--add", "green") == 0
    printed = capsys.readouterr().out
    assert "Rest, before and after" in printed
    assert "decided otherwise" in printed

    assert main(["report", str(run), "edited", "--out", "joined"]) == 0
    rows = json.loads((tmp_path / "joined" / "results.json").read_text())["results"]
    assert {"eval: Rest", "edited: Rest", "eval: Listed"} <= {row["detector"] for row in rows}
    metadata = json.loads((tmp_path / "edited" / "results.json").read_text())["about"]
    assert "'dog'" in metadata["remarks"][-1]
    assert "run `test`" in metadata["not_run"]["MCM"]

    changes = list(csv.DictReader((tmp_path / "edited" / "changes.csv").open()))
    old = json.loads((run / "results.json").read_text())["results"]
    stored = {(row["detector"], row["id_set"], row["ood_set"]): row["auroc"] for row in old}
    for row in changes:
        if row["metric"] == "auroc":
            assert float(row["before"]) == stored[row["detector"], row["id_set"], row["ood_set"]]
            assert float(row["low"]) <= float(row["difference"]) + 0.2
    again = (tmp_path / "edited" / "scores.parquet").read_bytes()
    assert without(run, "rest", "--drop", "dog", "--add", "green") == 0  # into the same folder
    assert (tmp_path / "edited" / "scores.parquet").read_bytes() == again


@pytest.mark.slow
def test_words_of_the_corpus_need_no_model_and_none_of_its_packages(run: Path):
    """Their features and the scale are stored; importing open_clip alone takes longer than the work."""
    words = ["--drop", "dog", "--add", "green", "--out", "edited"]
    code = (
        "import sys; from ood_lightning.cli.main import main;"
        f"print('status', main(['labels', 'without', {str(run / 'labels' / 'rest.json')!r}, *{words!r}]));"
        "print('imported:', *sorted({'lightning', 'open_clip', 'torchvision', 'transformers'} & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.stdout.splitlines()[-2:] == ["status 0", "imported:"], ended.stderr


@pytest.mark.slow
def test_an_edited_run_is_edited_again(run: Path, tmp_path: Path):
    assert without(run, "rest", "--drop", "dog") == 0
    again = ["labels", "without", "edited/labels/rest.json", "--add", "dog", "--out", "back"]
    assert main(again) == 0
    before, back = (StoredScores(tmp_path / folder / "scores.parquet") for folder in ("run/eval", "back"))
    for of_set, expected in before.column("Rest").items():
        torch.testing.assert_close(back.column("Rest")[of_set], expected, atol=ROUNDING, rtol=0)


@pytest.mark.slow
def test_mistakes_are_told(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    mistakes = [
        (["rest", "--drop", "gren"], "no word of the label set (its negatives are the rest of the corpus"),
        (["listed", "--drop", "gren"], "did you mean 'green'"),
        (["rest", "--add", "red"], "is a positive already"),
        (["rest", "--add", " "], "not empty"),
        (["rest", "--add", "sky", "--drop", "sky"], "cannot be dropped"),
        (["rest", "--drop", "red", "dog"], "no positive would be left"),
        (["listed", "--drop", "cat", "sky", "blue"], "no negative would be left"),
        (["rest"], "nothing would change"),
    ]
    for (name, *words), expected in mistakes:
        assert without(run, name, *words) == 2
        assert expected in said(capsys)
    assert not (tmp_path / "edited" / "DONE").exists()
    assert main(["labels", "without", str(run / "labels/rest.json"), "--drop", "dog", "--out", str(run)]) == 2
    assert "the folder of the run itself" in said(capsys)

    assert main(["labels", "without", "rest.json", "--drop", "dog", "--out", "edited"]) == 2
    assert "lies in no finished run" in said(capsys)
    assert main(["labels", "without", "rest.json", "--drop", "dog", "--out", "edited", "--run", str(run)]) == 0

    (tmp_path / "red.json").write_text((tmp_path / "rest.json").read_text().replace('"red"', '"blue"'))
    assert main(["labels", "without", "red.json", "--drop", "dog", "--out", "edited", "--run", str(run)]) == 2
    assert "was it edited?" in said(capsys)
