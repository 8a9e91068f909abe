"""Which lines of a pipeline are submitted, and what `pipeline.sh` gives to sbatch. Programs here are small scripts."""

import os
import subprocess
from pathlib import Path

import pytest

from ood_lightning.experiments.lines import read_lines
from ood_lightning.experiments.records import PlannedLine, Record, plan
from ood_lightning.experiments.stages import Stage, stages

SCRIPTS = Path(__file__).parents[2] / "scripts" / "slurm"
TEXT = "a: embed 1\nb: embed 2\nc: fit 3\nd: test 4\ne: test 5\nf: report d e\n"
OUT = Path("out")


def planned() -> list[PlannedLine]:
    return plan(read_lines(TEXT, Path("lines.txt")), OUT)


def submitted() -> list[tuple[str, tuple[int, ...]]]:
    lines = planned()
    return [tuple(stage) for stage in stages(lines, [line.steps[0].step.command for line in lines])]


def finish(number: int) -> None:
    (step,) = planned()[number].steps
    step.folder.mkdir(parents=True, exist_ok=True)
    Record(step.settings, True, []).write(step.folder)


def test_lines_of_one_command_are_a_stage_and_each_embed_is_one_of_its_own():
    assert submitted() == [("embed", (0,)), ("embed", (1,)), ("fit", (2,)), ("test", (3, 4)), ("report", (5,))]


def test_a_line_that_reads_another_of_its_command_waits_for_it():
    text = "a: fit 1\nb: fit 2\nc: fit --model.start=out/b/labels.json\nd: fit 4\n"
    lines = plan(read_lines(text, Path("lines.txt")), OUT)
    assert [stage.numbers for stage in stages(lines, ["fit"] * 4)] == [(0, 1), (2, 3)]


def test_finished_lines_are_left_out_but_for_those_behind_something_to_run():
    for number in (0, 2, 3, 5):
        finish(number)
    assert submitted() == [("embed", (1,)), ("test", (4,)), ("report", (5,))]

    finish(1)
    finish(4)
    assert submitted() == []
    (OUT / "c/sweep.json").unlink()
    assert submitted() == [("fit", (2,)), ("test", (3, 4)), ("report", (5,))]


def test_features_make_nothing_stale():
    for number in range(1, 6):
        finish(number)
    assert submitted() == [("embed", (0,))]


def test_lines_that_only_embed_are_submitted():
    lines = plan(read_lines("a: embed 1\n", Path("lines.txt")), OUT)
    assert stages(lines, ["embed"]) == [Stage("embed", (0,))]


def test_a_table_is_made_again_when_an_evaluation_that_it_reads_was():
    folder = Path("d")
    folder.mkdir()
    (folder / "DONE").write_text("one")
    finish(5)
    assert not planned()[5].to_run
    (folder / "DONE").write_text("two")
    assert planned()[5].to_run


@pytest.fixture
def pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs `pipeline.sh` among programs that note what they are given."""
    programs = {
        "sbatch": 'n=$(($(cat n 2>/dev/null || echo 70) + 1)); echo $n >n; [[ $n != "$REFUSED" ]] || exit 1\n'
        'printf "%s|" "$SBATCH_PARTITION" "$@" $SWEEP_OUT $SWEEP_LINE >>given.txt; echo >>given.txt; echo "$n;cluster"',
        "scancel": 'echo "$@" >cancelled.txt',
        "squeue": 'echo "$@" >asked.txt; cat waiting.txt 2>/dev/null || exit 1',
        "ours": '[[ $4 == stages ]] && printf "embed 0\\nfit 2\\ntest 3-4\\n" || printf "a\\0--x\\0y z\\0"',
    }
    for name, text in programs.items():
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/bash\n{text}\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    Path("lines.txt").write_text(TEXT)
    Path("site.env").write_text(
        f"# ours\nSBATCH_PARTITION=gpu\nSBATCH_OPTIONS='--mem 8G' # both\nPYTHON={tmp_path}/bin/ours\nEMBED_TASKS=3\n"
    )

    def run(**environment: str) -> subprocess.CompletedProcess[str]:
        command = [str(SCRIPTS / "pipeline.sh"), "site.env", "lines.txt", "out"]
        return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60)

    return run


def test_each_stage_waits_for_the_one_before(pipeline):
    done = pipeline()
    assert done.stdout.splitlines() == ["71 embed 0", "72 fit 2", "73 test 3-4"], done.stderr
    begin = ["gpu", "--parsable", "--mem", "8G"]
    (copy,) = Path("out/.submitted").glob("*.txt")
    assert copy.read_text() == TEXT
    options = [line.strip("|").split("|") for line in Path("given.txt").read_text().splitlines()]
    sweep = [str(SCRIPTS / "sweep_array.sbatch"), str(copy), "out"]
    assert options == [
        [*begin, "--job-name=ood-embed", "--array=0-2", str(SCRIPTS / "embed_array.sbatch"), "--x", "y z", "out", "0"],
        [*begin, "--job-name=ood-fit", "--dependency=afterok:71", "--kill-on-invalid-dep=yes", "--array=2", *sweep],
        [*begin, "--job-name=ood-test", "--dependency=afterok:72", "--kill-on-invalid-dep=yes", "--array=3-4", *sweep],
    ]

    assert Path("logs").is_dir()
    Path("waiting.txt").write_text("72_2 gpu\n")
    again = pipeline()
    assert (again.returncode, again.stdout) == (2, "")
    assert "jobs 71,72,73 of out wait or run" in again.stderr
    assert Path("asked.txt").read_text() == "--noheader --jobs=71,72,73\n"


def test_what_was_submitted_before_a_refusal_is_withdrawn(pipeline):
    done = pipeline(REFUSED="73")
    assert done.returncode == 2
    assert "sbatch refuses test 3-4; nothing is left submitted" in done.stderr
    assert Path("cancelled.txt").read_text() == "71 72\n"
    assert not Path("out/.submitted/job").exists()


@pytest.mark.parametrize(
    "line", ["module load cuda", "A=b c", "A='b", "1A=b", "A=$HOME/x", "A=~/x", "A=`x`", 'A="$x"', "A=b; touch x"]
)
def test_a_site_is_values_alone(pipeline, line: str):
    with Path("site.env").open("a") as file:
        file.write(line)
    done = pipeline()
    assert done.returncode == 2
    assert "line 6 is not NAME=VALUE" in done.stderr
    assert not Path("given.txt").exists()


def test_the_example_of_a_site_is_read_by_both(pipeline):
    from ood_lightning.experiments.job_array import read_site

    Path("site.env").write_bytes((SCRIPTS / "site.env.example").read_bytes())
    assert "PYTHON=/home/me" in pipeline().stderr
    assert read_site(Path("site.env"))["SBATCH_OPTIONS"] == "--ntasks-per-node=1 --cpus-per-task=8 --mem=32G"
