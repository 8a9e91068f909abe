"""Numbers out of range, in configs and on the command line: one line that names them, before anything is computed."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import said

from ood_lightning.cli.main import main

pytestmark = pytest.mark.slow  # whole commands

FIT = [
    ("data.n_neighbours", "0", "TrainFeatures: n_neighbours is 0, expected 1 to "),
    ("data.batch_size", "0", "TrainFeatures: batch_size is 0, expected 1 to "),
    ("data.embed_batch_size", "1000000000", "TrainFeatures: embed_batch_size is 1000000000, expected 1 to 65,536"),
    ("data.num_workers", "-1", "TrainFeatures: num_workers is -1, expected 0 to 1,024"),
    ("data.seed", "-1", "TrainFeatures: seed is -1, expected 0 to "),
    ("model.lr", "-1", "TEMIModule: lr is -1.0, expected a finite number above 0"),
    ("model.lr", ".nan", "TEMIModule: lr is nan, expected a finite number above 0"),
    ("model.lr", ".inf", "TEMIModule: lr is inf, expected a finite number above 0"),
    ("model.n_clusters", "0", "TEMIModule: n_clusters is 0, expected 1 to 1,000,000"),
    ("model.n_clusters", "1000000000", "TEMIModule: n_clusters is 1000000000, expected 1 to 1,000,000"),
    ("model.n_heads", "0", "TEMIModule: n_heads is 0, expected 1 to 10,000"),
    ("model.hidden", "0", "TEMIModule: hidden is 0, expected 1 to 65,536"),
    ("model.warmup_epochs", "-1", "TEMIModule: warmup_epochs is -1, expected 0 to "),
    ("model.slices", "0", "TEMIModule: slices is 0, expected 1 to "),
    ("model.teacher_momentum", "1.5", "TEMIModule: teacher_momentum is 1.5, expected 0 to 1"),
]
DETECTORS = [
    ("knn.KNN", "k", 0, "KNN: k is 0, expected 1 or more, or -1 for all ID images"),
    ("negrefine.NegRefine", "k", 0, "NegRefine: k is 0, expected 1 to "),
    ("negrefine.NegRefine", "alpha", float("nan"), "NegRefine: alpha is nan, expected a finite number, at least 0"),
    ("label_mass.LabelMass", "sharpness", 0.0, "LabelMass: sharpness is 0.0, expected a finite number above 0"),
    ("neglabel.NegLabel", "sharpness", -1.0, "NegLabel: sharpness is -1.0, expected a finite number above 0"),
    ("neglabel.NegLabel", "groups", 0, "NegLabel: groups is 0, expected 1 to "),
    ("neglabel.NegLabel", "permutation_seed", -5, "NegLabel: permutation_seed is -5, expected 0 to "),
    ("mcm.MCM", "temperature", 0.0, "MCM: temperature is 0.0, expected a finite number above 0"),
    ("mahalanobis.Mahalanobis", "ridge", -1e-3, "Mahalanobis: ridge is -0.001, expected a finite number, at least 0"),
]


@pytest.mark.parametrize(("key", "value", "words"), FIT, ids=lambda part: part if len(part) < 20 else "")
def test_a_fit_refuses_numbers_that_mean_nothing(
    key: str, value: str, words: str, fit_yaml: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["fit", "--config", str(fit_yaml), f"--{key}", value]) == 2
    assert words in said(capsys)
    assert not Path("cache").exists()
    assert not Path("run").exists()


def test_heads_that_no_memory_holds_are_refused(fit_yaml: Path, capsys: pytest.CaptureFixture[str]):
    each_in_range = ["--model.n_clusters", "1000000", "--model.n_heads", "10000", "--model.bottleneck", "65536"]
    assert main(["fit", "--config", str(fit_yaml), *each_in_range]) == 2
    assert "TEMIModule: 10000 heads of 1000000 clusters" in said(capsys)


@pytest.mark.parametrize(("name", "key", "value", "words"), DETECTORS, ids=lambda part: str(part)[:20])
def test_a_test_refuses_detectors_that_mean_nothing(
    name: str, key: str, value: Any, words: str, eval_yaml: Path, capsys: pytest.CaptureFixture[str]
):
    settings = yaml.safe_load(eval_yaml.read_text())
    entry = {"class_path": f"ood_lightning.detectors.{name}", "init_args": {key: value}}
    settings["model"]["init_args"]["detectors"]["one"] = entry
    eval_yaml.write_text(yaml.safe_dump(settings))
    assert main(["test", "--config", str(eval_yaml)]) == 2
    assert words in said(capsys)
    assert not Path("cache").exists()


@pytest.mark.parametrize("resamples", [-1, 10**12])
def test_a_test_refuses_resamples_that_would_never_end(
    resamples: int, eval_yaml: Path, capsys: pytest.CaptureFixture[str]
):
    settings = yaml.safe_load(eval_yaml.read_text())
    writer = {"class_path": "ood_lightning.callbacks.results.ResultsWriter", "init_args": {"resamples": resamples}}
    settings["trainer"]["callbacks"] = [writer]
    eval_yaml.write_text(yaml.safe_dump(settings))
    assert main(["test", "--config", str(eval_yaml)]) == 2
    assert f"ResultsWriter: resamples is {resamples}, expected 0 to 1,000,000" in said(capsys)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"quantile": 0.0}, "MinedNegatives: quantile is 0.0, expected 0 to 1, without 0"),
        ({"quantile": 95.0}, "MinedNegatives: quantile is 95.0, expected 0 to 1"),
        ({"count": 0}, "MinedNegatives: count is 0, expected 1 to "),
    ],
)
def test_a_test_refuses_label_sets_that_mean_nothing(
    source: dict[str, float], words: str, eval_yaml: Path, capsys: pytest.CaptureFixture[str]
):
    settings = yaml.safe_load(eval_yaml.read_text())
    settings["model"]["init_args"]["label_sets"]["neglabel"]["init_args"] |= source
    eval_yaml.write_text(yaml.safe_dump(settings))
    assert main(["test", "--config", str(eval_yaml)]) == 2
    assert words in said(capsys)


def test_a_stream_refuses_a_protocol_that_means_nothing(eval_yaml: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["test", "--config", str(eval_yaml), "--model.protocol.batch_size", "0"]) == 2
    assert "StreamProtocol: batch_size is 0, expected 1 to " in said(capsys)
