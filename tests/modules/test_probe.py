"""PLP's training: what it learns, its learning rate, and that its detector scores with it."""

import csv
import json
import math
import signal
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import pytest
import yaml
from safetensors.torch import load_file
from signalled import stopped

from ood_lightning.cli.main import main

pytestmark = pytest.mark.slow  # whole commands, or whole WordNets

DETECTOR = "ood_lightning.detectors.plp.PLP"


@pytest.fixture
def plp_yaml(fit_yaml: Path, eval_yaml: Path, sets: Path, tmp_path: Path) -> Path:
    settings: dict[str, Any] = yaml.safe_load(fit_yaml.read_text())
    scored = yaml.safe_load(eval_yaml.read_text())["model"]["init_args"]
    settings["trainer"] |= {"default_root_dir": "run/plp", "max_epochs": 20}
    settings["trainer"]["logger"]["init_args"]["save_dir"] = "run/plp"
    written = ("checkpoint.RunCheckpoint", "probe.ProbeWriter")
    settings["trainer"]["callbacks"] = [{"class_path": f"ood_lightning.callbacks.{name}"} for name in written]

    scoring = {"corpus": scored["corpus"], "prompts": scored["prompts"], "label_set": scored["label_sets"]["names"]}
    probe = {**scoring, "cache_dir": "cache", "lr": 0.05}
    settings["model"] = {"class_path": "ood_lightning.modules.probe.ProbeModule", "init_args": probe}

    encoder = settings["data"]["init_args"]["encoder"]
    data = {
        "encoder": encoder,
        "id_shards": str(sets / "train"),
        "batch_size": 20,
        "cache_dir": "cache",
        "num_workers": 0,
    }
    settings["data"] = {"class_path": "ood_lightning.datamodules.targets.TargetFeatures", "init_args": data}

    path = tmp_path / "plp.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def test_the_probe_learns_the_pseudo_labels_and_its_detector_scores_with_it(
    plp_yaml: Path, eval_yaml: Path, tmp_path: Path
):
    assert main(["fit", "--config", str(plp_yaml)]) == 0
    with next(Path("run/plp/log").glob("*/metrics.csv")).open() as file:
        losses = [float(row["fit/probe_loss"]) for row in csv.DictReader(file) if row["fit/probe_loss"]]
    assert losses[0] == pytest.approx(math.log(2), abs=0.35)  # two names, nothing learned yet
    assert losses[-1] < 0.5 * losses[0]

    probe = load_file("run/plp/probe.safetensors")
    assert probe["weight"].shape == (2, 16)
    settings = yaml.safe_load(eval_yaml.read_text())
    plp = {"class_path": DETECTOR, "init_args": {"probe": "run/plp/probe.safetensors"}}
    settings["model"]["init_args"]["detectors"] = {"PLP": plp}
    eval_yaml.write_text(yaml.safe_dump(settings))
    assert main(["test", "--config", str(eval_yaml)]) == 0
    rows = json.loads(Path("run/eval/results.json").read_text())["results"]
    assert {row["supervision"] for row in rows} == {"id_images+id_names"}


def test_stopped_killed_and_resumed_trainings_and_one_of_two_processes_write_the_same_bytes(
    plp_yaml: Path, capfd: pytest.CaptureFixture[str]
):
    command = ["fit", "--config", str(plp_yaml), "--trainer.default_root_dir"]
    assert main([*command, "run/whole"]) == 0
    whole = Path("run/whole/probe.safetensors").read_bytes()

    parts = [*command, "run/parts"]
    stopped(parts, signal.SIGKILL, 2, Path("run/parts"))
    stopped(parts, signal.SIGTERM, 3, Path("run/parts"))
    stopped(parts, signal.SIGKILL, 11, Path("run/parts"))
    capfd.readouterr()

    for _ in range(2):  # the second time all epochs are done
        assert main(parts) == 0
        assert "reusing run/parts/last.ckpt" in capfd.readouterr().err
        assert Path("run/parts/probe.safetensors").read_bytes() == whole
        Path("run/parts/probe.safetensors").unlink()

    said = Path("said.txt").read_text()
    assert "stopped in epoch 4 of 20: run/parts/last.ckpt holds the epochs up to its last save" in said
    assert "Traceback" not in said

    two = ["--trainer.devices=2", "--trainer.strategy=ddp_fork", "--data.cache_dir=two", "--model.cache_dir=two"]
    assert main([*command, "run/two", *two]) == 0
    assert "MEMBER: 2/2" in "".join(capfd.readouterr())
    assert Path("run/two/probe.safetensors").read_bytes() == whole
    assert main([*command, "run/other", "--data.seed=1"]) == 0
    assert Path("run/other/probe.safetensors").read_bytes() != whole


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--model.lr=0.1"], "made with other settings (lr 0.05 there, 0.1 now)"),
        (["--data.batch_size=30", "--data.seed=1"], "batch_size 20 there, 30 now; data.seed 42 there, 1 now"),
        (["--model.label_set.names=names.txt"], "was made from other content (label set)."),
        (["--model.prompts.templates=['a {}']"], "was made from other content (label set, prompts)."),
    ],
    ids=["model", "data", "names", "prompts"],
)
def test_a_training_goes_on_from_its_own_checkpoint_alone(
    more: list[str], words: str, plp_yaml: Path, capsys: pytest.CaptureFixture[str]
):
    command = ["fit", "--config", str(plp_yaml), "--trainer.max_epochs=1"]
    Path("names.txt").write_text("red\nblue\n")  # as many as before
    assert main(command) == 0
    before = Path("run/plp/probe.safetensors").read_bytes()
    assert main([*command, *more]) == 2
    error = capsys.readouterr().err.replace("\n", " ")
    assert words in error
    assert "--trainer.default_root_dir" in error
    assert Path("run/plp/probe.safetensors").read_bytes() == before


def test_a_probe_of_the_tower_is_wider_and_its_detector_reads_the_tower(plp_yaml: Path, eval_yaml: Path):
    tower = ["--model.features", "tower", "--data.encoder.init_args.extra_features", "[patches,tower]"]
    assert main(["fit", "--config", str(plp_yaml), *tower]) == 0
    probe = load_file("run/plp/probe.safetensors")
    assert probe["weight"].shape == (2, 32)
    folders = {path.parent.name.partition("+")[2] for path in Path("cache").rglob("train-*.tar.safetensors")}
    assert folders == {"tower"}

    settings = yaml.safe_load(eval_yaml.read_text())
    plp = {"probe": "run/plp/probe.safetensors", "features": "tower"}
    settings["model"]["init_args"]["detectors"] = {"PLP": {"class_path": DETECTOR, "init_args": plp}}
    eval_yaml.write_text(yaml.safe_dump(settings))
    assert main(["test", "--config", str(eval_yaml), *tower[2:]]) == 0
    scores = parquet.read_table("run/eval/scores.parquet")["PLP"].to_pylist()
    assert all(-math.log(2) <= score <= 0 for score in scores)
    assert len(set(scores)) > 30


def test_a_probe_of_the_tower_needs_the_tower(plp_yaml: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["fit", "--config", str(plp_yaml), "--model.features", "tower"]) == 2
    assert "the probe reads tower features: give data.encoder.extra_features: [tower]" in capsys.readouterr().err
