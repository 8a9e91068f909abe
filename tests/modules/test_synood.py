"""SynOOD's training from given synthetic pictures, from `fit` to `test`."""

import csv
import json
import signal
from pathlib import Path
from shutil import rmtree
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
import yaml
from command_line import detector_folder
from safetensors.torch import load_file
from shard_files import MakeSet, encoded
from signalled import stopped
from synood_sets import make_shards

from ood_lightning.cli.main import main
from ood_lightning.datamodules.synthetic import SyntheticFeatures

pytestmark = pytest.mark.slow  # whole commands, or whole WordNets


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory, make_set: MakeSet) -> Path:
    return make_shards(tmp_path_factory.mktemp("shards"), make_set)


@pytest.fixture
def synood_yaml(fit_yaml: Path, eval_yaml: Path, shards: Path, tmp_path: Path) -> Path:
    settings: dict[str, Any] = yaml.safe_load(fit_yaml.read_text())
    scored = yaml.safe_load(eval_yaml.read_text())["model"]["init_args"]

    settings["trainer"] |= {
        "default_root_dir": "run/synood",
        "max_epochs": 4,
        "reload_dataloaders_every_n_epochs": 1,
        "callbacks": [
            {"class_path": "ood_lightning.callbacks.checkpoint.RunCheckpoint"},
            {"class_path": "ood_lightning.callbacks.synood.HeadWriter"},
        ],
    }
    settings["trainer"]["logger"]["init_args"]["save_dir"] = "run/synood"

    model = {key: scored[key] for key in ("corpus", "prompts", "cache_dir")}
    model |= {"label_set": scored["label_sets"]["neglabel"], "image_epochs": 2, "text_epochs": 2}
    model |= {"image_lr": 0.03, "text_lr": 0.2}
    settings["model"] = {"class_path": "ood_lightning.modules.synood.SynOODModule", "init_args": model}

    data = {
        "encoder": settings["data"]["init_args"]["encoder"],
        "id_shards": str(shards / "labelled"),
        "synthetic_shards": str(shards / "synthetic"),
        "batch_size": 8,
        "cache_dir": "cache",
        "num_workers": 0,
    }
    settings["data"] = {"class_path": "ood_lightning.datamodules.synthetic.SyntheticFeatures", "init_args": data}

    path = tmp_path / "synood.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def add_detector(eval_yaml: Path, labels: str | None = None, **options: Any) -> None:
    settings = yaml.safe_load(eval_yaml.read_text())
    if labels:
        settings["model"]["init_args"]["label_sets"]["neglabel"] = labels
    entry = {"class_path": "ood_lightning.detectors.synood.SynOOD", "init_args": {"groups": 2, **options}}
    settings["model"]["init_args"]["detectors"]["SynOOD"] = entry
    eval_yaml.write_text(yaml.safe_dump(settings))


def losses(name: str) -> list[float]:
    with next(Path("run/synood/log").glob("*/metrics.csv")).open() as file:
        return [float(row[name]) for row in csv.DictReader(file) if row[name]]


def test_both_sides_learn_and_the_detector_scores_with_the_head(
    synood_yaml: Path, eval_yaml: Path, capfd: pytest.CaptureFixture[str]
):
    longer = ["--trainer.max_epochs", "48", "--model.image_epochs", "40", "--model.text_epochs", "8"]
    assert main(["fit", "--config", str(synood_yaml), *longer]) == 0
    said = "".join(capfd.readouterr())
    assert "14 synthetic pictures use" in said
    assert "of the pictures of labelled" in said

    image, text = losses("fit/image_loss"), losses("fit/text_loss")
    assert (len(image), len(text)) == (40, 8)
    assert image[-1] < 0.7 * image[0]
    assert text[-1] < 0.9 * text[0]

    add_detector(eval_yaml, head="run/synood/head.safetensors")
    assert main(["test", "--config", str(eval_yaml)]) == 0
    rows = json.loads(Path("run/eval/results.json").read_text())["results"]

    supervision = {row["detector"]: row["supervision"] for row in rows}
    assert supervision["NegLabel"] == "id_names"
    assert supervision["SynOOD"] == "id_images+id_labels+id_names+synthetic_ood"
    by = {(row["detector"], row["ood_set"]): row["auroc"] for row in rows if row["id_set"] == "id_test"}
    assert by["SynOOD", "blues"] > max(0.9, by["NegLabel", "blues"])  # the colour of half of the synthetic pictures


def test_pseudo_labels_need_no_labels_and_the_label_set_beside_the_head_fits_it(
    synood_yaml: Path, eval_yaml: Path, sets: Path
):
    unlabelled = ["--data.id_shards", str(sets / "train")]
    assert main(["fit", "--config", str(synood_yaml), *unlabelled, "--model.id_targets", "pseudo_labels"]) == 0

    add_detector(eval_yaml, head="run/synood/head.safetensors", labels="run/synood/labels.json")
    assert main(["test", "--config", str(eval_yaml)]) == 0
    rows = json.loads(Path("run/eval/results.json").read_text())["results"]
    assert "id_images+id_names+synthetic_ood" in {row["supervision"] for row in rows}

    settings = yaml.safe_load(eval_yaml.read_text())
    test, encoder = settings["model"]["init_args"], settings["data"]["init_args"]["encoder"]
    step = {key: test[key] for key in ("corpus", "prompts", "cache_dir")} | {"score": test["detectors"]["SynOOD"]}
    step |= {"label_set": "run/synood/labels.json", "encoder": encoder}
    Path("step.yaml").write_text(yaml.safe_dump(step))
    Path("p.png").write_bytes(encoded((30, 30, 220), 3000))  # first picture of `blues`
    folder = detector_folder(["--config", "step.yaml"])
    assert main(["predict", "p.png", *folder, "--out", "rows.jsonl"]) == 0
    table = pq.read_table("run/eval/scores.parquet").to_pylist()
    (expected,) = [entry["SynOOD"] for entry in table if entry["key"] == "blues0000"]
    assert json.loads(Path("rows.jsonl").read_text())["score"] == pytest.approx(expected, abs=1e-4)


def test_at_the_projections_own_length_training_detector_and_single_pictures_agree(
    synood_yaml: Path, eval_yaml: Path, capfd: pytest.CaptureFixture[str]
):
    lengths = ["--data.encoder.init_args.extra_features", "[length]"]
    assert main(["fit", "--config", str(synood_yaml), *lengths, "--model.own_length", "true"]) == 0
    assert main(["fit", "--config", str(synood_yaml), *lengths, "--trainer.default_root_dir", "run/unit"]) == 0
    longer, unit_norm = (load_file(f"run/{run}/head.safetensors") for run in ("synood", "unit"))
    assert not torch.equal(longer["weight"], unit_norm["weight"])
    assert torch.equal(longer["tuned"], unit_norm["tuned"])  # the text side is shown unit features in both

    add_detector(eval_yaml, head="run/synood/head.safetensors")
    assert main(["test", "--config", str(eval_yaml)]) != 0
    assert "was trained with own_length True: say the same here" in capfd.readouterr().err

    add_detector(eval_yaml, head="run/synood/head.safetensors", own_length=True)
    assert main(["test", "--config", str(eval_yaml)]) == 0
    not_run = json.loads(Path("run/eval/results.json").read_text())["about"]["not_run"]
    assert not_run == {"SynOOD": "needs lengths of image features (data.encoder.extra_features: [length])"}
    assert main(["test", "--config", str(eval_yaml), *lengths]) == 0
    table = pq.read_table("run/eval/scores.parquet").to_pylist()
    assert all(row["SynOOD"] is not None for row in table)


def test_one_seed_gives_the_same_bytes_and_another_one_others(synood_yaml: Path):
    heads = []
    for run, more in (("a", []), ("b", ["--data.init_args.cache_dir", "fresh"]), ("c", ["--model.seed", "1"])):
        more = [*more, "--trainer.default_root_dir", f"run/{run}"]
        assert main(["fit", "--config", str(synood_yaml), *more]) == 0
        heads.append(Path(f"run/{run}/head.safetensors").read_bytes())
    assert heads[0] == heads[1]
    assert heads[0] != heads[2]
    kept, other = load_file("run/a/head.safetensors"), load_file("run/c/head.safetensors")
    assert torch.equal(kept["tuned"], other["tuned"])  # the text side draws nothing


def test_a_stopped_and_a_killed_training_go_on_to_the_same_bytes(synood_yaml: Path, capfd: pytest.CaptureFixture[str]):
    command = ["fit", "--config", str(synood_yaml), "--data.batch_size=4", "--trainer.default_root_dir"]
    assert main([*command, "run/whole"]) == 0

    parts, run = [*command, "run/parts"], Path("run/parts")
    stopped(parts, signal.SIGTERM, 1, run)
    stopped(parts, signal.SIGKILL, 2, run)  # the first epoch of the other side
    stopped(parts, signal.SIGKILL, 3, run)
    capfd.readouterr()

    for _ in range(2):  # the second time all epochs are done
        assert main(parts) == 0
        assert "reusing run/parts/last.ckpt" in capfd.readouterr().err
        assert (run / "head.safetensors").read_bytes() == Path("run/whole/head.safetensors").read_bytes()
        (run / "head.safetensors").unlink()

    said = Path("said.txt").read_text()
    assert "stopped in epoch 2 of 4: run/parts/last.ckpt holds the epochs up to its last save" in said
    assert "Traceback" not in said


def test_a_training_goes_on_from_its_own_checkpoint_alone(
    synood_yaml: Path, make_set: MakeSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder = make_set(tmp_path, "made", role="ood", colours=("blue",), shards=(6, 8), labelled=False, seed=7)
    command = ["fit", "--config", str(synood_yaml), f"--data.synthetic_shards={folder}"]
    assert main(command) == 0
    assert "text_lr 0.2 there, 0.1 now" in refused(capsys, *command, "--model.text_lr=0.1")
    assert "batch_size 8 there, 9 now" in refused(capsys, *command, "--data.batch_size=9")
    assert "synthetic_shards '/" in refused(capsys, "fit", "--config", str(synood_yaml))
    assert "made from other content (label set)" in refused(capsys, *command, "--model.label_set.count=12")
    rmtree(folder)
    make_set(tmp_path, "made", role="ood", colours=("blue",), shards=(6, 8), labelled=False, seed=8)
    assert "made from other content (set made)" in refused(capsys, *command)


def test_without_a_head_it_is_listed_as_not_run(eval_yaml: Path, capsys: pytest.CaptureFixture[str]):
    add_detector(eval_yaml)
    assert main(["test", "--config", str(eval_yaml)]) == 0
    stored = json.loads(Path("run/eval/results.json").read_text())
    assert stored["about"]["not_run"] == {"SynOOD": "needs a SynOOD head (fit --config configs/synood.yaml)"}
    assert "SynOOD: not run, needs a SynOOD head" in capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert main([*argv]) != 0
    return capsys.readouterr().err.replace("\n", " ")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--trainer.max_epochs", "8"], "max_epochs is 8, image_epochs and text_epochs make 4"),
        (["--trainer.reload_dataloaders_every_n_epochs", "0"], "expected 1"),
        (["--model.image_epochs", "0"], "SynOODModule: image_epochs is 0, expected 1 to"),
        (["--model.own_length", "true"], "give data.encoder.extra_features: [length]"),
        (["--data.id_shards", "{sets}/train"], "48 of the 48 pictures of set 'train' have no label"),
        (["--data.id_shards", "{sets}/blues"], "its manifest says ood: id_shards are ID"),
        (
            ["--data.synthetic_shards", "{sets}/train"],
            "its manifest says id: synthetic_shards stand for OOD",
        ),
        (["--model.label_set.names", "one.txt"], "has 2 classes, the label set 1 names"),
    ],
    ids=lambda part: part[0] if isinstance(part, list) else "",
)
def test_wrong_settings_say_what_to_do(
    more: list[str], words: str, synood_yaml: Path, sets: Path, capsys: pytest.CaptureFixture[str]
):
    Path("one.txt").write_text("red\n")
    argv = [part.format(sets=sets) for part in more]
    assert words in refused(capsys, "fit", "--config", str(synood_yaml), *argv)


def test_a_label_set_without_negatives_is_refused(synood_yaml: Path, capsys: pytest.CaptureFixture[str]):
    settings = yaml.safe_load(synood_yaml.read_text())
    source = settings["model"]["init_args"]["label_set"]
    source["class_path"] = source["class_path"].replace("MinedNegatives", "IDNames")
    del source["init_args"]["count"]
    synood_yaml.write_text(yaml.safe_dump(settings))
    assert "its label set has none" in refused(capsys, "fit", "--config", str(synood_yaml))


def test_several_processes_are_refused(synood_yaml: Path, capsys: pytest.CaptureFixture[str]):
    data: Any = SyntheticFeatures(encoder=None, id_shards="", synthetic_shards="")  # type: ignore[arg-type]
    data.trainer = type("Two", (), {"world_size": 2})()
    with pytest.raises(ValueError, match=r"by one process, here are 2: set trainer.devices to 1"):
        data.setup("fit")
