"""`fit` and `test` in W&B: offline, in the run's folder, and never a reason to stop."""

import csv
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from wandb_file import read_run, runs_in

from ood_lightning.callbacks.wandb import RunLogger, finish, log_memory
from ood_lightning.cli.loggers import Viewer
from ood_lightning.cli.main import main
from ood_lightning.data.artifacts.label_set import LabelSet

pytestmark = pytest.mark.slow  # whole commands, or whole WordNets

CONFIG = Path(__file__).parents[2] / "configs/with_wandb.yaml"


def test_an_offline_fit_holds_settings_curves_and_the_label_set(fit_yaml: Path):
    settings = yaml.safe_load(fit_yaml.read_text())
    sheet = {"class_path": "ood_lightning.callbacks.sheet.ConceptSheet", "init_args": {"concepts": 2}}
    settings["trainer"]["callbacks"].append(sheet)
    fit_yaml.write_text(yaml.safe_dump(settings, sort_keys=False))
    assert main(["fit", "--config", str(fit_yaml), "--config", str(CONFIG)]) == 0
    (run,) = runs_in(Path("run/fit"))
    assert (run.project, run.exit_code) == ("ood_lightning", 0)
    assert run.config["model"]["init_args"]["n_clusters"] == 4
    assert run.config["data"]["init_args"]["n_neighbours"] == 4
    with next(Path("run/fit/log").glob("*/metrics.csv")).open() as file:
        losses = [float(row["fit/loss"]) for row in csv.DictReader(file) if row.get("fit/loss")]
    assert len(losses) == 3
    assert run.curve("fit/loss") == pytest.approx(losses)

    positives = json.loads(Path("run/fit/labels.json").read_text())["positives"]
    assert run.curve("mined/positives") == [len(positives)]  # logged when Lightning has closed its loggers
    assert run.artifacts["labels"] == ["labels.json"]
    assert run.curve("mined/words.nrows") == [len(positives)]
    assert run.artifacts["features-train"] == run.artifacts["heads"] == ["hashes.json"]
    labels = run.metadata["labels"]
    assert labels["heads"] == run.metadata["heads"]["run"]
    assert run.metadata["features-train"].items() <= labels.items()

    pictures = table_of(Path("run/fit"), "mined/pictures")
    assert pictures["columns"] == ["concept", "picture 1", "picture 2", "picture 3", "picture 4"]
    assert [row[0] for row in pictures["data"]] == LabelSet.read(Path("run/fit/labels.json")).words[:2]
    (name,) = [name for name in run.artifacts if "minedpictures" in name]  # of the table and its pictures
    images = [path for path in run.artifacts[name] if path.startswith("media/images/")]
    assert 0 < len(images) <= 4 * len(pictures["data"])
    assert len(list(Path("run/fit").glob("wandb/offline-run-*/files/media/images/mined/concepts_*.png"))) == 1


def test_an_offline_test_holds_settings_means_and_the_table_of_results(eval_yaml: Path):
    assert main(["test", "--config", str(eval_yaml), "--config", str(CONFIG)]) == 0
    (run,) = runs_in(Path("run/eval"))
    assert run.exit_code == 0
    assert list(run.config["model"]["init_args"]["detectors"]) == ["MCM", "NegLabel"]
    rows = json.loads(Path("run/eval/results.json").read_text())["results"]
    assert run.curve("test/results.nrows") == [len(rows)]
    expected = ("MCM", "id_test", "mean", "")
    (mean,) = [r for r in rows if (r["detector"], r["id_set"], r["ood_set"], r["group"]) == expected]
    assert run.curve("test/id_test/MCM/auroc") == pytest.approx([mean["auroc"]])
    assert run.artifacts["results"] == ["results.csv"]
    assert {"features of id_test", "label set names", "encoder"} <= run.metadata["results"].keys()

    table = table_of(Path("run/eval"), "test/results")
    of_table = [dict(zip(table["columns"], cells, strict=True)) for cells in table["data"]]
    (of_mean,) = [r for r in of_table if (r["detector"], r["id_set"], r["ood_set"], r["group"]) == expected]
    for name in ("auroc", "auroc_low", "auroc_high", "fpr_ood@id_tpr95_low", "fpr_id@ood_tpr95_high"):
        assert of_mean[name] == pytest.approx(mean[name])
    assert of_mean["auroc_low"] < of_mean["auroc"] < of_mean["auroc_high"]


def table_of(folder: Path, name: str) -> dict[str, Any]:
    """A table that an offline run keeps beside its file."""
    (path,) = folder.glob(f"wandb/offline-run-*/files/media/table/{name}_*.table.json")
    return json.loads(path.read_text())


def test_the_memory_of_a_gpu_is_shown_in_gib(monkeypatch: pytest.MonkeyPatch):
    view = Viewer([], [RunLogger(save_dir="run")])
    log_memory(view)  # nothing without a GPU
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 3 * 2**29)
    log_memory(view)
    finish(0)
    (run,) = runs_in(Path("run"))
    assert run.curve("memory/gpu_gib") == [1.5]


def test_the_panels_of_a_test_hold_scores_curves_and_pictures_of_what_is_wrong(eval_yaml: Path):
    assert main(["test", "--config", str(eval_yaml), "--config", str(CONFIG)]) == 0
    folder = Path("run/eval")
    with Path(folder, "results.csv").open() as file:
        (mcm,) = [
            row
            for row in csv.DictReader(file)
            if (row["detector"], row["id_set"], row["ood_set"]) == ("MCM", "id_test", "blues")
        ]

    scores = table_of(folder, "test/scores/MCM_table")
    sets = {"id_test", "shifted", "blues", "greys"}
    assert scores["columns"] == ["step", "lineKey", "lineVal"]
    shares = {name: sum(y for _, key, y in scores["data"] if key == name) for name in sets}
    assert shares == pytest.approx(dict.fromkeys(sets, 1.0))

    points = [(x, y) for x, key, y in table_of(folder, "test/roc/MCM_table")["data"] if key == "blues"]
    area = sum((b[0] - a[0]) * (b[1] + a[1]) / 2 for a, b in itertools.pairwise(points))
    assert area == pytest.approx(float(mcm["auroc"]))  # all thresholds are drawn, ties by a slope

    misses = table_of(folder, "test/misses")
    assert misses["columns"] == ["picture", "set", "key", "score", "nearest positive", "nearest negative"]
    assert {row[1] for row in misses["data"]} <= {"blues", "greys"}
    ordered = [row[3] for row in misses["data"]]
    assert ordered == sorted(ordered, reverse=True)
    (run,) = runs_in(folder)
    (name,) = [name for name in run.artifacts if "testmisses" in name]  # of the table and its pictures
    pictures = [path for path in run.artifacts[name] if path.startswith("media/images/")]
    assert 0 < len(pictures) <= len(misses["data"])
    assert table_of(folder, "test/false_alarms")["columns"] == misses["columns"]


def test_two_runs_of_one_process_are_two_runs(eval_yaml: Path):
    for name in ("first", "second"):
        folder = f"--trainer.default_root_dir={name}"
        assert main(["test", "--config", str(eval_yaml), "--config", str(CONFIG), folder]) == 0
    (first,), (second,) = runs_in(Path("first")), runs_in(Path("second"))
    assert first.id != second.id


def test_no_server_and_no_key_leave_a_run_offline(eval_yaml: Path, monkeypatch: pytest.MonkeyPatch, caplog):
    monkeypatch.setenv("WANDB_MODE", "online")
    assert main(["test", "--config", str(eval_yaml), "--config", str(CONFIG)]) == 0
    assert "W&B cannot be reached" in caplog.text
    assert len(runs_in(Path("run/eval"))) == 1

    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    caplog.clear()
    again = ["--trainer.default_root_dir=again", "--trainer.logger.init_args.init_timeout_s=3"]
    assert main(["test", "--config", str(eval_yaml), "--config", str(CONFIG), *again]) == 0
    assert "W&B cannot be reached" in caplog.text
    assert len(runs_in(Path("again"))) == 1


def test_a_task_of_an_array_goes_on_under_its_own_id(eval_yaml: Path, monkeypatch: pytest.MonkeyPatch):
    slurm = {"JOB_ID": "41", "ARRAY_JOB_ID": "40", "ARRAY_TASK_ID": "2", "STEP_ID": "0"}
    for name, value in slurm.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    for _ in range(2):  # as a requeued task does
        logger = RunLogger(save_dir="run")
        logger.log_metrics({"a": 1.0}, step=0)
        finish(0)
    paths = sorted(Path("run").glob("**/run-*.wandb"))
    assert {(read_run(p).id, read_run(p).group) for p in paths} == {("40-2", "40")}
