"""A damaged store ends a command with its name, or is made again; no command goes on with what it holds."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import said
from damaged_stores import flip, forget_checksums, rewrite
from torch import Tensor

from ood_lightning.cli.main import main
from ood_lightning.data.artifacts.label_set import LabelSet

MASS = {"class_path": "ood_lightning.detectors.label_mass.LabelMass", "init_args": {"sharpness": 1.0}}
POSMINE = {"class_path": "ood_lightning.label_sets.posmine.PosMine", "init_args": {"min_images": 1}}
CLUSTERMINE = {"class_path": "ood_lightning.label_sets.clustermine.ClusterMine"}

SHARDS, TEXT, SCALE = "*/train-*/*.tar.safetensors", "*/text/*-*", "*/text/logit_scale*"
NEIGHBOURS, MOMENTS = "*/train-*/neighbours*/*", "*/train-*/moments/*"
FLIPS = (0.0, 0.001, 0.02, 0.05, 0.1, 0.3, 0.5, 2 / 3, 0.9, 1.0)
TENSOR_OF = {SHARDS: "image", NEIGHBOURS: "neighbours", MOMENTS: "squares", TEXT: "text", "votes": "cluster"}
CHANGES: dict[str, Callable[[Tensor], Tensor]] = {
    "permuted": lambda rows: rows.roll(1, 0),
    "short": lambda rows: rows[1:],
    "zero": torch.zeros_like,
    "another dtype": lambda rows: rows.double() if rows.is_floating_point() else rows.float(),
    "negative": lambda rows: -1 - rows.abs(),
}


def damages(file: Path, tensor: str) -> Iterator[str]:
    """Damage a file in one way after the other; each begins with the sound file, which is back at the end."""
    sound = file.read_bytes()
    for share in FLIPS:
        flip(file, share, bit=int(share * 100) % 8)
        yield f"bit flipped at {share}"
        file.write_bytes(sound)

    for length in (0, 5, len(sound) // 2, len(sound) - 1):
        file.write_bytes(sound[:length])
        yield f"cut to {length}"
    for name, change in CHANGES.items():
        file.write_bytes(sound)
        rewrite(file, tensor, change, sums_fit=False)
        yield name
    file.write_bytes(sound)


@pytest.fixture
def command(config: Any, sets: Path) -> Callable[[str], list[str]]:
    """Arguments of each step that reads stores."""
    steps: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
        "mine": (("encoder", "corpus", "prompts"), {"id_shards": str(sets / "train"), "source": POSMINE}),
        "mine votes": (
            ("encoder", "corpus", "prompts"),
            {"id_shards": str(sets / "train"), "source": CLUSTERMINE, "votes": "run/fit/votes.safetensors"},
        ),
        "save-detector": (
            ("encoder", "corpus", "prompts"),
            {"label_set": "run/fit/posmine.json", "score": MASS},
        ),
    }

    def arguments(step: str) -> list[str]:
        keys, more = steps[step]
        return [step.split()[0], *config(*keys, **more), "--out", "out" if step == "save-detector" else "out.json"]

    return arguments


def ends_well_or_names(arguments: list[str], file: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A flip may also leave a file as good as none, or change nothing that is read."""
    expected = out.read_bytes()
    status = main(arguments)
    if status == 0:
        assert out.read_bytes() == expected
        capsys.readouterr()
        return
    assert status == 2
    assert file.name in said(capsys)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "kind"), [("mine", SHARDS), ("mine", TEXT), ("mine votes", "votes"), ("save-detector", TEXT)]
)
def test_no_damage_of_a_store_changes_what_a_step_writes(
    step: str, kind: str, fit_yaml: Path, command: Any, capsys: pytest.CaptureFixture[str]
):
    assert main(["fit", "--config", str(fit_yaml)]) == 0
    arguments = command(step)
    assert main(arguments) == 0
    out = Path(arguments[-1]) / "detector.json" if step == "save-detector" else Path(arguments[-1])
    file = Path("run/fit/votes.safetensors") if kind == "votes" else max(Path("cache").glob(kind))

    capsys.readouterr()
    for _ in damages(file, TENSOR_OF[kind]):
        ends_well_or_names(arguments, file, out, capsys)
    assert main(arguments) == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", [SHARDS, NEIGHBOURS, MOMENTS, TEXT])
def test_no_damage_of_a_store_changes_what_a_fit_writes(kind: str, fit_yaml: Path, capsys: pytest.CaptureFixture[str]):
    arguments = ["fit", "--config", str(fit_yaml)]
    assert main(arguments) == 0
    shutil.copytree("run/fit", "sound")
    capsys.readouterr()

    file = min(Path("cache").glob(kind))
    for damage in damages(file, TENSOR_OF[kind]):
        shutil.rmtree("run/fit")
        status = main(arguments)
        assert status in (0, 2), damage
        if status == 2:
            assert file.name in said(capsys)
        else:
            assert Path("run/fit/labels.json").read_bytes() == Path("sound/labels.json").read_bytes()
            capsys.readouterr()


@pytest.mark.slow
def test_no_damage_of_a_store_changes_the_results_of_an_evaluation(eval_yaml: Path, capsys: pytest.CaptureFixture[str]):
    arguments = ["test", "--config", str(eval_yaml)]
    assert main(arguments) == 0
    capsys.readouterr()

    out = Path("run/eval/results.csv")
    sound = out.read_bytes()
    for kind, tensor in (("*/blues-*/*.tar.safetensors", "image"), (TEXT, "text"), (SCALE, "logit_scale")):
        file = min(Path("cache").glob(kind))
        for _ in damages(file, tensor):
            out.write_bytes(sound)
            ends_well_or_names(arguments, file, out, capsys)


@pytest.mark.slow
def test_a_file_in_the_place_of_another_is_named(fit_yaml: Path, capsys: pytest.CaptureFixture[str]):
    arguments = ["fit", "--config", str(fit_yaml), "--trainer.max_epochs=1"]
    assert main(arguments) == 0
    fingerprint = LabelSet.read("run/fit/labels.json").recipe["encoder"]["fingerprint"]
    more = ["--data.n_neighbours=5", "--trainer.default_root_dir=run/other"]
    assert main([*arguments, *more, "--data.encoder.init_args.feature_dtype=float16"]) == 0
    shutil.rmtree("run/other")
    assert main([*arguments, *more]) == 0

    here = Path("cache", fingerprint)
    (other,) = (folder for folder in Path("cache").iterdir() if folder != here)
    shard, second, _ = sorted(here.glob("train-*/*.tar.safetensors"))
    (text,) = here.glob("text/*-*")
    neighbours, five = sorted(here.glob("train-*/neighbours*/*"))
    capsys.readouterr()

    for file, source, what in (
        (shard, second, "shard"),
        (shard, other / shard.relative_to(here), "encoder"),
        (text, other / text.relative_to(here), "encoder"),
        (neighbours, five, "n_neighbours"),
        (neighbours, other / five.relative_to(here), "encoder"),
        (text, shard, "encoder|words"),
        (neighbours, text, "set"),
    ):
        sound = file.read_bytes()
        file.write_bytes(source.read_bytes())
        shutil.rmtree("run/fit")
        assert main(arguments) == 2
        assert re.search(rf"{file.name} belongs to another ({what}), ", said(capsys))
        file.write_bytes(sound)

    assert main(arguments) == 0


@pytest.mark.slow
def test_stores_of_an_earlier_version_are_made_again_and_that_is_said_once(
    fit_yaml: Path, caplog: pytest.LogCaptureFixture
):
    arguments = ["fit", "--config", str(fit_yaml), "--trainer.max_epochs=1"]
    assert main(arguments) == 0
    files = {path: path.read_bytes() for path in Path("cache").rglob("*.safetensors")}
    labels = Path("run/fit/labels.json").read_bytes()
    for file in files:
        forget_checksums(file)
    shutil.rmtree("run")

    assert main(arguments) == 0
    assert caplog.text.count("without checksums, of an earlier version, are made again") == 1
    assert Path("run/fit/labels.json").read_bytes() == labels
    assert {path: path.read_bytes() for path in files} == files


@pytest.mark.slow
def test_a_damaged_checkpoint_is_named_and_the_fit_begins_anew_without_it(
    fit_yaml: Path, capsys: pytest.CaptureFixture[str]
):
    arguments = ["fit", "--config", str(fit_yaml), "--trainer.max_epochs=1"]
    assert main(arguments) == 0
    file = Path("run/fit/last.ckpt")
    labels = Path("run/fit/labels.json").read_bytes()
    capsys.readouterr()

    flip(file, 0.5)
    for more in ([], ["--ckpt_path", str(file), "--trainer.default_root_dir=run/other"]):
        assert main([*arguments, *more]) == 2
        assert "run/fit/last.ckpt is damaged, or no checkpoint" in said(capsys)

    file.unlink()
    assert main(arguments) == 0
    assert Path("run/fit/labels.json").read_bytes() == labels
