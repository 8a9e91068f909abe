"""Forty changed commands: each ends with a documented exit status, and never with a traceback.

0 done; 1 done, but some images could not be read; 2 refused, or nothing was done. Each command is sound before its
change (the first tests), so that a refusal is one of the change.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import detector_folder, write_label_set
from shard_files import encoded, write_tar

from ood_lightning.cli.main import main

pytestmark = pytest.mark.slow  # whole commands

Command = list[str]


@pytest.fixture
def world(
    tmp_path: Path,
    sets: Path,
    fit_yaml: Path,
    eval_yaml: Path,
    encoder_yaml: dict[str, Any],
    words_yaml: dict[str, Any],
) -> Path:
    """Copies of the sets, a label set, pictures, and a config of each command, all of them sound."""
    copied = shutil.copytree(sets, tmp_path / "sets")
    for config in (fit_yaml, eval_yaml):
        config.write_text(config.read_text().replace(str(sets), str(copied)))
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for i, name in enumerate(("a", "b", "c")):
        (pictures / f"{name}.png").write_bytes(encoded((9 * i, 90, 9), i))
    write_label_set(tmp_path / "labels.json")

    shared = {"encoder": encoder_yaml, "cache_dir": "cache"}
    texts = {"corpus": words_yaml, "prompts": {"templates": ["{}"]}}
    mcm = {"class_path": "ood_lightning.detectors.mcm.MCM"}
    posmine = {"class_path": "ood_lightning.label_sets.posmine.PosMine", "init_args": {"min_images": 2}}
    mine = {**shared, **texts, "id_shards": str(copied / "train"), "source": posmine, "out": "mined.json"}
    configs = {
        "embed": {**shared, "shards": [str(copied / "blues")]},
        "mine": mine,
        "save": {**shared, **texts, "label_set": "labels.json", "score": mcm},
    }
    for name, settings in configs.items():
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    detector_folder(["--config=save.yaml"])
    return tmp_path


SOUND: dict[str, Command] = {
    "fit": ["fit", "--config=fit.yaml"],
    "test": ["test", "--config=eval.yaml"],
    "embed": ["embed", "--config=embed.yaml"],
    "mine": ["mine", "--config=mine.yaml"],
    "save": ["save-detector", "--config=save.yaml", "--out=saved"],
    "predict": ["predict", "pictures", "--detector=detector", "--out=scores.csv"],
    "check": ["data", "check", "sets/blues", "--workers=1"],
    "pack": ["data", "pack", "pictures", "--out=packed", "--name=own", "--role=ood", "--workers=1"],
    "show": ["labels", "show", "labels.json"],
    "cards": ["data", "list"],
}


@pytest.mark.parametrize("name", list(SOUND))
def test_the_command_is_sound_before_its_change(name: str, world: Path):
    assert main(SOUND[name]) == 0


def put(path: str, content: bytes) -> Callable[[], object]:
    return lambda: Path(path).write_bytes(content)


def edit(path: str, **change: Any) -> Callable[[], object]:
    """Change keys of a JSON file."""
    return lambda: Path(path).write_text(json.dumps({**json.loads(Path(path).read_text()), **change}))


def flip(pattern: str, offset: int) -> Callable[[], object]:
    """Change one bit of the first file that matches."""

    def change() -> None:
        path = min(Path().glob(pattern))
        content = bytearray(path.read_bytes())
        content[offset] ^= 64
        path.write_bytes(content)

    return change


def nothing() -> None:
    """The command's words alone are changed."""


def no_pictures() -> None:
    for path in Path("pictures").iterdir():
        path.write_bytes(b"<html>")


TEMI, DATA, MODEL = "--model.init_args.", "--data.init_args.", "--model.init_args."
MUTANTS: dict[str, tuple[str, Command, Callable[[], object], int]] = {
    "fit: config of a test": ("fit", ["--config=eval.yaml"], nothing, 2),
    "fit: misspelt key": ("fit", ["--model.n_cluster=3"], nothing, 2),
    "fit: no clusters": ("fit", [f"{TEMI}n_clusters=0"], nothing, 2),
    "fit: no heads": ("fit", [f"{TEMI}n_heads=0"], nothing, 2),
    "fit: negative learning rate": ("fit", [f"{TEMI}lr=-1"], nothing, 2),
    "fit: no neighbours": ("fit", [f"{DATA}n_neighbours=0"], nothing, 2),
    "fit: batch of none": ("fit", [f"{DATA}batch_size=0"], nothing, 2),
    "fit: GPU that is not there": ("fit", ["--trainer.accelerator=gpu"], nothing, 2),
    "fit: number that is text": ("fit", ["--trainer.max_epochs=many"], nothing, 2),
    "fit: shard cut": ("fit", [], lambda: put("sets/train/train-000001.tar", b"cut")(), 2),
    "fit: folder that is a file": ("fit", ["--trainer.default_root_dir=labels.json"], nothing, 2),
    "test: config of a fit": ("test", ["--config=fit.yaml"], nothing, 2),
    "test: no callbacks": ("test", ["--trainer.callbacks=null"], nothing, 2),
    "test: no batches": ("test", ["--trainer.limit_test_batches=0"], nothing, 2),
    "test: half the batches": ("test", ["--trainer.limit_test_batches=0.5"], nothing, 2),
    "test: GPU that is not there": ("test", ["--trainer.accelerator=gpu"], nothing, 2),
    "test: bit of a shard": ("test", [], flip("sets/blues/*.tar", 700), 2),
    "test: manifest without names": ("test", [], edit("sets/id_test/manifest.json", class_names=[]), 2),
    "test: manifest's name leads out": ("test", [], edit("sets/blues/manifest.json", name="../../out"), 2),
    "test: manifest nested too deep": ("test", [], put("sets/blues/manifest.json", b"[" * 100_000), 2),
    "test: set called as a mean": ("test", [], edit("sets/blues/manifest.json", name="mean"), 2),
    "test: YAML cut": ("test", [], put("eval.yaml", b"trainer: {"), 2),
    "test: YAML of another kind": ("test", [], put("eval.yaml", b"- 1\n"), 2),
    "test: config is no text": ("test", [], put("eval.yaml", b"\xff\xfe\x00"), 2),
    "embed: no such set": ("embed", ["--shards=[nowhere]"], nothing, 2),
    "embed: batch of none": ("embed", ["--embed_batch_size=0"], nothing, 2),
    "embed: tar without pictures": ("embed", ["--shards=[x.tar]"], lambda: write_tar(Path("x.tar"), []), 2),
    "embed: cache is a file": ("embed", ["--cache_dir=labels.json"], nothing, 2),
    "mine: share of the impossible": ("mine", ["--source.init_args.min_images=999"], nothing, 2),
    "mine: unknown class": ("mine", ["--source=ood_lightning.label_sets.posmine.PosMin"], nothing, 2),
    "save: no label set": ("save", ["--label_set=none.json"], nothing, 2),
    "save: label set of wrong types": ("save", [], edit("labels.json", positives=7), 2),
    "save: label set is deep": ("save", [], put("labels.json", b"[" * 100_000), 2),
    "predict: label set of wrong types": ("predict", [], edit("detector/labels.json", positives=7), 2),
    "predict: detector is deep": ("predict", [], put("detector/detector.json", b"[" * 100_000), 2),
    "predict: one picture broken": ("predict", [], put("pictures/a.png", b"<html>"), 1),
    "predict: every picture broken": ("predict", [], no_pictures, 2),
    "predict: out cannot be written": ("predict", ["--out=labels.json/x.csv"], nothing, 2),
    "check: bit of a shard": ("check", [], flip("sets/blues/*.tar", 700), 1),
    "check: manifest is a list": ("check", [], put("sets/blues/manifest.json", b"[]"), 2),
    "pack: role that there is not": ("pack", ["--role=other"], nothing, 2),
    "pack: name leads out": ("pack", ["--name=../own"], nothing, 2),
    "pack: every picture broken": ("pack", [], no_pictures, 2),
    "show: no text": ("show", [], put("labels.json", b"\xff\xff"), 2),
    "show: empty": ("show", [], put("labels.json", b""), 2),
    "cards: argument that there is not": ("cards", ["--every"], nothing, 2),
}


@pytest.mark.parametrize("name", list(MUTANTS))
def test_a_changed_command_ends_with_a_documented_status(name: str, world: Path, capfd: pytest.CaptureFixture[str]):
    command, more, change, status = MUTANTS[name]
    change()
    assert main([*SOUND[command], *more]) == status

    said = "".join(capfd.readouterr())
    assert "Traceback" not in said
    if status == 2:
        assert said.count("error: ") == 1


def test_there_are_forty():
    assert len(MUTANTS) >= 40
