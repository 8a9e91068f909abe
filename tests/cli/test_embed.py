"""`embed` in-process: each shard once, shared by any number of processes."""

from pathlib import Path
from typing import Any

import pytest
from shard_files import encoded, write_tar

from ood_lightning.cli.embed import share
from ood_lightning.cli.main import main
from ood_lightning.encoders.openclip import OpenClip


def test_embed_twice_repeats_nothing(config: Any, sets: Path, capsys: pytest.CaptureFixture[str]):
    settings = config("encoder", shards=[str(sets / "train"), str(sets / "blues")], num_workers=0)
    assert main(["embed", *settings]) == 0
    first = {path: path.stat().st_mtime_ns for path in Path("cache").rglob("*.safetensors")}
    assert len(first) == 5
    out = capsys.readouterr()
    assert "train: 48 pictures, complete: cache" in out.out
    assert "embed train" in out.err

    assert main(["embed", *settings]) == 0
    assert {path: path.stat().st_mtime_ns for path in Path("cache").rglob("*.safetensors")} == first
    out = capsys.readouterr()
    assert "blues: 9 pictures, complete: cache" in out.out
    assert "embed train" not in out.err  # no bar: nothing to do


def test_embed_shares_the_work_by_slurms_variables(
    config: Any, sets: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    settings = config("encoder", shards=[str(sets / "train")], num_workers=0)
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
    for rank, state in (("1", "2 of 3 shards are with other processes"), ("0", "complete")):
        monkeypatch.setenv("SLURM_PROCID", rank)
        assert main(["embed", *settings]) == 0
        assert state in capsys.readouterr().out


def array(number: int, lowest: int, highest: int, count: int) -> dict[str, str]:
    """Variables of a task of an array."""
    values = {"ID": number, "MIN": lowest, "MAX": highest, "COUNT": count}
    return {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in values.items()}


STEP = {"SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "4"}


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, (0, 1)),
        (STEP, (3, 4)),
        ({"RANK": "1", "WORLD_SIZE": "2"}, (1, 2)),
        ({"RANK": "1"}, (0, 1)),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}, (0, 1)),  # a job without srun: nobody starts the other three
        ({"RANK": "5", "WORLD_SIZE": "8", "SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2"}, (5, 8)),  # srun torchrun
        (array(2, 0, 3, 4), (2, 4)),
        (array(9, 1, 9, 3), (2, 3)),  # --array=1,5,9
        (array(5, 2, 8, 3), (1, 3)),  # --array=2-8:3
        (array(7, 3, 7, 2), (1, 2)),
        (array(6, 6, 6, 1), (0, 1)),
        (array(1, 0, 2, 3) | STEP, (7, 12)),
        (array(1, 0, 2, 3) | {"RANK": "1", "WORLD_SIZE": "2"}, (3, 6)),
    ],
)
def test_the_share_of_a_process(variables: dict[str, str], expected: tuple[int, int], monkeypatch: pytest.MonkeyPatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert share() == expected


@pytest.mark.parametrize("number", [1, 2, 9])
def test_an_array_of_uneven_numbers_has_no_shares(
    number: int, config: Any, sets: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Of --array=1,2,9 a task learns the lowest, the highest and how many: how many come before it is unknown."""
    for name, value in array(number, 1, 9, 3).items():
        monkeypatch.setenv(name, value)

    if number == 2:
        assert main(["embed", *config("encoder", shards=[str(sets / "train")], num_workers=0)]) == 2
        assert "array of 3 numbers from 1 to 9: they are not evenly spaced" in capsys.readouterr().err
    else:
        assert share() == ({1: 0, 9: 2}[number], 3)


def test_embed_says_at_once_that_it_cannot_store_or_has_nothing_to_do(
    config: Any, sets: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(OpenClip, "load", lambda self, device: pytest.fail("the weights are loaded in vain"))
    Path("cache").write_text("a file")
    assert main(["embed", *config("encoder", shards=[str(sets / "train")], num_workers=0)]) == 2
    assert "cache_dir is 'cache', which is a file: expected a folder" in capsys.readouterr().err
    assert main(["embed", *config("encoder", shards=[])]) == 2
    assert "shards names no set" in capsys.readouterr().err


def test_embed_holds_the_whole_set_to_its_limit(config: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for i in range(2):
        members = [(f"{i}good.png", encoded((1, 1, 1), i)), (f"{i}bad.png", b"no")]
        write_tar(tmp_path / f"bad-{i}.tar", members)
    settings = config("encoder", shards=[str(tmp_path / "bad-{0..1}.tar")], num_workers=0)
    assert main(["embed", *settings, "--max_bad_samples", "1"]) == 2
    assert "2 pictures cannot be read, 1 allowed" in capsys.readouterr().err
    assert main(["embed", *settings, "--max_bad_samples", "2"]) == 1
    assert "bad: 4 pictures (2 cannot be read), complete" in capsys.readouterr().out
