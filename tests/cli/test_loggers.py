"""`embed`, `predict` and `run` in W&B: by the same config as `fit` and `test`, offline, read back."""

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import CONFIGS, said
from unpacked import unpack, words_file
from wandb_file import runs_in

from ood_lightning.cli.loggers import loggers_of
from ood_lightning.cli.main import main
from ood_lightning.errors import SettingsError

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
