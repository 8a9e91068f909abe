"""The peaks that a step leaves: of its own process alone, and of a GPU where it used one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ood_lightning.cli.main import main
from ood_lightning.experiments import memory
from ood_lightning.experiments.memory import ASKED, asking, read_memory, write_memory

FOLDER = Path("step")
HOLDS = """
import os
from ood_lightning.experiments.memory import write_memory
held = bytearray({size})
held[::4096] = b"x" * len(held[::4096])
write_memory(os.environ)
"""


def peak_of(size: int) -> int:
    """The peak of a process that held so many bytes."""
    command = [sys.executable, "-c", HOLDS.format(size=size)]
    subprocess.run(command, env={**os.environ, **asking(FOLDER)}, check=True)
    noted = read_memory(FOLDER)
    assert noted is not None
    assert noted.gpu is None
    return noted.process


def test_the_peak_is_that_of_the_process_alone():
    held = bytearray(300_000_000)
    held[::4096] = b"x" * len(held[::4096])  # of the parent, which does not count
    small, large = peak_of(1), peak_of(100_000_000)
    assert small < 250_000_000
    assert 80_000_000 < large - small < 120_000_000


def test_a_command_leaves_it_only_if_it_is_asked(monkeypatch: pytest.MonkeyPatch):
    assert main(["--version"]) == 0
    assert read_memory(FOLDER) is None
    (variable,) = asking(FOLDER).items()
    monkeypatch.setenv(*variable)
    assert variable[0] == ASKED
    assert main(["--version"]) == 0
    assert read_memory(FOLDER)


@pytest.mark.parametrize("rank", memory.RANKS)
def test_the_first_process_alone_writes(rank: str):
    write_memory({**asking(FOLDER), rank: "1"})
    assert read_memory(FOLDER) is None
    write_memory({**asking(FOLDER), rank: "0"})
    assert read_memory(FOLDER)


def test_of_a_gpu_it_is_what_torch_reserved(monkeypatch: pytest.MonkeyPatch):
    stand_ins = {"is_available": True, "is_initialized": True, "device_count": 2}
    for name, answer in stand_ins.items():
        monkeypatch.setattr(torch.cuda, name, lambda answer=answer: answer)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda number: 10 * (number + 1))
    write_memory(asking(FOLDER))
    noted = read_memory(FOLDER)
    assert noted
    assert noted.gpu == 20


def test_what_is_no_record_is_none():
    FOLDER.mkdir()
    (FOLDER / memory.FILE).write_text(json.dumps({"process": "much"}))
    assert read_memory(FOLDER) is None


def test_without_proc_the_system_is_asked(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memory, "STATUS", Path("none"))
    write_memory(asking(FOLDER))
    noted = read_memory(FOLDER)
    assert noted
    assert noted.process > 10_000_000
