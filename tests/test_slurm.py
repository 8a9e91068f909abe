"""The job scripts on a real Slurm of one node: several ranks, arrays, requeueing."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from signalled import WAITING
from waiting import HANG_S, wait_until

from ood_lightning.cli.main import main

SCRIPTS = Path(__file__).parent.parent / "scripts/slurm"
PATH = "/usr/sbin:" + os.environ["PATH"]
missing = [name for name in ("sbatch", "srun", "slurmctld", "munged") if not shutil.which(name, path=PATH)]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.slurm,
    pytest.mark.skipif(bool(missing), reason=f"no {', '.join(missing)}: test-cluster.sh up installs it"),
    pytest.mark.skipif(os.geteuid() != 0, reason="not root: slurmd starts jobs for their users"),
]


def cluster(command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(SCRIPTS / "test-cluster.sh"), command], capture_output=True, text=True, timeout=HANG_S)


@pytest.fixture(scope="module")
def slurm_conf() -> Iterator[str]:
    """A running cluster; taken down again if it was not up before."""
    was_up = cluster("status").returncode == 0
    if not was_up:
        started = cluster("up")
        assert started.returncode == 0, started.stderr
    yield cluster("env").stdout.strip().partition("=")[2]
    if not was_up:
        cluster("down")


Slurm = Callable[..., str]


@pytest.fixture
def slurm(slurm_conf: str, tmp_path: Path) -> Slurm:
    """Runs a client of Slurm and returns what it printed."""
    (tmp_path / "logs").mkdir()
    paths = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "SLURM_CONF": slurm_conf, "PYTHON": sys.executable, "PYTHONPATH": paths}
    environment["OOD_SLURM_SCRIPTS"] = str(SCRIPTS)

    def run(*command: object) -> str:
        done = subprocess.run(
            [str(c) for c in command], env=environment, capture_output=True, text=True, timeout=HANG_S
        )
        assert done.returncode == 0, done.stderr + logs(tmp_path)
        return done.stdout

    return run


def logs(folder: Path) -> str:
    return "\n".join(path.read_text() for path in sorted((folder / "logs").iterdir()))


def test_an_array_evaluates_every_line_once(slurm: Slurm, eval_yaml: Path, tmp_path: Path):
    mcm = {"class_path": "ood_lightning.detectors.mcm.MCM", "init_args": {"temperature": 0.5}}
    lines = [
        "# four evaluations",
        f"plain: --config {eval_yaml}",
        f"braces: --config {eval_yaml} '--model.detectors={json.dumps({'MCM, T 0.5': mcm})}'",
        "",
        f"prompts: --config {eval_yaml} --model.prompts '{json.dumps({'templates': ['a photo of a {}.']})}'",
        f"blocks: --config {eval_yaml} --data.batch_size=3",
    ]
    (tmp_path / "lines.txt").write_text("\n".join(lines) + "\n")

    submit = ("sbatch", "--wait", "--array=0-3", "--cpus-per-task=1", SCRIPTS / "eval_array.sbatch", "lines.txt", "out")
    slurm(*submit)
    runs = [tmp_path / "out" / name for name in ("plain", "braces", "prompts", "blocks")]
    assert [(run / "DONE").is_file() for run in runs] == [True] * 4
    assert "already done" not in logs(tmp_path)

    assert main(["report", *map(str, runs), "--out", "joined"]) == 0
    rows = json.loads(Path("joined/results.json").read_text())["results"]
    named = {row["detector"] for row in rows}
    both = {f"{run}: {detector}" for run in ("plain", "prompts", "blocks") for detector in ("MCM", "NegLabel")}
    assert named == both | {"braces: MCM, T 0.5"}

    written = {run: (run / "results.json").stat().st_mtime_ns for run in runs}
    slurm(*submit)
    assert logs(tmp_path).count("already done, nothing is repeated") == 4
    assert {run: (run / "results.json").stat().st_mtime_ns for run in runs} == written


def test_the_tasks_of_an_array_and_their_processes_share_one_folder(slurm: Slurm, sets: Path, encoder_yaml: dict):
    settings = (f"--encoder={json.dumps(encoder_yaml)}", f"--shards=['{sets / 'train'}']", "--num_workers=0")
    options = ("--array=3-4", "--ntasks-per-node=2", "--cpus-per-task=1", SCRIPTS / "embed_array.sbatch")
    slurm("sbatch", "--wait", *options, *settings, "--cache_dir=shared")
    assert main(["embed", *settings, "--cache_dir=alone"]) == 0

    shared, alone = (
        {file.relative_to(cache): file.read_bytes() for file in Path(cache).rglob("*") if file.is_file()}
        for cache in ("shared", "alone")
    )
    assert len(alone) == 3
    assert shared == alone
    assert len(re.findall("^train: 48 pictures", logs(Path()), re.MULTILINE)) == 4  # `validate` says it within a line
    bars = [int(n) for n in re.findall(r"embed train: 100%.*?(\d+)/\1 ", logs(Path()))]
    assert sorted(bars) == [8, 20, 20]  # each shard by one of the four


def test_an_array_fits_every_number_of_clusters_and_the_elbow_reads_them(
    slurm: Slurm, fit_yaml: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    numbers = (2, 3, 4, 6, 8)
    lines = [f"c{c}: --config {fit_yaml} --model.n_clusters {c} --data.cache_dir=cache{c}" for c in numbers]
    (tmp_path / "lines.txt").write_text("\n".join(lines) + "\n")
    slurm("sbatch", "--wait", "--array=0-4", "--cpus-per-task=1", SCRIPTS / "fit_array.sbatch", "lines.txt", "sweep")
    runs = [tmp_path / f"sweep/c{c}" for c in numbers]
    n_clusters = [json.loads((run / "quality.json").read_text())["clusters"]["asked"] for run in runs]
    assert n_clusters == list(numbers)
    assert main(["labels", "elbow", *map(str, runs)]) in (0, 2)  # random features need not bend
    assert "Traceback" not in capsys.readouterr().err + logs(tmp_path)


def test_a_sweep_is_one_array_of_what_is_missing(slurm: Slurm, eval_yaml: Path, fit_yaml: Path, tmp_path: Path):
    steps = {
        "fit": f"--config {fit_yaml} --model.n_clusters {{c}} --data.cache_dir cache{{c}}",
        "test": f"--config {eval_yaml} --model.cache_dir cache{{c}} --data.cache_dir cache{{c}} "
        "--model.label_sets.mined {fit}/labels.json "
        """--model.prompts '{"templates": ["{}", "a photo of a {}."]}'""",
    }
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump({"steps": steps, "grid": {"c": [2, 3]}}))
    (tmp_path / "site.env").write_text("SBATCH_OPTIONS='--wait --cpus-per-task=1'\n")
    command = (sys.executable, "-m", "ood_lightning", "sweep", "sweep.yaml", "--out=out")

    assert "array " in slurm(*command, "--slurm=site.env")
    runs = [tmp_path / "out" / f"c-{c}" for c in (2, 3)]
    assert all((run / "test/DONE").is_file() for run in runs), logs(tmp_path)
    assert "Traceback" not in logs(tmp_path)
    assert "2 finished in out" in slurm(*command)

    (runs[1] / "test/sweep.json").unlink()
    written = (runs[1] / "fit/labels.json").stat().st_mtime_ns
    assert "1 line;" in slurm(*command, "--slurm=site.env")
    assert "2 finished in out" in slurm(*command)
    assert (runs[1] / "fit/labels.json").stat().st_mtime_ns == written


def test_two_tasks_that_slurm_stops_and_requeues_mine_the_labels_of_one(slurm: Slurm, fit_yaml: Path, tmp_path: Path):
    epochs = "--trainer.max_epochs=8"
    assert main(["fit", "--config", str(fit_yaml), epochs]) == 0

    run, options = tmp_path / "run/two", ("--parsable", "--ntasks-per-node=2", "--cpus-per-task=1")
    # a cache of its own: both tasks embed their share of the shards
    arguments = ("run/two", "--config", fit_yaml, epochs, "--data.cache_dir=cache_of_two")
    waiting = ("--trainer.callbacks+=signalled.WaitForSignal", "--trainer.callbacks.epoch=3")
    job = slurm("sbatch", *options, SCRIPTS / "fit.sbatch", *arguments, *waiting).strip()
    wait_until(lambda: logs(tmp_path).count(WAITING) == 2, "the step to stop at in both tasks")
    slurm("scancel", "--signal=TERM", job)  # to the tasks alone, as --signal does before the time limit
    wait_until(lambda: "JobState=COMPLETED" in slurm("scontrol", "show", "job", job), "the end of the job")

    said = logs(tmp_path)
    assert said.count("MEMBER: 2/2") == 2
    for words in ("exit 143", "restart 1: fit", "training goes on from there", "exit 0"):
        assert words in said
    assert "Traceback" not in said
    for name in ("labels.json", "posmine.json"):
        assert (run / name).read_bytes() == (tmp_path / "run/fit" / name).read_bytes()
