"""The two main commands, in-process, on tiny sets."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from ood_lightning.cli.main import main
from ood_lightning.data.artifacts.label_set import LabelSet


@pytest.mark.slow
def test_fit_writes_label_sets_and_a_second_run_repeats_nothing(fit_yaml: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["fit", "--config", str(fit_yaml)]) == 0
    first = Path("run/fit/labels.json").read_bytes()
    labels = LabelSet.read("run/fit/labels.json")
    assert sum(p.images or 0 for p in labels.positives) == 48
    assert not labels.edited
    assert Path("run/fit/posmine.json").is_file()
    checkpoint = Path("run/fit/last.ckpt").stat().st_mtime_ns
    capsys.readouterr()

    assert main(["fit", "--config", str(fit_yaml)]) == 0
    said = "".join(capsys.readouterr())
    assert "reusing the features of train: 48 pictures" in said
    assert "reusing the 4 nearest neighbours" in said
    assert "finished epochs are not repeated" in said
    assert Path("run/fit/labels.json").read_bytes() == first
    assert Path("run/fit/last.ckpt").stat().st_mtime_ns == checkpoint


def test_test_writes_scores_of_every_picture_once_and_results(eval_yaml: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["test", "--config", str(eval_yaml)]) == 0
    table = pq.read_table("run/eval/scores.parquet")
    assert table.num_rows == 12 + 7 + 9 + 8
    assert len(set(table.column("key").to_pylist())) == table.num_rows
    rows = json.loads(Path("run/eval/results.json").read_text())["results"]
    assert {row["id_set"] for row in rows} == {"id_test", "shifted"}
    assert {row["supervision"] for row in rows} == {"id_names"}
    assert Path("run/eval/DONE").is_file()
    assert "mean near" in capsys.readouterr().out


def test_curves_go_to_csv_whatever_loggers_the_config_names(fit_yaml: Path):
    settings = yaml.safe_load(fit_yaml.read_text())
    settings["trainer"]["logger"] = {
        "class_path": "ood_lightning.callbacks.wandb.RunLogger",
        "init_args": {"mode": "disabled"},
    }
    fit_yaml.write_text(yaml.safe_dump(settings))
    assert main(["fit", "--config", str(fit_yaml)]) == 0
    (curves,) = Path("run/fit/log").glob("*/metrics.csv")
    assert "fit/loss_best_head" in curves.read_text().splitlines()[0]
