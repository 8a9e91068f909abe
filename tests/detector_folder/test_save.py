"""A detector carried in a folder gives the scores of the run that made it, to the bit."""

from pathlib import Path
from typing import Any

import pytest
import torch
from carried import CPU, World, classes, settings, world
from torch import Tensor

from ood_lightning.corpora.prompts import Prompts
from ood_lightning.detector_folder.load import check_folder, load_folder
from ood_lightning.detector_folder.save import save_detector
from ood_lightning.detectors.base import Detector, StreamDetector
from ood_lightning.detectors.knn import KNN
from ood_lightning.detectors.label_mass import LabelMass
from ood_lightning.detectors.mcm import MCM
from ood_lightning.errors import DetectorError
from ood_lightning.label_sets.ready import MadeLabelSet

CLASSES = classes()
CARRIED = sorted(name for name, kind in CLASSES.items() if issubclass(kind, Detector))
LISTED = ("cat", "horse", "iron", "snow", "sky")


def scores_after_carrying(detector: Detector, run: World, folder: Path) -> Tensor:
    save_detector(folder, detector, run.made, run.available)
    loaded = load_folder(check_folder(folder), CPU)
    columns = loaded.verified.encoder.encode_columns(run.images, [c for c in detector.columns if c != "image"])
    return loaded.scorer(*(columns[name] for name in detector.columns))


@pytest.mark.slow
@pytest.mark.parametrize("negatives", [None, LISTED], ids=["rest", "listed"])
@pytest.mark.parametrize("kind", CARRIED)
def test_every_detector_scores_from_its_folder_as_in_the_run(
    kind: str,
    negatives: tuple[str, ...] | None,
    tiny_model: Path,
    tmp_path: Path,
    clipn_tensors: dict[str, Tensor],
):
    run = world(tiny_model, tmp_path, negatives=negatives)
    for i, options in enumerate(settings(kind, run, tmp_path, clipn_tensors)):
        detector = CLASSES[kind](**options)
        expected = run.scorer(detector)(*run.columns(detector))
        assert len(expected.unique()) > 20
        assert torch.equal(scores_after_carrying(detector, run, tmp_path / f"folder{i}"), expected)


def test_there_are_detectors_to_carry():
    assert len(CARRIED) >= 14


@pytest.mark.parametrize("kind", sorted(name for name, one in CLASSES.items() if issubclass(one, StreamDetector)))
def test_a_detector_that_learns_from_a_stream_is_refused_in_one_line(kind: str, tiny_model: Path, tmp_path: Path):
    with pytest.raises(DetectorError, match=f"{kind} learns from the test stream") as refused:
        save_detector(tmp_path / "folder", CLASSES[kind](), world(tiny_model, tmp_path).made)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "folder").exists()


@pytest.mark.slow
@pytest.mark.parametrize("positives", [("red", "a thing that no corpus has", "dog"), ("dog", "dog", "red")])
@pytest.mark.parametrize("adjectives", [None, ("something {}",)])
def test_names_that_the_corpus_lacks_or_that_come_twice_are_carried(
    positives: tuple[str, ...], adjectives: tuple[str, ...] | None, tiny_model: Path, tmp_path: Path
):
    prompts = Prompts(("{}", "the {}"), adjectives=adjectives)
    for i, negatives in enumerate([None, LISTED]):
        run = world(tiny_model, tmp_path, positives=positives, negatives=negatives, prompts=prompts)
        for detector in (LabelMass(), MCM(labels="clustermine")):
            expected = run.scorer(detector)(*run.columns(detector))
            assert torch.equal(scores_after_carrying(detector, run, tmp_path / f"{i}"), expected)


def test_a_folder_is_replaced_whole_and_nothing_else_is(tiny_model: Path, tmp_path: Path):
    run = world(tiny_model, tmp_path)
    folder = tmp_path / "folder"
    save_detector(folder, KNN(), run.made, run.available)
    assert (folder / "evidence.safetensors").is_file()
    save_detector(folder, LabelMass(), run.made)
    assert {path.name for path in folder.iterdir()} == {
        "detector.json",
        "labels.json",
        "texts.safetensors",
        "README.md",
    }

    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("all of it")
    for target in (tmp_path / "mine", tmp_path / "mine" / "thesis.txt"):
        with pytest.raises(DetectorError, match="exists and is no detector folder"):
            save_detector(target, LabelMass(), run.made)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]
    assert not list(tmp_path.glob(".*"))


def test_the_same_detector_gives_the_same_bytes(tiny_model: Path, tmp_path: Path):
    run = world(tiny_model, tmp_path)
    for name in ("one", "two"):
        save_detector(tmp_path / name, KNN(), run.made, run.available, provenance={"seed": 3})
    first, second = ({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("one", "two"))
    assert first == second


def test_weights_travel_where_that_is_asked_for(tiny_model: Path, tmp_path: Path):
    run = world(tiny_model, tmp_path)
    folder = save_detector(tmp_path / "folder", LabelMass(), run.made, copy_weights=True)
    moved = folder.rename(tmp_path / "elsewhere")
    encoder = check_folder(moved).encoder
    assert encoder.weights_folder == moved / "weights"
    assert encoder.fingerprint == run.encoder.fingerprint


def test_what_a_detector_lacks_is_said(tiny_model: Path, tmp_path: Path):
    run = world(tiny_model, tmp_path)
    with pytest.raises(DetectorError, match="KNN needs ID training images"):
        save_detector(tmp_path / "folder", KNN(), run.made)


def test_a_detector_of_somebodys_own_is_refused(tiny_model: Path, tmp_path: Path):
    class Own(LabelMass):
        pass

    with pytest.raises(DetectorError, match=r"is no detector of ood_lightning\.detectors: a folder can carry those"):
        save_detector(tmp_path / "folder", Own(), world(tiny_model, tmp_path).made)


def test_supervision_is_that_of_detector_and_words(tiny_model: Path, tmp_path: Path):
    run = world(tiny_model, tmp_path)
    expected: dict[Any, tuple[str, ...]] = {LabelMass(): ("id_names",), KNN(): ("id_images",)}
    for detector, supervision in expected.items():
        folder = save_detector(tmp_path / "folder", detector, run.made, run.available)
        assert check_folder(folder).contents.supervision == supervision


def test_a_made_label_set_keeps_its_remark(tiny_model: Path, tmp_path: Path):
    made = world(tiny_model, tmp_path).made
    remarked = MadeLabelSet(made.label_set, made.vocabulary, None, "names of another set")
    folder = save_detector(tmp_path / "folder", LabelMass(), remarked)
    assert check_folder(folder).label_set.recipe["names_check"] == "names of another set"
