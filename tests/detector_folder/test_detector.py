"""A detector asked from Python: all kinds of images give the same results, and what is none is said."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from carried import world
from PIL import Image
from shard_files import encoded, write_tar

from ood_lightning import Detector
from ood_lightning.calibration.calibration import Calibration
from ood_lightning.detector_folder.detector import Result
from ood_lightning.detector_folder.save import save_detector, set_calibration
from ood_lightning.detectors.glmcm import GLMCM
from ood_lightning.detectors.label_mass import LabelMass
from ood_lightning.errors import NotFiniteScoresError, SettingsError, SourceError


@pytest.fixture
def detector(tiny_model: Path, tmp_path: Path) -> Detector:
    return Detector.load(save_detector(tmp_path / "detector", LabelMass(), world(tiny_model, tmp_path).made), "cpu")


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "pictures"
    (folder / "deep").mkdir(parents=True)
    for i, name in enumerate(("a.png", "b.png", "deep/c.png", "z.png")):
        (folder / name).write_bytes(encoded((60 * i, 90, 200 - 40 * i), i))
    return sorted(path for path in folder.rglob("*.png"))


def arrays(files: list[Path]) -> list[np.ndarray]:
    return [np.asarray(Image.open(path).convert("RGB")) for path in files]


def tensors(files: list[Path]) -> list[torch.Tensor]:
    return [torch.tensor(array).permute(2, 0, 1) for array in arrays(files)]


KINDS: dict[str, Callable[[list[Path]], Any]] = {
    "folder": lambda files: files[0].parent,
    "folder as text": lambda files: str(files[0].parent),
    "paths": lambda files: files,
    "texts": lambda files: map(str, files),
    "pictures": lambda files: [Image.open(path) for path in files],
    "arrays": arrays,
    "batch of arrays": lambda files: np.stack(arrays(files)),
    "tensors": tensors,
    "batch of tensors": lambda files: torch.stack(tensors(files)),
    "float tensors": lambda files: [tensor / 255 for tensor in tensors(files)],
    "float64 tensors": lambda files: [tensor.double() / 255 for tensor in tensors(files)],
    "a mixture": lambda files: [files[0], arrays(files)[1], [tensors(files)[2]], Image.open(files[3])],
    "all at once": lambda files: [[path] for path in files],
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_pixels_give_the_same_results(kind: str, detector: Detector, files: list[Path]):
    expected = [result.score for result in detector(files)]
    assert len(set(expected)) == len(files)
    results = list(detector(KINDS[kind](files), batch_size=4))
    assert [result.score for result in results] == expected
    assert all(result.error == "" and len(result.concepts) == 3 for result in results)
    if kind in ("folder", "paths", "texts"):
        assert [result.path for result in results] == list(map(str, files))


def test_a_text_may_name_a_set(detector: Detector, files: list[Path], tmp_path: Path):
    expected = [result.score for result in detector(files)]
    for part in (0, 1):
        members = [(f"{path.stem}.png", path.read_bytes()) for path in files[2 * part : 2 * part + 2]]
        write_tar(tmp_path / f"s-{part}.tar", members)

    for source in ("s-{0..1}.tar", "pipe:cat s-{0..1}.tar", f"{tmp_path}/s-{{0..1}}.tar"):
        results = list(detector(source, batch_size=4))
        assert [result.score for result in results] == expected
        assert [result.path for result in results] == [f"s: {path.stem}" for path in files]
    assert [result.path for result in detector(tmp_path / "s-1.tar")] == ["s: c", "s: z"]

    (result,) = detector(["pipe:touch made"])  # names of a list are names of files, and nothing else
    assert result.error == "cannot be read: No such file or directory"
    assert not Path("made").exists()


def test_one_image_is_one_result(detector: Detector, files: list[Path]):
    scores = set()
    for one in (files[0], str(files[0]), Image.open(files[0]), arrays(files)[0], tensors(files)[0]):
        (result,) = detector(one)
        scores.add(result.score)
    assert len(scores) == 1


def test_workers_and_batches_change_no_result(detector: Detector, files: list[Path]):
    (files[0].parent / "broken.png").write_bytes(b"no")
    expected = list(detector(files[0].parent, batch_size=2))
    assert list(detector(files[0].parent, batch_size=2, num_workers=2)) == expected
    assert [result.path for result in detector(files[0].parent, batch_size=1)] == [one.path for one in expected]


def test_what_cannot_be_read_keeps_its_place(detector: Detector, files: list[Path], tmp_path: Path):
    (tmp_path / "broken.png").write_bytes(b"no")
    results = list(detector([files[0], tmp_path / "broken.png", "nowhere.png", arrays(files)[1]]))
    assert [bool(result.error) for result in results] == [False, True, True, False]
    assert results[1] == Result(
        str(tmp_path / "broken.png"),
        error="cannot be read: its 2 bytes are none of JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF",
    )
    assert results[2].error == "cannot be read: No such file or directory"
    assert [result.error for result in detector([tmp_path / "broken.png"])] != [""]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((4, 4, 3)), r"array float64 \(4, 4, 3\): expected"),
        (np.zeros((3, 4, 4), dtype=np.uint8), r"array uint8 \(3, 4, 4\)"),
        (np.zeros((4, 4), dtype=np.uint8), r"ndarray of shape \(4, 4\)"),
        (torch.zeros(4, 4, 3), r"tensor torch.float32 \(4, 4, 3\)"),
        (torch.zeros(3, 4, 4, dtype=torch.int64), r"tensor torch.int64"),
        (torch.full((3, 4, 4), 1.5), "numbers from 1.5 to 1.5.*not to be normalised"),
        (torch.full((3, 4, 4), torch.nan), "numbers from nan"),
        (7, "an image is a int: expected paths"),
        (b"a.png", "an image is a bytes"),
        ([None], "an image is a NoneType"),
    ],
    ids=str,
)
def test_what_is_no_image_is_said(image: Any, words: str, detector: Detector):
    with pytest.raises(SettingsError, match=words):
        list(detector(image))


def test_a_path_that_leads_nowhere_is_said_at_once(detector: Detector, tmp_path: Path):
    with pytest.raises(SourceError, match="there is no file or folder nowhere"):
        detector("nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="empty holds no pictures"):
        list(detector("empty"))
    with pytest.raises(SettingsError, match="batch_size is 0"):
        detector("empty", batch_size=0)


def test_decisions_follow_the_calibration(detector: Detector, files: list[Path], tmp_path: Path):
    assert (detector.threshold, detector.calibration) == (None, None)
    results = list(detector(files))
    assert {(result.p_value, result.accepted) for result in results} == {(None, None)}

    scores = sorted(result.score for result in results if result.score is not None)
    calibration = Calibration((scores[0] + 1e-9,) * 99, n_images=99, source="held-out images")
    set_calibration(tmp_path / "detector", calibration)
    calibrated = Detector.load(tmp_path / "detector", "cpu")
    assert calibrated.threshold == calibration.threshold
    for result in calibrated(files):
        assert result.score is not None
        assert calibrated.threshold is not None
        assert result.accepted == (result.score > calibrated.threshold)
        assert result.p_value == (0.01 if result.score == scores[0] else 1.0)


def test_columns_beside_the_image_are_computed(tiny_model: Path, tmp_path: Path, files: list[Path]):
    made = world(tiny_model, tmp_path, negatives=()).made
    detector = Detector.load(save_detector(tmp_path / "glmcm", GLMCM(), made), torch.device("cpu"))
    assert len({result.score for result in detector(files)}) == len(files)
    assert {result.nearest_negative for result in detector(files)} == {""}
    assert detector.supervision == ("id_names",)


def test_a_score_that_is_not_finite_is_no_result(
    detector: Detector, files: list[Path], monkeypatch: pytest.MonkeyPatch
):
    infinite = detector._loaded._replace(scorer=lambda image: torch.full((len(image),), torch.inf).double())
    monkeypatch.setattr(detector, "_loaded", infinite)
    with pytest.raises(NotFiniteScoresError, match="a score is not finite"):
        list(detector(files))
