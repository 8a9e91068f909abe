"""A detector as an ONNX graph: the detector's own scores, by onnxruntime and by the scorer of the docs."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from carried import CPU, classes, draw, settings, world
from PIL import Image

from ood_lightning.calibration.calibration import Calibration
from ood_lightning.cli.main import main
from ood_lightning.datamodules.embedding import as_stored
from ood_lightning.detector_folder.detector import Detector
from ood_lightning.detector_folder.export import LARGEST, export
from ood_lightning.detector_folder.load import check_folder, load_folder
from ood_lightning.detector_folder.save import save_detector
from ood_lightning.detectors.base import Detector as BaseDetector
from ood_lightning.detectors.base import LabelDetector, StreamDetector
from ood_lightning.detectors.evidence import Evidence
from ood_lightning.detectors.glmcm import GLMCM
from ood_lightning.detectors.label_mass import LabelMass
from ood_lightning.detectors.mcm import MCM
from ood_lightning.detectors.negrefine import NegRefine
from ood_lightning.errors import DetectorError, EncoderError

ROOT = Path(__file__).parents[2]
TRACEABLE = {name for name, kind in classes().items() if getattr(kind, "traceable", None) is not BaseDetector.traceable}
TRACEABLE -= {name for name, kind in classes().items() if issubclass(kind, StreamDetector)}


def test_these_can_be_exported():
    assert {"MCM", "Entropy", "Variance", "Energy", "MaxLogit", "LabelMass", "NegLabel"} <= TRACEABLE
    assert {"KNN", "Mahalanobis", "RelativeMahalanobis", "PLP"} <= TRACEABLE


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(TRACEABLE))
def test_the_traceable_score_is_the_detectors_own(name: str, tiny_model: Path, tmp_path: Path):
    run = world(tiny_model, tmp_path)
    for options in settings(name, run, tmp_path, {}):
        detector = classes()[name](**options)
        evidence = Evidence.of({detector.labels: run.made.ready(CPU)}, run.encoder, run.available)
        unexportable = name == "NegRefine" or getattr(detector, "half", False)
        if unexportable or detector.columns != ("image",):
            with pytest.raises(DetectorError, match="cannot be exported") as refused:
                detector.traceable(evidence)
            assert "\n" not in str(refused.value)
            continue
        (features,) = run.columns(detector)
        torch.testing.assert_close(
            detector.traceable(evidence)(features), detector.bind(evidence)(features), atol=1e-4, rtol=1e-5
        )


def exported(folder: Path, file: Path) -> Any:
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: .[dev]")
    pytest.importorskip("onnxscript", reason="onnxscript is not installed: .[export]")
    export(check_folder(folder), file)
    return onnxruntime.InferenceSession(str(file))


@pytest.mark.slow
@pytest.mark.parametrize("detector", [LabelMass(sharpness=1.0), MCM(temperature=None)])
def test_onnxruntime_gives_what_the_folder_gives(detector: LabelDetector, tiny_model: Path, tmp_path: Path):
    run = world(tiny_model, tmp_path)
    images = draw(100, 3, 16, 16, seed=5)
    scored = run.scorer(detector)(run.encoder.encode_image(images)).sort().values
    calibration = Calibration(tuple(scored[::2].tolist()), tpr=0.8, n_images=50, source="here")
    folder = save_detector(tmp_path / "detector", detector, run.made, calibration=calibration)
    session = exported(folder, tmp_path / "new" / "d.onnx")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["d.json", "d.onnx"]

    verified, ready, scorer, _ = load_folder(check_folder(folder), CPU)
    features = as_stored(verified.encoder.encode_columns(images), verified.encoder)["image"]
    expected = scorer(features)
    for size in (1, 7, 100):
        score, p_value, accepted, concepts, negative = session.run(None, {"image": images[:size].numpy()})
        np.testing.assert_allclose(score, expected[:size].numpy(), atol=1e-4)
        surely = np.abs(score - calibration.threshold) > 1e-4
        assert (accepted == calibration.accepted(expected[:size]).numpy())[surely].all()
        assert np.abs(p_value - calibration.p_values(expected[:size]).numpy()).max() <= 1 / 51 + 1e-9

    np.testing.assert_array_equal(concepts, (features @ ready.positives.features.T).topk(3).indices)
    assert (negative == ready.negatives.nearest()(features).numpy()).mean() > 0.98


def scorer_of_the_docs() -> str:
    page = (ROOT / "docs" / "export.md").read_text(encoding="utf-8")
    (scorer,) = re.findall(r'^```python\n("""python score.py.*?)^```$', page, re.DOTALL | re.MULTILINE)
    return str(scorer)


@pytest.mark.slow
def test_the_scorer_of_the_docs_gives_what_predict_gives(tiny_model: Path, tmp_path: Path, monkeypatch: Any):
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: .[dev]")
    monkeypatch.chdir(tmp_path)
    run = world(tiny_model, tmp_path)
    calibration = Calibration(tuple(float(i) / 30 for i in range(-30, 30)), n_images=60, source="here")
    save_detector("detector", LabelMass(sharpness=1.0), run.made, calibration=calibration)
    assert main(["export", "detector", "--onnx", "d.onnx"]) == 0

    rng = np.random.default_rng(0)
    for i, shape in enumerate([(20, 31, 3), (64, 17, 3), (16, 16, 3)]):
        Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(f"p{i}.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.open("p0.png").save("turned.png", exif=turned)
    paths = ["p0.png", "p1.png", "p2.png", "turned.png"]

    Path("score.py").write_text(scorer_of_the_docs(), encoding="utf-8")
    process = subprocess.run([sys.executable, "score.py", "d.onnx", *paths], capture_output=True, text=True, check=True)
    rows = [json.loads(line) for line in process.stdout.splitlines()]
    results = [result for path in paths for result in Detector.load("detector")(path)]
    for row, result in zip(rows, results, strict=True):
        assert row[0] == result.path
        assert row[1] == pytest.approx(result.score, abs=1e-4)
        assert row[2] == pytest.approx(result.p_value, abs=1 / 61 + 1e-9)
        assert row[4] == list(result.concepts)


def test_the_scorer_of_the_docs_is_short_and_needs_three_packages():
    scorer = scorer_of_the_docs()
    assert len(scorer.splitlines()) <= 60
    imported = set(re.findall(r"^(?:import|from) (\w+)", scorer, re.MULTILINE))
    assert imported == {"json", "sys", "pathlib", "numpy", "onnxruntime", "PIL"}


def test_what_cannot_be_exported_says_why_in_one_line(tiny_model: Path, tmp_path: Path, capsys: Any):
    run = world(tiny_model, tmp_path)
    for detector, why in ((GLMCM(), "it reads patches beside image features"), (NegRefine(groups=2, k=2), "texts")):
        save_detector(tmp_path / "detector", detector, run.made)
        assert main(["export", str(tmp_path / "detector"), "--onnx", str(tmp_path / "d.onnx")]) == 2
        error = capsys.readouterr().err
        assert f"error: {type(detector).__name__} cannot be exported: " in error
        assert why in error
    assert main(["export", "a", "b", "--onnx", "d.onnx"]) == 2
    assert main(["export", str(tmp_path / "detector"), "--onnx", "d.pt"]) == 2
    assert not (tmp_path / "d.onnx").exists()
    assert LARGEST < 2**31

    run.encoder.precision = "bf16"
    with pytest.raises(EncoderError, match="computes in bf16, and is exported in float32 alone"):
        run.encoder.traceable_tower()
