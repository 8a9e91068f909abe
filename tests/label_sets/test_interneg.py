"""InterNeg's label set from labelled images, from pseudo-labels, and in runs that have neither."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
import yaml
from shard_files import MakeSet
from torch import Tensor

from ood_lightning.cli.main import main
from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.words import Words
from ood_lightning.data.artifacts.features import Features, FeatureSet
from ood_lightning.detectors.evidence import IDLabels, Inputs
from ood_lightning.encoders.openclip import OpenClip
from ood_lightning.errors import LabelSetError
from ood_lightning.functional.intermodal import class_bounds
from ood_lightning.functional.similarity import unit
from ood_lightning.label_sets.interneg import InterNegNegatives
from ood_lightning.label_sets.sources import IDNames
from ood_lightning.label_sets.training_images import IDTrainingSet, inputs_of
from ood_lightning.label_sets.vocabulary import Vocabulary

pytestmark = pytest.mark.slow  # whole commands, or whole WordNets

WORDS = ("red", "green", *(f"word{i}" for i in range(40)))


def draw(*shape: int, seed: int) -> Tensor:
    return unit(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)))


def vocabulary(parts: tuple[Any, ...] | None = None) -> Vocabulary:
    """42 words at random; the first two are red and green."""
    bank = SimpleNamespace(encoder=SimpleNamespace(name="tiny", fingerprint="f" * 16))
    return Vocabulary(Words("some", WORDS, "here", parts), draw(42, 8, seed=0), Prompts(("{}",)), cast(Any, bank))


def images(labels: Tensor) -> Inputs:
    """30 images of red and green around their names."""
    image = unit(draw(42, 8, seed=0)[torch.arange(30) % 2] + 0.3 * draw(30, 8, seed=1)).half()
    features = Features("train", image, labels, [str(i) for i in range(30)], [])
    return inputs_of(FeatureSet(cast(Any, None), features), torch.device("cpu"))


LABELS = torch.arange(30) % 2


@pytest.fixture(autouse=True)
def _names(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("red\ngreen\n")


def test_the_border_is_that_of_the_chosen_images_and_their_labels():
    words, known = vocabulary(), images(LABELS)
    image = known[IDTrainingSet].images.features.image
    expected = class_bounds(words.features[:2], unit(image.float()), LABELS)
    for source in (InterNegNegatives("names.txt"), InterNegNegatives("names.txt", pseudo_labels=True)):
        for part, expected_part in zip(source.class_bounds(words, known), expected, strict=True):
            assert torch.equal(part, expected_part)  # 15 of each, below the 16 shots; the nearest name is the label

    few = InterNegNegatives("names.txt", shots=3).class_bounds(words, known).thresholds
    assert not torch.equal(few, expected.thresholds)
    assert torch.equal(few, InterNegNegatives("names.txt", shots=3).class_bounds(words, known).thresholds)
    other = InterNegNegatives("names.txt", shots=3, seed=1).class_bounds(words, known).thresholds
    assert not torch.equal(few, other)


@pytest.mark.parametrize(
    ("source", "supervision"),
    [
        (InterNegNegatives("names.txt", count=5), ("id_images", "id_labels", "id_names")),
        (InterNegNegatives("names.txt", count=5, pseudo_labels=True), ("id_images", "id_names")),
    ],
)
def test_what_it_was_given_is_declared(source: InterNegNegatives, supervision: tuple[str, ...]):
    parts = tuple("adj" if i % 2 else "noun" for i in range(42))
    label_set = source.make(vocabulary(parts), images(LABELS))
    assert label_set.supervision == supervision
    assert len(label_set.negatives or ()) == 5
    assert label_set.recipe["id_set"] == {"name": "train", "pictures": 30}
    assert (label_set.recipe["shots"], label_set.recipe["seed"], label_set.recipe["classes_with_images"]) == (16, 0, 2)
    assert label_set.recipe["adjectives"]["negatives"] in (1, 2, 3)


def test_inputs_say_what_is_missing():
    assert InterNegNegatives("names.txt").required_inputs == {IDTrainingSet, IDLabels}
    assert InterNegNegatives("names.txt", pseudo_labels=True).required_inputs == {IDTrainingSet}
    assert IDNames("names.txt").required_inputs == frozenset()
    assert IDNames("names.txt").class_bounds(vocabulary(), images(LABELS)) is None


@pytest.mark.parametrize(
    ("labels", "shots", "words"),
    [
        (LABELS + 1, 16, r"labels up to 2, and names\.txt 2 names"),
        (torch.full((30,), -1), 16, "labels up to -1"),
    ],
)
def test_images_and_names_that_do_not_fit_are_refused(labels: Tensor, shots: int, words: str):
    with pytest.raises(LabelSetError, match=words):
        InterNegNegatives("names.txt", shots=shots).make(vocabulary(), images(labels))


def _with_interneg(path: Path, sets: Path, train: Path | None, **options: Any) -> dict[str, Any]:
    settings = yaml.safe_load(path.read_text())
    model = settings["model"]["init_args"]
    source = {"names": str(sets / "id_test"), "count": 6, **options}
    model["label_sets"] = {
        "interneg": {"class_path": "ood_lightning.label_sets.interneg.InterNegNegatives", "init_args": source},
        **model["label_sets"],
    }
    args = {"groups": 2, "threshold": 0.9}
    model["streams"] = {"InterNeg": {"class_path": "ood_lightning.detectors.interneg.InterNeg", "init_args": args}}
    model["protocol"] = {"orders": 2, "batch_size": 5}
    settings["data"]["init_args"]["id_train_shards"] = str(train) if train else None
    path.write_text(yaml.safe_dump(settings, sort_keys=False))
    return settings


def _run(path: Path) -> dict[str, Any]:
    assert main(["test", "--config", str(path)]) == 0
    written: dict[str, Any] = json.loads(Path("run/eval/results.json").read_text())
    return written


def test_a_run_on_labelled_training_images_is_the_same_twice(
    eval_yaml: Path, sets: Path, tmp_path: Path, make_set: MakeSet
):
    train = make_set(tmp_path, "known", colours=("red", "green"), shards=(20,), seed=7)
    _with_interneg(eval_yaml, sets, train)
    first = _run(eval_yaml)
    rows = [row for row in first["results"] if row["stream"]]
    assert {(row["detector"], row["supervision"]) for row in rows} == {
        ("InterNeg", "id_images+id_labels+id_names+test_stream")
    }
    assert _run(eval_yaml)["results"] == first["results"]
    settings = yaml.safe_load(eval_yaml.read_text())
    settings["model"]["init_args"]["streams"]["InterNeg"]["init_args"]["threshold"] = 0.0
    eval_yaml.write_text(yaml.safe_dump(settings))
    assert _run(eval_yaml)["results"] != first["results"]  # so it did invert


def test_without_labels_only_the_detectors_that_read_this_label_set_are_not_run(
    eval_yaml: Path, sets: Path, capsys: pytest.CaptureFixture[str]
):
    _with_interneg(eval_yaml, sets, sets / "train")
    written = _run(eval_yaml)
    reason = "needs labels of ID training images (.cls in data.id_train_shards)"
    assert written["about"]["not_run"] == {"InterNeg": reason}
    assert {row["detector"] for row in written["results"]} == {"MCM", "NegLabel"}
    assert {path.name for path in Path("run/eval/labels").iterdir()} == {"names.json", "neglabel.json"}
    assert f"InterNeg: not run, {reason}" in " ".join(capsys.readouterr().out.split())


def test_pseudo_labels_need_images_but_no_labels(eval_yaml: Path, sets: Path):
    _with_interneg(eval_yaml, sets, None, pseudo_labels=True)
    assert _run(eval_yaml)["about"]["not_run"] == {"InterNeg": "needs ID training images (data.id_train_shards)"}
    _with_interneg(eval_yaml, sets, sets / "train", pseudo_labels=True)
    assert {row["supervision"] for row in _run(eval_yaml)["results"] if row["stream"]} == {
        "id_images+id_names+test_stream"
    }


def test_a_run_whose_only_label_set_cannot_be_made_says_so(
    eval_yaml: Path, sets: Path, capsys: pytest.CaptureFixture[str]
):
    settings = _with_interneg(eval_yaml, sets, None)
    model = settings["model"]["init_args"]
    model["label_sets"], model["detectors"] = {"interneg": model["label_sets"]["interneg"]}, {}
    eval_yaml.write_text(yaml.safe_dump(settings))
    assert main(["test", "--config", str(eval_yaml)]) == 2
    assert (
        "no label set can be made: label set 'interneg' needs labels of ID training images" in capsys.readouterr().err
    )


def test_a_label_set_that_looked_at_no_images_leaves_interneg_out(eval_yaml: Path, sets: Path):
    settings = _with_interneg(eval_yaml, sets, None)
    settings["model"]["init_args"]["streams"]["InterNeg"]["init_args"]["labels"] = "neglabel"
    eval_yaml.write_text(yaml.safe_dump(settings))
    assert _run(eval_yaml)["about"]["not_run"] == {
        "InterNeg": "needs a label set that looks at ID images (ood_lightning.label_sets.interneg.InterNegNegatives)"
    }


def test_a_tower_that_takes_no_vectors_leaves_interneg_out(
    eval_yaml: Path, sets: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(OpenClip, "supports_soft_tokens", False)
    _with_interneg(eval_yaml, sets, sets / "train", pseudo_labels=True)
    assert _run(eval_yaml)["about"]["not_run"] == {
        "InterNeg": "needs a text tower that takes vectors for tokens (open_clip's causal ones)"
    }
