"""SIGKILL at any moment of `predict`: the same command goes on, and the finished file is that of an undisturbed one."""

import json
import os
import random
import signal
import sys
from contextlib import redirect_stderr, redirect_stdout
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from command_line import detector_folder, write_label_set
from shard_files import encoded, write_tar

from ood_lightning.cli.main import main
from ood_lightning.data.rows.growing_file import GrowingFile, partial_of
from ood_lightning.encoders.openclip import OpenClip

pytestmark = pytest.mark.slow
MASS = {"class_path": "ood_lightning.detectors.label_mass.LabelMass", "init_args": {"sharpness": 1.0}}
N_PICTURES = 44
MOMENTS = ("call", "half", "written", "replaced", "call")
Moment = tuple[str, int]  # the n-th call of any function while images are scored, or the n-th time that a block is ...


@pytest.fixture
def command(config: Any, tmp_path: Path) -> list[str]:
    folder = tmp_path / "pictures"
    folder.mkdir()
    members = []
    for i in range(N_PICTURES):
        members.append((f"p{i:02}.png", encoded((5 * i, 90, 7), i) if i % 15 else b"broken"))
        (folder / members[-1][0]).write_bytes(members[-1][1])

    for number, part in enumerate((members[:20], members[20:21], members[21:])):
        write_tar(tmp_path / f"part-{number}.tar", part)
    label_set = write_label_set(tmp_path / "labels.json")
    return [
        "predict",
        *detector_folder(config("encoder", "corpus", label_set=label_set, score=MASS)),
        "--batch_size",
        "1",
    ]


def die_at(moment: Moment) -> None:
    """Kill this process then, by work done and not by the clock."""
    kind, n = moment
    counts = {name: count(1) for name in MOMENTS}
    append, replace, encode = GrowingFile.append, Path.replace, OpenClip.encode_columns
    process_id = os.getpid()

    def reached(name: str) -> None:
        if name == kind and os.getpid() == process_id and next(counts[name]) == n:
            os.kill(process_id, signal.SIGKILL)

    def append_in_halves(self: GrowingFile, block: bytes, *args: Any) -> None:
        if kind == "half":
            at = self._file.tell()
            self._file.write(block[: len(block) // 2])
            self._file.flush()
            reached("half")
            self._file.seek(at)
        append(self, block, *args)
        reached("written")

    def replaced(path: Path, target: Path) -> Path:
        renamed = replace(path, target)
        reached("replaced")
        return renamed

    def encode_columns(self: OpenClip, *args: Any) -> Any:
        if kind == "call":
            sys.setprofile(lambda *_: reached("call"))
        return encode(self, *args)

    GrowingFile.append = append_in_halves  # type: ignore[method-assign]
    Path.replace = replaced  # type: ignore[assignment,method-assign]
    OpenClip.encode_columns = encode_columns  # type: ignore[method-assign]


def _forked(command: list[str], moment: Moment) -> None:
    with Path("said.txt").open("a") as said, redirect_stdout(said), redirect_stderr(said):
        die_at(moment)
        sys.exit(main(command))


CASES = [
    pytest.param("pictures", "csv", "0", marks=pytest.mark.long),
    pytest.param("pictures", "jsonl", "1", marks=pytest.mark.long),
    ("pictures", "parquet", "0"),
    ("part-{0..2}.tar", "csv", "1"),
]


@pytest.mark.parametrize(("source", "ending", "workers"), CASES)
def test_killed_at_many_moments_it_ends_with_the_bytes_of_an_undisturbed_one(
    source: str, ending: str, workers: str, command: list[str]
):
    command = [command[0], source, *command[1:], "--num_workers", workers]
    assert main([*command, "--out", f"expected.{ending}"]) == 1
    out, draw = Path(f"rows.{ending}"), random.Random(0)
    kills = n_before = 0

    for attempt in range(300):
        kind = MOMENTS[attempt % len(MOMENTS)]
        moment = kind, draw.randint(1, 6000 if kind == "call" else 2)
        process = get_context("fork").Process(target=_forked, args=([*command, "--out", out.name], moment))
        process.start()
        process.join()
        assert process.exitcode in (1, -signal.SIGKILL), Path("said.txt").read_text()
        kills += process.exitcode != 1
        if process.exitcode == 1:
            break

        if partial_of(out).exists():  # what is done is not done again
            journal = Path(f".rows.{ending}.journal")
            n_done = json.loads(journal.read_text())["images"] if journal.exists() else 0
            assert n_done >= n_before
            n_before = n_done

    assert kills >= 20
    assert out.read_bytes() == Path(f"expected.{ending}").read_bytes()
    assert not list(Path().glob(".rows*"))
    assert "3 could not be read" in Path("said.txt").read_text()  # the summary counts what earlier processes did
