"""Who started a process, and how many it belongs to: tasks of Slurm, torchrun, and shells within a job."""

import os
from pathlib import Path

import pytest

from ood_lightning.cli.embed import share
from ood_lightning.cli.launch import is_slurm_task
from ood_lightning.cli.main import main

STEP = {"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "2", "SLURM_NTASKS": "2"}
STEP |= {"SLURM_NTASKS_PER_NODE": "2", "SLURM_PROCID": "1", "SLURM_LOCALID": "1", "SLURM_NODEID": "0"}
SHELL = {**STEP, "SLURM_PROCID": "0", "SLURM_PTY_PORT": "33559", "SLURM_TASK_PID": "1", "SLURM_JOB_NAME": "work"}
ELASTIC = {"TORCHELASTIC_RUN_ID": "a", "RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}
ELASTIC |= {"LOCAL_WORLD_SIZE": "1", "GROUP_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29871"}


def set_all(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (STEP, True),
        (SHELL, False),
        ({**SHELL, "SLURM_TASK_PID": "9"}, True),  # by another srun, from the shell
        ({"SLURM_JOB_ID": "7", "SLURM_NTASKS": "2"}, False),  # a job script, or salloc's shell on a login node
        ({}, False),
    ],
)
def test_a_task_is_told_from_a_shell(variables: dict[str, str], expected: bool):
    assert is_slurm_task(variables, 9) is expected


def test_a_shell_embeds_all_shards_and_a_task_its_share(monkeypatch: pytest.MonkeyPatch):
    set_all(monkeypatch, SHELL)
    assert share() == (0, 1)
    monkeypatch.setenv("SLURM_TASK_PID", str(os.getpid()))
    assert share() == (0, 2)


@pytest.mark.slow
@pytest.mark.parametrize("variables", [SHELL, {**STEP, **ELASTIC}], ids=["shell", "torchrun"])
def test_a_fit_waits_for_no_ranks_that_nobody_starts(
    variables: dict[str, str], fit_yaml: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    set_all(monkeypatch, variables)
    assert main(["fit", "--config", str(fit_yaml), "--trainer.max_epochs=1"]) == 0
    assert Path("run/fit/labels.json").is_file()
    assert "MEMBER: 1/2" not in capfd.readouterr().err
