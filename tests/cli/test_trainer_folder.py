"""The folder of a run: one writer, one hash in every file, and DONE only where all of it is."""

import json
import os
import signal
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import tiny_configs
import yaml
from command_line import said
from waiting import HANG_S

from ood_lightning.callbacks import results
from ood_lightning.cli.main import main
from ood_lightning.data.artifacts.files import sole_writer
from ood_lightning.data.artifacts.label_set import LabelSet, Positive
from ood_lightning.datamodules.features import EvalFeatures

pytestmark = pytest.mark.slow


def hold(folder: str, connection: Connection) -> None:
    with sole_writer(Path(folder)):
        connection.send("held")
        connection.recv()


def holder(folder: str) -> tuple[BaseProcess, Connection]:
    """Another process that writes into a folder until it is told to end."""
    here, there = get_context("fork").Pipe()
    process = get_context("fork").Process(target=hold, args=(folder, there))
    process.start()
    assert here.poll(HANG_S)
    return process, here


@pytest.mark.parametrize("command", ["fit", "test"])
def test_a_second_run_in_a_folder_is_refused_and_a_dead_one_keeps_nothing(
    command: str, fit_yaml: Path, eval_yaml: Path, capsys: pytest.CaptureFixture[str]
):
    config, folder = {"fit": (fit_yaml, "run/fit"), "test": (eval_yaml, "run/eval")}[command]
    process, _ = holder(folder)
    assert main([command, "--config", str(config)]) == 2
    assert f"another process is writing into {folder}" in said(capsys)
    assert [path.name for path in Path(folder).iterdir()] == [".lock"]

    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    assert main([command, "--config", str(config)]) == 0


def test_another_folder_is_free(fit_yaml: Path):
    process, connection = holder("run/other")
    assert main(["fit", "--config", str(fit_yaml)]) == 0
    connection.send("end")
    process.join()


def hashes(folder: str) -> set[str]:
    """The hash in each file of an evaluation."""
    run = Path(folder)
    scores = pq.read_schema(run / "scores.parquet").metadata[b"run"].decode()
    sheet = {line.rpartition(",")[2] for line in (run / "results.csv").read_text().splitlines()[1:]}
    sets = {json.loads(path.read_text())["run"] for path in run.glob("labels/*.json")}
    stated = json.loads((run / "results.json").read_text())["about"]["run"]
    remark = (run / "results.md").read_text().splitlines()[-1].removeprefix("Run ").removesuffix(".")
    return {scores, *sheet, *sets, stated, remark, (run / "DONE").read_text().strip()}


def test_one_hash_stands_in_every_file_and_follows_the_settings(eval_yaml: Path):
    test = ["test", "--config", str(eval_yaml)]
    elsewhere = ["--trainer.default_root_dir", "elsewhere", "--model.cache_dir", "c", "--data.cache_dir", "c"]
    assert main(test) == 0
    assert main([*test, *elsewhere, "--data.num_workers", "1"]) == 0
    first = hashes("run/eval")
    assert len(first) == 1
    assert hashes("elsewhere") == first
    for file in ("results.json", "results.csv", "results.md", "scores.parquet", "labels/names.json"):
        assert Path("run/eval", file).read_bytes() == Path("elsewhere", file).read_bytes()

    assert main([*test, "--seed_everything", "1"]) == 0
    assert len(hashes("run/eval")) == 1
    assert hashes("run/eval") != first


def test_a_run_that_is_killed_leaves_no_done_and_is_not_joined(
    eval_yaml: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    test = ["test", "--config", str(eval_yaml)]
    assert main(test) == 0

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(results, "write_results", killed)
        assert main([*test, "--seed_everything", "1"]) == 130
    assert not Path("run/eval/DONE").exists()
    capsys.readouterr()
    assert main(["report", "run/eval"]) == 2
    assert "scores.parquet of run" in said(capsys)

    assert main(test) == 0
    assert main(["report", "run/eval"]) == 0


def test_done_goes_before_anything_is_read(eval_yaml: Path, monkeypatch: pytest.MonkeyPatch):
    test = ["test", "--config", str(eval_yaml)]
    assert main(test) == 0
    assert main([*test, "--data.cache_dir=other", "--data.embed_batch_size=0"]) == 2
    assert Path("run/eval/DONE").exists()  # refused by the checks: nothing was touched

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(EvalFeatures, "setup", killed)
        assert main(test) == 130
    assert not Path("run/eval/DONE").exists()


def test_a_fit_writes_its_hash_and_the_label_set_stays_unedited(fit_yaml: Path):
    fit = ["fit", "--config", str(fit_yaml)]
    assert main(fit) == 0
    assert main([*fit, "--trainer.default_root_dir", "other", "--data.cache_dir", "c"]) == 0
    assert main([*fit, "--trainer.default_root_dir", "third", "--model.init_args.lr", "0.01"]) == 0

    runs = [
        {json.loads(Path(folder, file).read_text())["run"] for file in ("labels.json", "posmine.json", "quality.json")}
        for folder in ("run/fit", "other", "third")
    ]
    assert [len(run) for run in runs] == [1, 1, 1]
    assert runs[0] == runs[1] != runs[2]
    assert not LabelSet.read("run/fit/labels.json").edited


def test_a_run_with_fewer_label_sets_takes_away_those_of_the_run_before(eval_yaml: Path):
    assert main(["test", "--config", str(eval_yaml)]) == 0
    by_hand = Path("run/eval/labels/by_hand.json")
    LabelSet((Positive("red"),), (), {"method": "hand"}).write(by_hand)

    settings = yaml.safe_load(eval_yaml.read_text())
    for part, name in (("label_sets", "neglabel"), ("detectors", "NegLabel")):
        del settings["model"]["init_args"][part][name]
    tiny_configs.write(eval_yaml, settings)
    assert main(["test", "--config", str(eval_yaml)]) == 0
    assert {path.name for path in by_hand.parent.iterdir()} == {"names.json", "by_hand.json"}

    by_hand.unlink()
    assert len(hashes("run/eval")) == 1
    assert main(["report", "run/eval"]) == 0
