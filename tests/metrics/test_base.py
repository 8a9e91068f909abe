"""A metric of one's own: one file outside the package, named by its class path, and every table and file has it."""

import csv
import json
from pathlib import Path

import pytest
import yaml
from score_tables import stored_table

from ood_lightning.cli.main import main
from ood_lightning.functional.roc import fpr_ood_at_id_tpr
from ood_lightning.report.stored import read_results

FILE = """
from ood_lightning.detectors.base import StreamDetector
from ood_lightning.functional.roc import fpr_ood_at_id_tpr
from ood_lightning.metrics.base import Metric


class FPR60(Metric):
    title = "OOD pictures accepted while 60 % of the ID pictures are kept"
    higher_is_better = False

    def __call__(self, id_scores, ood_scores):
        return fpr_ood_at_id_tpr(id_scores, ood_scores, 0.6)


class FirstOfBatch(StreamDetector):
    def open(self, evidence):
        return lambda features: (features @ features[0]).double()
"""
NAME = "fpr_ood@id_tpr60"
LINE = f"{NAME}: OOD pictures accepted while 60 % of the ID pictures are kept; lower is better."


@pytest.fixture
def further_yaml(eval_yaml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An evaluation with a metric from a file of one's own, also of a detector that learns from the test stream."""
    (tmp_path / "my_metric.py").write_text(FILE)
    monkeypatch.syspath_prepend(str(tmp_path))
    settings = yaml.safe_load(eval_yaml.read_text())
    model = settings["model"]["init_args"]
    model["metrics"] = {NAME: {"class_path": "my_metric.FPR60"}}
    model["streams"] = {"First": {"class_path": "my_metric.FirstOfBatch"}}
    model["protocol"] = {"orders": 2, "batch_size": 3}
    eval_yaml.write_text(yaml.safe_dump(settings, sort_keys=False))
    return eval_yaml


@pytest.mark.slow
def test_a_metric_in_a_file_of_ones_own_reaches_every_file_and_table(
    further_yaml: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["test", "--config", str(further_yaml)]) == 0
    said = capsys.readouterr().out
    detectors, scores = stored_table(Path("run/eval/scores.parquet"))
    expected = {
        (detector, ood_set): float(fpr_ood_at_id_tpr(scores["id_test"][:, k], scores[ood_set][:, k], 0.6))
        for k, detector in enumerate(detectors)
        for ood_set in ("blues", "greys")
    }
    assert len(set(expected.values())) > 1

    content = json.loads(Path("run/eval/results.json").read_text())
    with Path("run/eval/results.csv").open(newline="") as file:
        tables = [content["results"], list(csv.DictReader(file))]
    for rows in tables:
        of_id_test = {(r["detector"], r["ood_set"]): float(r[NAME]) for r in rows if r["id_set"] == "id_test"}
        assert {key: of_id_test[key] for key in expected} == expected
        assert [column for column in rows[0] if column != "run"][-4:] == [
            NAME,
            f"{NAME}_std",
            f"{NAME}_low",
            f"{NAME}_high",
        ]

    streams = [r for r in content["results"] if r["stream"] and r["ood_set"] != "mean"]
    assert all(0 <= r[NAME] <= 1 for r in streams)
    assert any(r[f"{NAME}_std"] > 0 for r in streams)

    for text in (said, Path("run/eval/results.md").read_text()):
        assert LINE in text
        table = text.split(f"ID set id_test: {NAME} (%)\n", 1)[1].split("ID set")[0]
        assert all(f"{100 * value:.2f}" in table for value in expected.values())
    header = next(line for line in Path("run/eval/results.md").read_text().splitlines() if "detector" in line)
    assert header.split(" | ")[-1] == f"{NAME} |"  # of the means over all sets


@pytest.mark.slow
def test_the_metric_stays_in_joined_tables_beside_runs_without_it(
    further_yaml: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["test", "--config", str(further_yaml)]) == 0
    settings = yaml.safe_load(further_yaml.read_text())
    del settings["model"]["init_args"]["metrics"]
    settings["trainer"]["default_root_dir"] = "run/plain"
    further_yaml.write_text(yaml.safe_dump(settings))
    assert main(["test", "--config", str(further_yaml)]) == 0
    capsys.readouterr()

    assert main(["report", "run/plain", "run/eval", "--names", '["plain", "further"]', "--out", "joined"]) == 0
    assert LINE in capsys.readouterr().out
    text = Path("joined/results.md").read_text()
    assert LINE in text
    plain, further = (
        next(line for line in text.splitlines() if line.startswith(f"| {name}: MCM | "))
        for name in ("plain", "further")
    )
    assert plain.endswith(" | - |")
    assert not further.endswith(" | - |")
    stored, _ = read_results(Path("joined"))
    assert {NAME in r.metrics for r in stored if r.detector.startswith("plain")} == {False}
    assert {NAME in r.metrics for r in stored if r.detector.startswith("further")} == {True}
    assert read_results(Path("joined/results.csv"))[0] == stored


def test_a_name_that_files_have_already_is_refused(further_yaml: Path, capsys: pytest.CaptureFixture[str]):
    further_yaml.write_text(further_yaml.read_text().replace(NAME, "n_id"))
    assert main(["test", "--config", str(further_yaml)]) == 2
    assert "no further metric may be called 'n_id'" in capsys.readouterr().err
