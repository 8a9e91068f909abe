"""SIGKILL at any moment: what `embed` leaves is gone on with, and ends as if nothing had happened."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from ood_lightning.cli.main import main

pytestmark = pytest.mark.slow
SHARDS = [1 + i % 3 for i in range(300)]


def command(folder: Path, cache: str, rank: int, workers: int, pause_s: float) -> list[str]:
    given = ["embed", f"--shards=['{folder}']", f"--cache_dir={cache}", "--embed_batch_size=2"]
    given += ["--encoder=plain_encoder.PlainEncoder", f"--encoder.init_args.began=began-{rank}"]
    return [*given, f"--encoder.init_args.pause_s={pause_s}", f"--num_workers={workers}"]


def share(rank: int, world: int) -> dict[str, str]:
    return {"RANK": str(rank), "WORLD_SIZE": str(world), "OMP_NUM_THREADS": "1"}


def finish(folder: Path, cache: str, world: int, workers: int) -> None:
    """The whole work by the real command, in processes of their own."""
    paths = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "ood_lightning", *command(folder, cache, rank, workers, 0.0)],
            env={**os.environ, "PYTHONPATH": paths, **share(rank, world)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for rank in range(world)
    ]
    for process in running:
        said, _ = process.communicate(timeout=120)
        assert process.returncode == 0, said.decode()


@pytest.fixture(autouse=True)
def _imported() -> None:
    """What a forked process need not import."""
    import_module("torchvision.transforms.functional")
    import_module("ood_lightning.datamodules.embedding")


def _forked(given: list[str], settings: dict[str, str]) -> None:
    os.environ.update(settings)
    sys.exit(main(given))


def start(folder: Path, rank: int, world: int, workers: int) -> BaseProcess:
    """The same command, forked from this process: importing torch twenty times would take a minute."""
    given = command(folder, "killed", rank, workers, 0.02)
    process = get_context("fork").Process(target=_forked, args=(given, share(rank, world)))
    process.start()
    return process


def content(cache: Path) -> dict[str, bytes]:
    return {str(path.relative_to(cache)): path.read_bytes() for path in cache.rglob("*") if path.is_file()}


@pytest.mark.timeout(600)
def test_embed_killed_at_twenty_moments_ends_with_the_bytes_of_an_undisturbed_run(
    tmp_path: Path, make_set: Callable[..., Path]
):
    folder = make_set(tmp_path, "many", shards=SHARDS)
    finish(folder, "undisturbed", 1, 0)
    wanted = content(tmp_path / "undisturbed")
    assert len(wanted) == len(SHARDS)

    draw = random.Random(0)
    kills, seen = 0, []
    while kills < 20:
        world = 1 + kills % 3 % 2  # one process, then two
        began = [tmp_path / f"began-{rank}" for rank in range(world)]
        for file in began:
            file.unlink(missing_ok=True)
        processes = [start(folder, rank, world, kills // 3 % 2) for rank in range(world)]
        for process, file in zip(processes, began, strict=True):
            limit = time.monotonic() + 60
            while not file.exists() and process.is_alive() and time.monotonic() < limit:
                time.sleep(0.002)
            assert file.exists(), "it has not begun"
            time.sleep(draw.uniform(0, 0.15))
            process.kill()
        for process in processes:
            process.join(60)
            assert process.exitcode == -signal.SIGKILL
            kills += 1
        found = content(tmp_path / "killed")
        finished = {name for name in found if not Path(name).name.startswith(".")}
        assert [name for name in finished if found[name] != wanted[name]] == []
        assert not seen or seen[-1] <= finished
        seen.append(finished)
    assert 0 < len(seen[-1]) < len(SHARDS)

    # what a kill within a write leaves
    (place,) = {(tmp_path / "killed" / name).parent for name in seen[-1]}
    (place / f".{min(wanted).rpartition('/')[2]}.0123abcd").write_bytes(b"half")
    finish(folder, "killed", 2, 1)
    assert content(tmp_path / "killed") == wanted
