"""SIGKILL at random moments of `fit` and `test` in two processes: the same command goes on, and ends in the same bytes.

Not compared: `last.ckpt`, curves and logs (each start has its own), and seconds.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from waiting import exit_code

from ood_lightning.cli.main import main

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(3600)]

KILLS = 20
# forked, in a process group of its own; both fill the cache
TWO = ("--trainer.devices=2", "--trainer.accelerator=cpu", "--trainer.strategy=ddp_fork", "--data.cache_dir=cache")
SECONDS = {"seconds", "started", "finished"}


def _main(command: list[str]) -> None:
    os.setpgrp()
    with Path("said.txt").open("a") as said, redirect_stdout(said), redirect_stderr(said):
        sys.exit(main(command))


def start(command: list[str]) -> BaseProcess:
    """The command in a forked process: importing torch forty times would take minutes."""
    process = get_context("fork").Process(target=_main, args=(command,))
    process.start()
    return process


def without_seconds(value: object) -> object:
    """What a JSON file holds, without the times that a run took."""
    if isinstance(value, dict):
        return {key: without_seconds(item) for key, item in value.items() if key not in SECONDS}
    if isinstance(value, list):
        return [without_seconds(item) for item in value]
    return value


def content(run: Path) -> dict[str, object]:
    """All that a finished run leaves, features included."""
    files: dict[str, object] = {}
    for folder in (run, Path("cache")):
        for path in folder.rglob("*"):
            if path.is_file() and path.name != "last.ckpt" and "log" not in path.relative_to(folder).parts:
                data = path.read_bytes()
                files[str(path)] = without_seconds(json.loads(data)) if path.suffix == ".json" else data
    return files


def ranks_of(process: BaseProcess) -> list[int]:
    """Process ids of the ranks, if they run already."""
    try:
        return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    except OSError:
        return []


def kill(process: BaseProcess, alone: bool) -> None:
    """Kill a run: one of its ranks alone, where they have started, or all of it at once."""
    ranks = ranks_of(process)
    if alone and ranks:
        os.kill(ranks[-1], signal.SIGKILL)
    elif process.pid:
        os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.parametrize("name", ["fit", "test"])
def test_a_run_killed_at_twenty_moments_ends_in_the_bytes_of_an_undisturbed_one(
    name: str, fit_yaml: Path, eval_yaml: Path
):
    """Of a whole group of processes at once, and of one rank alone by turns."""
    config, run = {"fit": (fit_yaml, Path("run/fit")), "test": (eval_yaml, Path("run/eval"))}[name]
    command = [name, f"--config={config}", *TWO]
    if name == "test":
        command.append("--model.cache_dir=cache")

    began = time.monotonic()
    undisturbed = start(command)
    assert exit_code(undisturbed) == 0, Path("said.txt").read_text()
    duration = time.monotonic() - began
    expected = content(run)
    assert {"fit": "run/fit/labels.json", "test": "run/eval/scores.parquet"}[name] in expected

    draw = random.Random(0)
    kills = 0
    shutil.rmtree(run)
    shutil.rmtree("cache")

    while kills < KILLS:
        process = start(command)
        process.join(draw.uniform(0, duration))
        if process.is_alive():
            kill(process, alone=bool(kills % 2))

        if exit_code(process) == 0:  # it came to its end before
            assert content(run) == expected
            shutil.rmtree(run)
            shutil.rmtree("cache")
        else:
            kills += 1

    assert exit_code(start(command)) == 0, Path("said.txt").read_text()
    assert content(run) == expected
