"""What is given to sbatch, and what a task of the array runs. The programs of Slurm here are small scripts."""

import os
import sys
from pathlib import Path

import pytest

from ood_lightning.errors import SettingsError
from ood_lightning.experiments.job_array import as_task, read_site, run_as_task, submit
from ood_lightning.experiments.lines import read_lines
from ood_lightning.experiments.processes import Command
from ood_lightning.experiments.records import plan, read_record

SCRIPTS = Path(__file__).parents[2] / "scripts" / "slurm"
FILE, OUT = Path("lines.txt"), Path("out")


def program(name: str, text: str) -> None:
    """Put a script where programs are found first."""
    path = Path("bin", name)
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)


@pytest.fixture(autouse=True)
def _programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("OOD_SLURM_SCRIPTS", str(SCRIPTS))
    program("sbatch", 'printf "%s\\n" "$@" > given.txt; echo "$SBATCH_PARTITION" >> given.txt; echo "71;cluster"')
    program("squeue", "exit 1")
    FILE.write_text("a: test 1\nb: test 2\nc: test 3\n")


def test_the_variables_of_a_site():
    Path("site.env").write_text("# ours\n\nexport SBATCH_PARTITION=gpu\nSBATCH_OPTIONS='--mem 8G'  # both\nEMPTY=\n")
    assert read_site(Path("site.env")) == {"SBATCH_PARTITION": "gpu", "SBATCH_OPTIONS": "--mem 8G", "EMPTY": ""}


@pytest.mark.parametrize("line", ["module load cuda", "A=b c", "A='b", "1A=b"])
def test_other_lines_are_refused(line: str):
    Path("site.env").write_text(f"OK=1\n{line}\n")
    with pytest.raises(SettingsError, match="line 2 is not NAME=VALUE"):
        read_site(Path("site.env"))


def test_one_array_is_submitted_that_reads_a_copy():
    site = {"SBATCH_PARTITION": "gpu", "SBATCH_OPTIONS": "--mem 8G --time=1"}
    assert submit(FILE, OUT, [0, 2], site) == "71"

    *options, script, copy, out, partition = Path("given.txt").read_text().splitlines()
    assert options == ["--parsable", "--mem", "8G", "--time=1", "--array=0,2"]
    assert (script, out, partition) == (str(SCRIPTS / "sweep_array.sbatch"), "out", "gpu")
    assert Path(copy).read_bytes() == FILE.read_bytes()
    assert Path("logs").is_dir()

    submit(FILE, OUT, [2], site)  # Slurm knows 71 no longer
    program("squeue", 'echo "$@" > asked.txt; echo "71_2 debug"')
    with pytest.raises(SettingsError, match="array 71 of this sweep waits or runs"):
        submit(FILE, OUT, [2], site)
    assert Path("asked.txt").read_text() == "--noheader --jobs=71\n"


def test_what_slurm_refuses_is_said(monkeypatch: pytest.MonkeyPatch):
    program("sbatch", "echo 'invalid partition' >&2; exit 1")
    with pytest.raises(SettingsError, match="sbatch refuses the array: invalid partition"):
        submit(FILE, OUT, [0], {})
    with pytest.raises(SettingsError, match="no sbatch here"):
        submit(FILE, OUT, [0], {"PATH": "nowhere"})
    monkeypatch.delenv("OOD_SLURM_SCRIPTS")
    with pytest.raises(SettingsError, match=r"there is no scripts/slurm/sweep_array\.sbatch"):
        submit(FILE, OUT, [0], {})


def test_a_task_runs_its_steps_by_srun_with_the_processes_of_the_job():
    variables = {"SLURM_NTASKS_PER_NODE": "4", "SLURM_JOB_NUM_NODES": "2", "WANDB_MODE": "online"}
    fit = as_task(Command(["fit", "--x"]), OUT, variables)
    assert fit.argv == [
        *("srun", "--kill-on-bad-exit=1", "--wait=0", sys.executable, "-m", "ood_lightning"),
        *("fit", "--x", "--trainer.devices=4", "--trainer.num_nodes=2"),
    ]
    assert fit.environment == {"WANDB_MODE": "online", "WANDB_DATA_DIR": "out/wandb", "WANDB_CACHE_DIR": "out/wandb"}
    alone = ["srun", "--nodes=1", "--ntasks=1"]
    assert as_task(Command(["mine"]), OUT, variables).argv[:4] == [*alone, sys.executable]
    assert as_task(Command(["embed"]), OUT, variables).argv[:5] == [*alone, "env", "--unset=SLURM_ARRAY_TASK_ID"]


def test_a_task_ends_as_its_step_did_and_prints_what_it_printed(capsys: pytest.CaptureFixture[str]):
    lines = read_lines(FILE.read_text(), FILE)
    (step,) = plan(lines, OUT)[1].to_run
    assert run_as_task([(step, Command(["test"], ("bash", "-c", "echo stopped; exit 143")))]) == 143
    assert [bool(planned.to_run) for planned in plan(lines, OUT)] == [True, True, True]

    assert run_as_task([(step, Command(["test"], ("bash", "-c", "echo some unread; exit 1")))]) == 0
    assert [bool(planned.to_run) for planned in plan(lines, OUT)] == [True, False, True]
    record = read_record(step.folder)
    assert record is not None
    assert record.seconds is not None
    assert capsys.readouterr().out == "stopped\nsome unread\n"
