"""`embed`, `predict`, `run` and `reproduce` in W&B: by the same config as `fit` and `test`, offline, read back."""

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import CONFIGS, said
from unpacked import unpack, words_file
from wandb_file import runs_in

from ood_lightning.cli.loggers import loggers_of
from ood_lightning.cli.main import main
from ood_lightning.cli.reproduce_steps import Order
from ood_lightning.errors import SettingsError
from ood_lightning.experiments.records import Record
from ood_lightning.metrics.results import Estimate, Result
from ood_lightning.report.stored import write_results

WANDB = CONFIGS / "with_wandb.yaml"


def table_of(folder: Path, name: str) -> dict[str, Any]:
    (path,) = folder.glob(f"wandb/offline-run-*/files/media/table/{name}_*.table.json")
    return json.loads(path.read_text())


def test_only_configs_of_loggers_are_taken_out(tmp_path: Path):
    Path("other.yaml").write_text("trainer: {logger: [], max_epochs: 3}\n")
    words = ["a", "--config", "other.yaml", "--config", str(WANDB), f"--config={WANDB}", "-c", "none.yaml"]
    with loggers_of("embed", words) as rest:
        assert rest == ["a", "--config", "other.yaml", "-c", "none.yaml"]
    with loggers_of("mine", words) as rest:
        assert rest == words


def test_other_loggers_are_refused():
    Path("csv.yaml").write_text("trainer: {logger: [{class_path: lightning.pytorch.loggers.CSVLogger}]}\n")
    with pytest.raises(SettingsError, match=r"csv\.yaml: without a Trainer there is one logger"):
        loggers_of("embed", ["--config=csv.yaml"]).__enter__()


@pytest.mark.slow
def test_a_wrong_setting_of_the_logger_is_refused(config: Any, sets: Path, capsys: pytest.CaptureFixture[str]):
    logger = {"class_path": "ood_lightning.callbacks.wandb.RunLogger", "init_args": {"projct": "x"}}
    Path("mine.yaml").write_text(json.dumps({"trainer": {"logger+": [logger]}}))
    settings = config("encoder", shards=[str(sets / "blues")], num_workers=0)
    assert main(["embed", *settings, "--config=mine.yaml"]) == 2
    assert "projct" in said(capsys)


@pytest.mark.slow
def test_embed_shows_its_sets_and_the_features_that_a_fit_shows(config: Any, sets: Path):
    settings = config("encoder", shards=[str(sets / "train"), str(sets / "blues")], num_workers=0)
    assert main(["embed", *settings, "--config", str(WANDB)]) == 0
    (run,) = runs_in(Path())
    assert (run.config["command"], run.exit_code) == ("embed", 0)
    assert table_of(Path(), "embed/sets")["data"] == [["train", 48, 0, True], ["blues", 9, 0, True]]
    assert run.artifacts["features-train"] == ["hashes.json"]
    assert run.metadata["features-train"].keys() == {"encoder", "train"}


@pytest.mark.slow
def test_run_and_predict_show_scores_words_and_the_most_foreign():
    unpack("id_test", Path("animals"), 60)
    unpack("food", Path("food"), 20)
    words_file(Path("words.txt"))
    corpus = ["--corpus", "ood_lightning.corpora.words.WordFile", "--corpus.path", "words.txt"]
    drawings = ("--encoder", "pictograms", "--num_workers", "0")
    assert main(["run", "animals", "--ood", "food", *drawings, *corpus, "--config", str(WANDB)]) == 0

    folder = Path("runs/animals")
    (run,) = runs_in(folder)
    lines = table_of(folder, "run/scores_table")["data"]
    shares: dict[str, float] = {}
    for _, name, share in lines:
        shares[name] = shares.get(name, 0.0) + share
    assert len(shares) == 2  # what was held out of the animals, and food
    assert shares == pytest.approx(dict.fromkeys(shares, 1.0))
    assert "food" in shares
    assert run.metadata["decisions"]["animals"]
    assert run.artifacts["decisions"] == ["decisions.csv"]
    assert "auroc_low" in table_of(folder, "run/results")["columns"]
    assert table_of(folder, "run/words")["data"]

    assert (
        main(["predict", "food", "--detector", str(folder / "detector"), "--num_workers=0", f"--config={WANDB}"]) == 0
    )
    (run,) = runs_in(Path("wandb"))
    assert run.curve("predict/images") == [20]
    foreign = table_of(Path(), "predict/most_foreign")
    assert len(foreign["data"]) == 10
    assert foreign["columns"][:3] == ["picture", "score", "p-value"]


ITEM = """
title: a figure
requires: {sets: [ninco], encoders: [vit_h14_dfn5b]}
full: &work
  steps: {test: "test --x"}
twin: *work
panels:
  - cell: {step: test, id_set: imagenet-val, ood_set: ninco, measure: [auroc]}
    draw: bars
    rows: {MCM: {detector: MCM}, PLP: {detector: PLP}}
    columns: {NINCO: {}}
"""


@pytest.mark.slow
def test_reproduce_shows_its_numbers_the_figure_and_what_they_were_made_from():
    Path("item.yaml").write_text(ITEM)
    order = Order.of("item.yaml", "full", Path("out"))
    folder = order.steps / order.runs[0].line.name
    names = ("fpr_ood@id_tpr95", "fpr_id@ood_tpr95", "aupr_in", "aupr_out")
    metrics = {"auroc": Estimate(0.875, 0.75, 0.9375), **{name: Estimate(0.5) for name in names}}
    metadata = {"encoder": "tiny", "encoder_fingerprint": "e1", "sets": {"ninco": "s1"}}
    write_results(folder, [Result("MCM", "imagenet-val", "ninco", metrics, n_id=10, n_ood=10)], metadata)
    Record("", True, []).write(folder)
    assert main(["reproduce", "item.yaml", "--out=out", f"--config={WANDB}"]) == 0

    out = Path("out/item")
    (run,) = runs_in(out)
    assert (run.config["command"], run.config["item"], run.config["kind"]) == ("reproduce", "item.yaml", "full")
    assert run.exit_code == 0
    table = table_of(out, "reproduce/numbers")
    mcm, plp = (dict(zip(table["columns"], row, strict=True)) for row in table["data"])
    assert [mcm[key] for key in ("row", "ours", "low", "high")] == ["MCM", 87.5, 75.0, 93.75]
    assert (plp["ours"], plp["not_run"]) == (None, "needs the detector 'PLP', which this run has not")
    assert len(list(out.glob("wandb/offline-run-*/files/media/images/reproduce/figure_*.png"))) == 1
    assert run.artifacts["item"] == ["record.json"]
    assert run.metadata["item"] == {"tiny": "e1", "ninco": "s1"}
