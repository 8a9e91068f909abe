"""The job scripts on a real Slurm of two nodes: several ranks, arrays, pipelines, requeueing."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
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
        "# two evaluations",
        f"braces: --config {eval_yaml} '--model.detectors={json.dumps({'MCM, T 0.5': mcm})}'",
        "",
        f"prompts: --config {eval_yaml} --model.prompts '{json.dumps({'templates': ['a photo of a {}.']})}'",
    ]
    (tmp_path / "lines.txt").write_text("\n".join(lines) + "\n")

    submit = ("sbatch", "--wait", "--array=0-1", "--cpus-per-task=1", SCRIPTS / "eval_array.sbatch", "lines.txt", "out")
    slurm(*submit)
    runs = [tmp_path / "out" / name for name in ("braces", "prompts")]
    assert [(run / "DONE").is_file() for run in runs] == [True] * 2
    assert "already done" not in logs(tmp_path)

    assert main(["report", *map(str, runs), "--out", "joined"]) == 0
    rows = json.loads(Path("joined/results.json").read_text())["results"]
    named = {row["detector"] for row in rows}
    assert named == {"MCM, T 0.5", "MCM", "NegLabel"}

    written = {run: (run / "results.json").stat().st_mtime_ns for run in runs}
    slurm(*submit)
    assert logs(tmp_path).count("already done, nothing is repeated") == 2
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


def test_an_array_fits_every_number_of_clusters(slurm: Slurm, fit_yaml: Path, tmp_path: Path):
    numbers = (2, 3)
    lines = [f"c{c}: --config {fit_yaml} --model.n_clusters {c} --data.cache_dir=cache{c}" for c in numbers]
    (tmp_path / "lines.txt").write_text("\n".join(lines) + "\n")
    slurm("sbatch", "--wait", "--array=0-1", "--cpus-per-task=1", SCRIPTS / "fit_array.sbatch", "lines.txt", "sweep")
    runs = [tmp_path / f"sweep/c{c}" for c in numbers]
    n_clusters = [json.loads((run / "quality.json").read_text())["clusters"]["asked"] for run in runs]
    assert n_clusters == list(numbers)
    assert "Traceback" not in logs(tmp_path)


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


EPOCHS = "--trainer.max_epochs=8"
WAIT_IN_EPOCH_3 = ("--trainer.callbacks+=signalled.WaitForSignal", "--trainer.callbacks.epoch=3")


@pytest.fixture
def undisturbed(fit_yaml: Path) -> Path:
    """Folder of a fit by one process that nothing stops."""
    assert main(["fit", "--config", str(fit_yaml), EPOCHS]) == 0
    return Path("run/fit")


def check_equal(run: Path, undisturbed: Path) -> None:
    """Label sets, votes and heads of two fits are the same, to the bit."""
    for name in ("labels.json", "posmine.json", "votes.safetensors", "quality.json"):
        assert (run / name).read_bytes() == (undisturbed / name).read_bytes()
    heads, expected = (torch.load(one / "last.ckpt", weights_only=True)["state_dict"] for one in (run, undisturbed))
    assert heads.keys() == expected.keys()
    assert all(torch.equal(heads[key], expected[key]) for key in heads)


def has_ended(slurm: Slurm, job: str, state: str) -> Callable[[], bool]:
    def look() -> bool:
        time.sleep(0.2)  # each look is a process
        return f"JobState={state}" in slurm("scontrol", "show", "job", job)

    return look


def test_two_nodes_that_slurm_stops_and_requeues_end_with_the_bytes_of_one_process(
    slurm: Slurm, fit_yaml: Path, undisturbed: Path, tmp_path: Path
):
    # a cache of its own: both ranks embed their share of the shards
    arguments = ("run/two", "--config", fit_yaml, EPOCHS, "--data.cache_dir=cache_of_two", *WAIT_IN_EPOCH_3)
    nodes = ("--nodes=2", "--ntasks-per-node=1", "--cpus-per-task=1")
    job = slurm("sbatch", "--parsable", *nodes, SCRIPTS / "fit.sbatch", *arguments).strip()
    wait_until(lambda: logs(tmp_path).count(WAITING) == 2, "the step to stop at on both nodes")
    slurm("scancel", "--signal=TERM", job)  # to the tasks alone, as --signal does before the time limit
    wait_until(has_ended(slurm, job, "COMPLETED"), "the end of the job")

    said = logs(tmp_path)
    assert said.count("MEMBER: 2/2") == 2
    for words in ("exit 143", "restart 1: fit", "training goes on from there", "exit 0"):
        assert words in said
    assert "Traceback" not in said
    check_equal(tmp_path / "run/two", undisturbed)


def test_a_fit_that_is_cancelled_goes_on_and_so_does_one_whose_node_dies(
    slurm: Slurm, fit_yaml: Path, undisturbed: Path, tmp_path: Path
):
    command = ("sbatch", "--parsable", "--cpus-per-task=1", SCRIPTS / "fit.sbatch", "run/one")
    submit = (*command, "--config", fit_yaml, EPOCHS, *WAIT_IN_EPOCH_3)
    cancelled = slurm(*submit).strip()
    wait_until(lambda: logs(tmp_path).count(WAITING) == 1, "the step to stop at")
    slurm("scancel", cancelled)
    wait_until(has_ended(slurm, cancelled, "CANCELLED"), "the end of the cancelled job")
    assert not (tmp_path / "run/one/labels.json").exists()

    job = slurm(*submit).strip()
    wait_until(lambda: logs(tmp_path).count(WAITING) == 2, "the same step again")
    node = re.search(r" NodeList=(\S+)", slurm("scontrol", "show", "job", job))[1]  # type: ignore[index]
    slurm("scontrol", "update", f"nodename={node}", "state=down", "reason=test")  # SIGKILL to whatever runs there
    try:
        wait_until(has_ended(slurm, job, "COMPLETED"), "the end of the job, on the other node")
    finally:  # where it has not come back by itself
        slurm("bash", "-c", f"scontrol update nodename={node} state=resume || scontrol show node {node}")

    of_job = (tmp_path / f"logs/ood-fit-{job}.out").read_text()
    assert of_job.count("training goes on from there") == 2
    assert "restart 1: fit" in of_job
    assert "exit 143" not in of_job
    check_equal(tmp_path / "run/one", undisturbed)


def test_a_pipeline_from_shards_to_the_table(
    slurm: Slurm, sets: Path, encoder_yaml: dict, fit_yaml: Path, eval_yaml: Path, tmp_path: Path
):
    mined = "--model.label_sets.mined out/fit/labels.json --model.explain mined"
    lines = [
        f"features: embed --encoder='{json.dumps(encoder_yaml)}' --shards='[\"{sets / 'train'}\"]' --num_workers=0 "
        "--cache_dir=cache",
        f"fit: fit --config {fit_yaml}",
        f"plain: test --config {eval_yaml}",
        f"mined: test --config {eval_yaml} {mined} "
        """--model.prompts '{"templates": ["{}", "a photo of a {}."]}'""",
        "table: report out/plain out/mined --out table",
    ]
    (tmp_path / "lines.txt").write_text("\n".join(lines) + "\n")
    (tmp_path / "site.env").write_text("SBATCH_OPTIONS='--cpus-per-task=1'\nEMBED_TASKS=8\nSBATCH_SIGNAL=TERM@30\n")
    pipeline = (SCRIPTS / "pipeline.sh", "site.env", "lines.txt", "out")

    stages = [line.split() for line in slurm(*pipeline).splitlines()]
    assert [stage[1:] for stage in stages] == [["embed", "0"], ["fit", "1"], ["test", "2-3"], ["report", "4"]]
    wait_until(has_ended(slurm, stages[-1][0], "COMPLETED"), "the end of the last stage")

    said = logs(tmp_path)
    rows = json.loads((tmp_path / "table/results.json").read_text())["results"]
    assert {row["detector"] for row in rows} == {
        f"{run}: {name}" for run in ("plain", "mined") for name in ("MCM", "NegLabel")
    }
    of_embed = 8 + 1  # tasks, and the last one's look at the whole
    assert said.count("can begin; nothing was computed or written") == of_embed + 1 + 2  # not of the table
    assert "Traceback" not in said
    assert "nothing to do" in slurm(*pipeline)


def test_an_item_is_submitted_and_then_its_table_is_written(
    slurm: Slurm, sets: Path, encoder_yaml: dict, fit_yaml: Path, eval_yaml: Path, tmp_path: Path
):
    train = f"""--shards '["{sets}/train"]' --num_workers 0 --cache_dir cache"""
    steps = {
        "embed": f"embed --encoder '{json.dumps(encoder_yaml)}' {train}",
        "fit": f"fit --config {fit_yaml}",
        "test": f"test --config {eval_yaml} --model.label_sets.mined {{fit}}/labels.json --model.explain mined "
        """--model.prompts '{"templates": ["{}", "a photo of a {}."]}'""",
    }
    scores = {"step": "test", "id_set": "id_test", "ood_set": "mean", "measure": ["auroc"]}
    panels = [
        {"cell": scores, "rows": {"MCM": {"detector": "MCM"}}, "columns": {"mean": {}}},
        {"cell": {"measure": ["minutes"]}, "rows": {"fit": {"step": "fit"}}, "columns": {"minutes": {}}},
    ]
    item = {"title": "a table", "requires": {"sets": ["ninco"], "encoders": ["vit_h14_dfn5b"]}, "panels": panels}
    (tmp_path / "item.yaml").write_text(yaml.safe_dump({**item, "full": {"steps": steps}, "twin": {"steps": steps}}))
    (tmp_path / "site.env").write_text("SBATCH_OPTIONS='--cpus-per-task=1'\nEMBED_TASKS=2\nSBATCH_SIGNAL=TERM@30\n")
    command = (sys.executable, "-m", "ood_lightning", "reproduce", "item.yaml", "--pictograms", "--slurm=site.env")

    said = slurm(*command, "--out=out")
    jobs = re.findall(r"^(\d+) (embed|fit|test) \d+$", said, re.MULTILINE)
    assert [name for _, name in jobs] == ["embed", "fit", "test"]
    wait_until(has_ended(slurm, jobs[-1][0], "COMPLETED"), "the end of the last stage")
    assert "Traceback" not in logs(tmp_path)

    notes = sorted((tmp_path / "out/steps").glob("*/sweep.json"))
    records = [json.loads(note.read_text()) for note in notes]
    assert [(record["words"][0], record["finished"]) for record in records] == [
        (name, True) for name in ("embed", "fit", "test")
    ]
    assert not list((tmp_path / "out/steps").glob("*/.ended-*"))
    written = [note.stat().st_mtime_ns for note in notes]

    said = slurm(*command, "--out=out")
    assert "2 of 2 numbers measured: out/item-twin" in said
    assert "submitted" not in said
    assert (tmp_path / "out/item-twin/record.json").is_file()
    assert [note.stat().st_mtime_ns for note in notes] == written
