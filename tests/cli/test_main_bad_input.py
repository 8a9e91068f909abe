"""Input that cannot be scored ends with one message, and nothing is written."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from damaged_stores import rewrite
from tiny_model import TINY
from torch import Tensor
from torch.nn.functional import normalize

from ood_lightning.cli.main import main
from ood_lightning.data.artifacts.label_set import LabelSet, Positive

pytestmark = pytest.mark.slow  # whole commands

DETECTORS = "ood_lightning.detectors"
DIM = TINY["embed_dim"]
KNN, MAHALANOBIS = f"{DETECTORS}.knn.KNN", f"{DETECTORS}.mahalanobis.Mahalanobis"


@pytest.fixture
def refused(eval_yaml: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., None]:
    """Run the evaluation, which must say the words and write no result."""

    def run(words: str) -> None:
        assert main(["test", "--config", str(eval_yaml)]) == 2
        error = capsys.readouterr().err
        assert "Traceback" not in error
        assert re.search(words, error), error
        for name in ("scores.parquet", "results.json", "results.csv", "DONE"):
            assert not Path("run/eval", name).exists(), name

    return run


def embedded(eval_yaml: Path, name: str) -> Path:
    """The first stored feature file of a set, once everything is embedded."""
    settings = yaml.safe_load(eval_yaml.read_text())
    settings["trainer"]["default_root_dir"] = "run/first"
    first = eval_yaml.with_name("first.yaml")
    first.write_text(yaml.safe_dump(settings))
    assert main(["test", "--config", str(first)]) == 0
    return min(Path("cache").glob(f"*/{name}-*/*.safetensors"))


def narrow(image: Tensor) -> Tensor:
    return normalize(image[:, :5].float(), dim=1).half()


def second_row(value: float) -> Callable[[Tensor], Tensor]:
    def change(image: Tensor) -> Tensor:
        image[1] = value
        return image

    return change


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("blues", second_row(0.0), r"blues.*: the feature of 'blues0001' is zero \(1 of 4 are bad\)"),
        ("id_test", second_row(float("nan")), r"the feature of 'id_test0001' is not finite"),
        ("greys", second_row(float("inf")), r"the feature of 'greys0001' is not finite"),
        ("blues", narrow, rf"features of {DIM} dimensions, the shards before it 5"),
        ("greys", narrow, rf"set 'greys' has features of 5 dimensions, the texts .* have {DIM}"),
    ],
    ids=["zero", "NaN", "infinite", "one shard of another width", "a set of another width"],
)
def test_features_without_a_direction_or_of_another_encoder(
    name: str, change: Callable[[Tensor], Tensor], words: str, eval_yaml: Path, refused: Callable[..., None]
):
    rewrite(embedded(eval_yaml, name), "image", change)
    refused(words)


@pytest.mark.parametrize(
    ("detector", "words"),
    [
        ({"class_path": KNN, "init_args": {"k": 13}}, r"asks for 13 neighbours, there are 12 ID images"),
        (
            {"class_path": MAHALANOBIS},
            r"detector 'X': .*the mean of the class covariances is singular .* ridge above",
        ),
    ],
)
def test_detectors_that_the_id_images_cannot_feed(
    detector: dict[str, Any], words: str, eval_yaml: Path, sets: Path, refused: Callable[..., None]
):
    settings = yaml.safe_load(eval_yaml.read_text())
    settings["model"]["init_args"]["detectors"]["X"] = detector
    settings["data"]["init_args"]["id_train_shards"] = str(sets / "id_test")
    eval_yaml.write_text(yaml.safe_dump(settings))
    refused(words)


def test_a_label_set_without_positives_or_negatives(eval_yaml: Path, refused: Callable[..., None]):
    settings = yaml.safe_load(eval_yaml.read_text())
    settings["model"]["init_args"]["label_sets"]["neglabel"] = "l.json"
    eval_yaml.write_text(yaml.safe_dump(settings))

    LabelSet((Positive("red"),), (), {"method": "hand"}).write("l.json")
    refused("detector 'NegLabel' needs negatives, its label set 'neglabel' has none")

    content = json.loads(Path("l.json").read_text())
    Path("l.json").write_text(json.dumps(content | {"positives": []}))
    refused(r"l\.json has no positives: add some")


def test_repeated_and_overlapping_words_are_kept_and_told(eval_yaml: Path, capsys: pytest.CaptureFixture[str]):
    """The rule: a label set is scored as it is written. Sources that choose words never choose a positive."""
    settings = yaml.safe_load(eval_yaml.read_text())
    settings["model"]["init_args"]["label_sets"]["neglabel"] = "l.json"
    eval_yaml.write_text(yaml.safe_dump(settings))
    positives = tuple(Positive(word) for word in ("red", "Red", "green"))
    LabelSet(positives, ("dog", "cat", "green", "dog"), {"method": "hand"}).write("l.json")
    assert main(["test", "--config", str(eval_yaml)]) == 0
    said = capsys.readouterr().err
    assert "1 of the positives come more than once and count as often, such as 'red'" in said
    assert "1 of the negatives come more than once and count as often, such as 'dog'" in said
    assert "1 of the negatives are positives too and count on both sides, such as 'green'" in said


def test_a_word_given_twice_counts_twice():
    from ood_lightning.detectors.evidence import LabelFeatures
    from ood_lightning.detectors.label_mass import LabelMass

    eye = torch.eye(3)
    once, twice = (LabelFeatures(eye[rows], eye[2:], 1.0) for rows in ([0, 1], [0, 0, 1]))
    image = eye[:1]
    added = LabelMass(sharpness=1.0)(image, twice).exp() - LabelMass(sharpness=1.0)(image, once).exp()
    torch.testing.assert_close(added, torch.tensor([1.0], dtype=torch.float64).exp())  # one more e^1 over an e^0
