"""Detector folders that are not what was written: damaged, swapped, newer, edited."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from carried import CPU, world
from torch import Tensor

from ood_lightning.calibration.calibration import Calibration
from ood_lightning.data.artifacts.label_set import LabelSet, Positive
from ood_lightning.detector_folder.load import check_folder, load_folder
from ood_lightning.detector_folder.save import save_detector, set_calibration
from ood_lightning.detectors.clipn import CLIPN
from ood_lightning.detectors.knn import KNN
from ood_lightning.detectors.label_mass import LabelMass
from ood_lightning.detectors.mcm import MCM
from ood_lightning.encoders.openclip import OpenClip
from ood_lightning.errors import DetectorError, LabelSetError

CALIBRATION = Calibration(tuple(i / 10 for i in range(60)), n_images=60, source="held-out images")


@pytest.fixture
def folder(tiny_model: Path, tmp_path: Path) -> Path:
    """With words, evidence and a calibration."""
    run = world(tiny_model, tmp_path)
    return save_detector(tmp_path / "detector", KNN(), run.made, run.available, calibration=CALIBRATION)


@pytest.fixture
def words(tiny_model: Path, tmp_path: Path) -> Path:
    """Of a detector that compares with words alone, both sides listed."""
    made = world(tiny_model, tmp_path, negatives=("cat", "horse")).made
    return save_detector(tmp_path / "words", LabelMass(), made, calibration=CALIBRATION)


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("name", ["texts.safetensors", "evidence.safetensors", "calibration.json"])
def test_a_damaged_missing_or_foreign_file_is_refused_by_its_name(name: str, folder: Path, words: Path):
    path = folder / name
    whole = path.read_bytes()
    damages: list[Callable[[], object]] = [
        lambda: flipped(path),
        lambda: path.write_bytes(whole[: len(whole) // 2]),
        lambda: shutil.copyfile(words / "texts.safetensors", path),
    ]
    for damage in damages:
        damage()
        with pytest.raises(DetectorError, match=rf"{name} is damaged, or of another detector") as refused:
            check_folder(folder)
        assert "\n" not in str(refused.value)
        path.write_bytes(whole)
    check_folder(folder)

    path.unlink()
    with pytest.raises(DetectorError, match=f"{name} is missing: copy the folder again"):
        check_folder(folder)


def test_a_detector_json_that_anybody_changed_is_refused(folder: Path):
    file = folder / "detector.json"
    content = json.loads(file.read_text())
    content["detector"]["init_args"]["k"] = 2
    file.write_text(json.dumps(content))
    with pytest.raises(DetectorError, match=r"detector\.json is not what was written, by its SHA-256"):
        check_folder(folder)

    file.write_text("{")
    with pytest.raises(DetectorError, match="not readable as JSON"):
        check_folder(folder)
    file.unlink()
    with pytest.raises(DetectorError, match=r"holds no detector\.json: expected .* `run PICTURES` makes"):
        check_folder(folder)
    with pytest.raises(DetectorError, match=r"^there is no folder .*none: expected .*`save-detector`"):
        check_folder(folder / "none")


def test_the_folder_of_a_run_is_told_from_its_detector(folder: Path, tmp_path: Path):
    run = tmp_path / "run"
    folder.rename(tmp_path / "made")
    run.mkdir()
    (tmp_path / "made").rename(run / "detector")
    with pytest.raises(DetectorError, match=r"run is the folder of a run: its detector is .*run/detector$"):
        check_folder(run)


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ("ood_lightning/detector/2", r"newer ood_lightning \(format 2, this version reads 1\): update"),
        ("ood_lightning/label-set/1", "is no file of a detector folder"),
    ],
)
def test_another_version_is_refused_before_anything_else_is_read(stated: str, words: str, folder: Path):
    (folder / "detector.json").write_text(json.dumps({"format": stated, "brains": 12}))
    with pytest.raises(DetectorError, match=words):
        check_folder(folder)


def resealed(folder: Path, **change: Any) -> None:
    """Contents that a forger changed, with a hash that fits."""
    content = json.loads((folder / "detector.json").read_text()) | change
    rest = json.dumps({**content, "sha256": ""}, sort_keys=True)
    content["sha256"] = hashlib.sha256(rest.encode()).hexdigest()
    (folder / "detector.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    "path",
    [
        "os.system",
        "subprocess.Popen",
        "ood_lightning.cli.main.main",
        "ood_lightning.detectors.base.Detector",
        "ood_lightning.detectors.base.StreamProtocol",
        "ood_lightning.detectors.tanl.TANL",
        "ood_lightning.detectors.knn.KNN.bind",
        "ood_lightning.detectors.mcm.LabelDetector",
        "ood_lightning.detectors..knn.KNN",
        "ood_lightning.detectors.nothing.KNN",
    ],
)
def test_no_class_is_imported_because_a_file_says_so(path: str, folder: Path):
    resealed(folder, detector={"class_path": path, "init_args": {}})
    with pytest.raises(DetectorError, match=r"is no detector of ood_lightning\.detectors"):
        check_folder(folder)


def test_settings_from_a_file_are_checked(folder: Path):
    for options, words in (({"k": "3"}, "k is '3'"), ({"k": 0}, "k is 0, expected 1 or more"), ({"q": 1}, "'q'")):
        resealed(folder, detector={"class_path": "ood_lightning.detectors.knn.KNN", "init_args": options})
        with pytest.raises(DetectorError, match=words):
            check_folder(folder)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/../../b"])
def test_no_file_outside_the_folder_is_looked_at(name: str, folder: Path):
    resealed(folder, files={name: "0" * 64})
    with pytest.raises(DetectorError, match="it lies outside the set's folder"):
        check_folder(folder)


def test_another_encoder_under_the_same_name_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(OpenClip, "fingerprint", "f" * 16)
    with pytest.raises(DetectorError, match=r"what this machine has under that name is another one \(ffff"):
        check_folder(folder)


def test_labels_of_another_detector_are_refused(folder: Path, tmp_path: Path):
    LabelSet((Positive("iron"),), None, {"method": "other"}).write(folder / "labels.json")
    with pytest.raises(DetectorError, match="is another label set than this detector's"):
        check_folder(folder)


def edited(folder: Path, **change: Any) -> None:
    file = folder / "labels.json"
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | change), encoding="utf-8")


def test_edited_words_are_encoded_and_the_calibration_is_void(words: Path, monkeypatch: pytest.MonkeyPatch):
    encoded: list[str] = []
    real = OpenClip.encode_text

    def encode_text(self: OpenClip, texts: Any, *args: Any) -> Tensor:
        encoded.extend(texts)
        return real(self, texts, *args)

    monkeypatch.setattr(OpenClip, "encode_text", encode_text)
    before = load_folder(check_folder(words), CPU)
    assert before.verified.calibration == CALIBRATION
    assert not before.verified.remarks
    assert not encoded

    edited(words, positives=[{"label": "dog"}, {"label": "a purple cow"}, {"label": "red"}])
    verified = check_folder(words)
    assert verified.calibration is None
    (remark,) = verified.remarks
    assert "labels.json was edited by hand after the detector was made; its calibration is void" in remark

    after = load_folder(verified, CPU)
    assert encoded == ["a purple cow", "a photo of a a purple cow."]
    assert list(after.ready.texts.positives) == ["dog", "a purple cow", "red"]
    torch.testing.assert_close(
        after.ready.positives.features[[2, 0]], before.ready.positives.features[[0, 2]], rtol=0, atol=0
    )


def test_a_new_calibration_counts_for_the_edited_words(words: Path):
    edited(words, positives=[{"label": "dog"}])
    set_calibration(words, CALIBRATION)
    verified = check_folder(words)
    assert verified.calibration == CALIBRATION
    assert not verified.remarks
    assert CALIBRATION.statements()[0] in (words / "README.md").read_text(encoding="utf-8")


def test_words_that_were_rest_of_the_corpus_can_be_edited_too(tiny_model: Path, tmp_path: Path):
    made = world(tiny_model, tmp_path).made
    folder = save_detector(tmp_path / "detector", LabelMass(), made)
    edited(folder, positives=[{"label": "cat"}])
    loaded = load_folder(check_folder(folder), CPU)
    assert "cat" not in loaded.ready.texts.negatives
    assert {"red", "green", "dog"} <= set(loaded.ready.texts.negatives)

    edited(folder, negatives=["red", "an unheard-of thing"])
    assert list(load_folder(check_folder(folder), CPU).ready.texts.negatives) == ["red", "an unheard-of thing"]


def test_what_edited_words_make_impossible_is_said(
    words: Path, tiny_model: Path, tmp_path: Path, clipn_tensors: dict[str, Tensor]
):
    edited(words, negatives="rest of the corpus")
    with pytest.raises(DetectorError, match="the rest of a corpus, which this folder does not hold: list them"):
        load_folder(check_folder(words), CPU)
    edited(words, negatives=[])
    with pytest.raises(DetectorError, match="has no negatives, which LabelMass needs"):
        load_folder(check_folder(words), CPU)
    edited(words, positives=[])
    with pytest.raises(LabelSetError, match="has no positives"):
        check_folder(words)

    torch.save(clipn_tensors, tmp_path / "clipn.pt")
    made = world(tiny_model, tmp_path).made
    folder = save_detector(tmp_path / "clipn", CLIPN(checkpoint=str(tmp_path / "clipn.pt")), made)
    (tmp_path / "clipn.pt").unlink()  # its texts lie in the folder
    load_folder(check_folder(folder), CPU)
    edited(folder, positives=[{"label": "cat"}])
    with pytest.raises(DetectorError, match="CLIPN needs its words under a text tower that the folder does not hold"):
        load_folder(check_folder(folder), CPU)


def test_a_detector_without_negatives_reads_words_alone(tiny_model: Path, tmp_path: Path):
    made = world(tiny_model, tmp_path, negatives=()).made
    loaded = load_folder(check_folder(save_detector(tmp_path / "mcm", MCM(), made)), CPU)
    assert len(loaded.ready.negatives) == 0
    assert not (tmp_path / "mcm" / "evidence.safetensors").exists()
