"""A new mining method and a new detector are one file outside the package: every command takes them by class path."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file
from shard_files import encoded

from ood_lightning.cli.main import main
from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.texts import TextBank
from ood_lightning.data.artifacts.label_set import LabelSet
from ood_lightning.encoders.openclip import OpenClip
from ood_lightning.functional.similarity import unit

pytestmark = pytest.mark.slow  # whole commands

METHOD = '''
"""Words whose cosines to the ID images have the largest sum."""

from dataclasses import dataclass

from ood_lightning.data.artifacts.label_set import LabelSet, Positive
from ood_lightning.detectors.evidence import IDFeatures, Input, Inputs
from ood_lightning.label_sets.base import LabelSource
from ood_lightning.label_sets.vocabulary import Vocabulary


@dataclass(frozen=True)
class MostSimilar(LabelSource):
    """The words most similar to all images together.

    Args:
        count: positives.
    """

    count: int = 3

    @property
    def required_inputs(self) -> frozenset[type[Input]]:
        return frozenset({IDFeatures})

    def make(self, vocabulary: Vocabulary, available: Inputs) -> LabelSet:
        image = available[IDFeatures].image  # (n, D)
        similarity = vocabulary.features @ image.sum(dim=0).cpu()  # (V, D) @ (D,) -> (V,)
        words = [vocabulary.words.words[row] for row in similarity.topk(self.count).indices.tolist()]
        recipe = vocabulary.recipe(method="MostSimilar", count=self.count, supervision=["id_images"])
        return LabelSet(tuple(Positive(word) for word in words), None, recipe)
'''

DETECTOR = '''
"""Mean cosine to the positives, less the mean cosine to the ID images."""

from dataclasses import dataclass

from ood_lightning.detectors.base import Detector, Scorer
from ood_lightning.detectors.evidence import Evidence, IDFeatures, Input


@dataclass(frozen=True)
class Mean(Detector):
    """Any two numbers that can be had from what a run offers.

    Args:
        labels: name of the label set.
    """

    labels: str = "mined"

    @property
    def required_inputs(self) -> frozenset[type[Input]]:
        return frozenset({IDFeatures})

    def bind(self, evidence: Evidence) -> Scorer:
        texts = evidence.labels(self.labels).positives.mean(dim=0)
        images = evidence[IDFeatures].image.mean(dim=0)
        return lambda features: (features @ (texts - images)).double()
'''


@pytest.fixture
def method(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The mining method as a config names it, in a folder that Python finds."""
    (tmp_path / "new_mining_method.py").write_text(METHOD)
    monkeypatch.syspath_prepend(tmp_path)
    return {"class_path": "new_mining_method.MostSimilar", "init_args": {"count": 4}}


@pytest.fixture
def detector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The detector as a config names it."""
    (tmp_path / "new_detector.py").write_text(DETECTOR)
    monkeypatch.syspath_prepend(tmp_path)
    return {"class_path": "new_detector.Mean"}


def write(path: str, settings: dict[str, Any]) -> str:
    Path(path).write_text(yaml.safe_dump(settings, sort_keys=False))
    return path


def test_fit_writes_the_set_of_a_new_method_and_mine_makes_the_same(
    method: dict[str, Any], fit_yaml: Path, tiny_model: Path
):
    settings = yaml.safe_load(fit_yaml.read_text())
    writer = settings["trainer"]["callbacks"][1]["init_args"]
    writer["label_sets"] = {"similar": method, "labels": writer["label_sets"]["labels"]}
    assert main(["fit", "--config", write("fit.yaml", settings)]) == 0
    fitted = LabelSet.read("run/fit/similar.json")

    # by hand, from the features that the fit has stored
    bank, prompts = TextBank(OpenClip(f"local-dir:{tiny_model}"), "elsewhere"), Prompts(**writer["prompts"])
    words = Path(writer["corpus"]["init_args"]["path"]).read_text().split()
    shards = sorted(Path("cache").glob("*/train-*/*.tar.safetensors"))
    image = unit(torch.cat([load_file(shard)["image"].float() for shard in shards]))
    similarity = bank.encode(words, prompts) @ image.sum(dim=0)
    assert fitted.words == [words[row] for row in similarity.topk(4).indices.tolist()]
    assert json.loads(Path("run/fit/quality.json").read_text())["label_sets"]["similar"]["method"] == "MostSimilar"

    data = settings["data"]["init_args"]
    step = {"encoder": data["encoder"], "corpus": writer["corpus"], "prompts": writer["prompts"], "cache_dir": "cache"}
    command = ["mine", "--config", write("mine.yaml", {**step, "id_shards": data["id_shards"], "source": method})]
    assert main([*command, "--out", "mined.json"]) == 0
    assert LabelSet.read("mined.json") == LabelSet.read("run/fit/similar.json")


def test_a_test_and_a_detector_folder_are_made_with_the_set_of_a_new_method(
    method: dict[str, Any],
    detector: dict[str, Any],
    eval_yaml: Path,
    sets: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    settings = yaml.safe_load(eval_yaml.read_text())
    model = settings["model"]["init_args"]
    model["label_sets"]["mined"], model["detectors"]["New"] = method, detector
    settings["data"]["init_args"]["id_train_shards"] = str(sets / "train")
    assert main(["test", "--config", write("eval.yaml", settings)]) == 0
    results = json.loads(Path("run/eval/results.json").read_text())
    assert results["about"]["not_run"] == {}
    assert {row["supervision"] for row in results["results"] if row["detector"] == "New"} == {"id_images"}
    made = LabelSet.read("run/eval/labels/mined.json")
    assert (made.recipe["method"], len(made.words)) == ("MostSimilar", 4)

    (tmp_path / "p.png").write_bytes(encoded((30, 30, 220), 3000))  # first picture of `blues`
    step = {name: model[name] for name in ("corpus", "prompts", "cache_dir")}
    step |= {"encoder": settings["data"]["init_args"]["encoder"], "label_set": method, "score": detector}
    command = ["save-detector", "--config", write("step.yaml", step), "--id_train_shards", str(sets / "train")]
    assert main([*command, "--out", "new"]) == 2  # a folder carries the detectors of the package alone
    assert "is no detector of ood_lightning.detectors" in capsys.readouterr().err

    mass = "ood_lightning.detectors.label_mass.LabelMass"
    assert main([*command, "--score", mass, "--out", "detector"]) == 0
    assert main(["predict", "p.png", "--detector", "detector", "--out", "rows.csv"]) == 0
    with Path("rows.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert set(row["concepts"].split("|")) <= set(made.words)


def test_where_no_images_are_at_hand_every_command_says_what_the_method_needs(
    method: dict[str, Any], eval_yaml: Path, capsys: pytest.CaptureFixture[str]
):
    settings = yaml.safe_load(eval_yaml.read_text())
    model = settings["model"]["init_args"]
    model["label_sets"]["mined"] = method
    model["detectors"]["Mass"] = {
        "class_path": "ood_lightning.detectors.label_mass.LabelMass",
        "init_args": {"labels": "mined"},
    }
    reason = "needs ID training images (data.id_train_shards)"
    assert main(["test", "--config", write("eval.yaml", settings)]) == 0
    assert json.loads(Path("run/eval/results.json").read_text())["about"]["not_run"] == {"Mass": reason}

    step = {name: model[name] for name in ("corpus", "prompts", "cache_dir")}
    step |= {"encoder": settings["data"]["init_args"]["encoder"], "label_set": method}
    judge = {"class_path": "ood_lightning.filtering.judges.wordnet.WordNetJudge"}
    capsys.readouterr()
    assert main(["filter", "--config", write("filter.yaml", {**step, "judge": judge, "out": "filtered"})]) == 2
    assert f"label set 'MostSimilar' {reason}" in capsys.readouterr().err.replace("\n", " ")
