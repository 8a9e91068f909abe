"""SIGKILL at any moment: what `embed` leaves is gone on with, and ends as if nothing had happened."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from itertools import count
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import RLock

import pytest
from plain_encoder import PlainEncoder
from tqdm import tqdm

from ood_lightning.cli.embed import embed

pytestmark = pytest.mark.slow
SETS = {"one": 17, "shared": 34, "both": 10}  # shards
MOMENTS = ("call", "half", "written", "renamed", "call")
Moment = tuple[str, int]  # the n-th call of any function, or the n-th time that a file is half written, ...


@pytest.fixture(autouse=True)
def _imported() -> None:
    """What a forked process need not import."""
    import_module("torchvision.transforms.functional")
    import_module("ood_lightning.datamodules.embedding")


def die_at(moment: Moment) -> None:
    """Kill this process then, by work done and not by the clock; its workers only lose their parent."""
    what, n = moment
    own, counts = os.getpid(), {name: count(1) for name in MOMENTS}

    def reached(name: str) -> None:
        if name == what and os.getpid() == own and next(counts[name]) == n:
            os.kill(own, signal.SIGKILL)

    def write_bytes(path: Path, data: bytes) -> int:
        with path.open("wb") as file:
            file.write(data[: len(data) // 2])
            file.flush()
            reached("half")
            return file.write(data[len(data) // 2 :])

    replace = Path.replace

    def replaced(path: Path, target: Path) -> Path:
        reached("written")
        found = replace(path, target)
        reached("renamed")
        return found

    Path.write_bytes, Path.replace = write_bytes, replaced  # type: ignore[assignment,method-assign]
    begin = (lambda *_: sys.setprofile(lambda *_: reached("call"))) if what == "call" else (lambda *_: None)
    PlainEncoder.load = begin  # type: ignore[assignment,method-assign]


def _forked(folder: Path, settings: dict[str, str], workers: int, moment: Moment) -> None:
    os.environ.update(settings)
    tqdm.set_lock(RLock())  # the shared one would stay with a process that is killed while it holds it
    with Path("said.txt").open("a") as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
        die_at(moment)
        sys.exit(embed(PlainEncoder(), [str(folder)], "killed", 2, workers))


def start(folder: Path, settings: dict[str, str], workers: int, moment: Moment) -> BaseProcess:
    """The command in a process of its own, forked: importing torch a hundred times would take minutes."""
    process = get_context("fork").Process(target=_forked, args=(folder, settings, workers, moment))
    process.start()
    return process


def content(cache: Path) -> dict[str, bytes]:
    return {str(path.relative_to(cache)): path.read_bytes() for path in cache.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, make_set: Callable[..., Path]) -> dict[str, Path]:
    """Sets by their names, and under `wanted` the features that one run of the real command makes of them."""
    place = tmp_path_factory.mktemp("undisturbed")
    made = {name: make_set(place, name, shards=[1 + i % 3 for i in range(n)]) for name, n in SETS.items()}
    paths = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    given = [f"--shards={[*map(str, made.values())]}", f"--cache_dir={place / 'wanted'}", "--embed_batch_size=2"]
    ran = subprocess.run(
        [sys.executable, "-m", "ood_lightning", "embed", "--encoder=plain_encoder.PlainEncoder", *given],
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    return {**made, "wanted": place / "wanted"}


TWO = [{"RANK": "0", "WORLD_SIZE": "2"}, {"RANK": "1", "WORLD_SIZE": "2"}]


@pytest.mark.parametrize(
    ("name", "processes", "least"), [("one", [{}], 20), ("shared", TWO, 20), ("both", [{}, {}], 8)]
)
def test_embed_killed_at_many_moments_ends_with_the_bytes_of_an_undisturbed_run(
    name: str, processes: list[dict[str, str]], least: int, undisturbed: dict[str, Path], tmp_path: Path
):
    """By one process, by two that share the work, and by two that know nothing of each other and each do all."""
    folder = undisturbed[name]
    expected = {file: data for file, data in content(undisturbed["wanted"]).items() if f"/{name}-" in file}
    assert len(expected) == SETS[name]

    draw, kills, before, halves = random.Random(0), [0] * len(processes), set[str](), 0
    left = dict(enumerate(processes))  # those that have not come to their end
    for attempt in range(100):
        running = {}
        for rank, settings in left.items():
            what = MOMENTS[(attempt + rank) % len(MOMENTS)]
            moment = what, draw.randint(1, 1500 if what == "call" else 2)
            running[rank] = start(folder, settings, attempt % 4 // 3, moment)
        for rank, process in running.items():
            process.join()  # with a limit it would wait for the orphaned worker too, 5 s
            assert process.exitcode in (0, -signal.SIGKILL), Path("said.txt").read_text()
            kills[rank] += process.exitcode != 0
            if process.exitcode == 0:
                del left[rank]
        found = content(tmp_path / "killed") if Path("killed").exists() else {}
        finished = {name for name in found if not Path(name).name.startswith(".")}
        assert [name for name in finished if found[name] != expected[name]] == []
        assert before <= finished
        before, halves = finished, max(halves, len(found) - len(finished))
        if not left:
            break
    assert min(kills) >= least, kills
    assert halves >= 3  # files that were killed within their writing, and are gone in the end
    assert found == expected
