"""Memory, disks, shared memory and GPUs that are there, short or missing."""

import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from ood_lightning.machine import hardware
from ood_lightning.machine.line import GIB


def memory(tmp_path: Path, free: float, granted: float | None = None, used: float = 0) -> hardware.Line:
    """The line of a machine of 64 GiB; sizes in GiB."""
    meminfo = tmp_path / "meminfo"
    meminfo.write_text(f"MemTotal:   {64 * 2**20} kB\nMemAvailable:   {int(free * 2**20)} kB\n")
    if granted is not None:
        (tmp_path / "memory.max").write_text(f"{int(granted * GIB)}\n")
        (tmp_path / "memory.current").write_text(f"{int(used * GIB)}\n")
    return hardware.memory_line(meminfo, tmp_path)


def test_memory_passes_warns_and_fails(tmp_path: Path):
    assert memory(tmp_path, 32).verdict == "PASS"
    assert memory(tmp_path, 4).verdict == "WARN"
    assert memory(tmp_path, 0.5).verdict == "FAIL"
    assert "fewer num_workers" in memory(tmp_path, 0.5).mend


def test_the_limit_of_a_container_counts(tmp_path: Path):
    line = memory(tmp_path, 32, granted=4, used=3.5)
    assert line.verdict == "FAIL"
    assert line.state.startswith("0.5 GiB free of 4.0")


def test_no_limit_and_no_statement(tmp_path: Path):
    (tmp_path / "memory.max").write_text("max\n")
    assert memory(tmp_path, 32).verdict == "PASS"
    assert hardware.memory_line(tmp_path / "none").verdict == "WARN"


@pytest.fixture
def free_gib(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What every disk has free."""
    free = [100.0]
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=int(free[0] * GIB)))
    return free


@pytest.mark.parametrize(("gib", "verdict"), [(100, "PASS"), (3, "WARN"), (0.1, "FAIL")])
def test_a_disk_by_its_room(gib: float, verdict: str, free_gib: list[float], tmp_path: Path):
    free_gib[0] = gib
    line = hardware.disk_line("disk", str(tmp_path / "to" / "come"), "name another")
    assert line.verdict == verdict
    assert not (tmp_path / "to").exists()


def test_a_disk_with_a_file_in_the_way_fails(tmp_path: Path):
    (tmp_path / "file").write_text("")
    line = hardware.disk_line("disk", str(tmp_path / "file" / "x"), "name another folder")
    assert line.verdict == "FAIL"
    assert line.text.endswith("To mend it: name another folder")


@pytest.mark.parametrize(("gib", "verdict"), [(8, "PASS"), (0.0625, "WARN"), (0.001, "FAIL")])
def test_shared_memory(gib: float, verdict: str, free_gib: list[float], tmp_path: Path):
    free_gib[0] = gib
    assert hardware.shared_memory_line(tmp_path).verdict == verdict


def test_no_shared_memory_fails(tmp_path: Path):
    line = hardware.shared_memory_line(tmp_path / "none")
    assert line.verdict == "FAIL"
    assert "--shm-size" in line.mend


def gpus(monkeypatch: pytest.MonkeyPatch, *free: float) -> None:
    """Let torch see GPUs of 80 GiB with so many free."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(free))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda i: (int(free[i] * GIB), 80 * GIB))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda i: "Big\x1b[2J")


@pytest.mark.parametrize(("free", "verdict"), [((70, 60), "PASS"), ((70, 2), "WARN"), ((0.1,), "FAIL")])
def test_gpus_by_the_fullest(free: tuple[float, ...], verdict: str, monkeypatch: pytest.MonkeyPatch):
    gpus(monkeypatch, *free)
    line = hardware.device_line()
    assert line.verdict == verdict
    assert f"{len(free)} x Big" in line.state


def test_a_gpu_that_does_not_answer_fails(monkeypatch: pytest.MonkeyPatch):
    def broken(i: int) -> None:
        raise RuntimeError("CUDA error: uncorrectable ECC error\nmore")

    gpus(monkeypatch, 1)
    monkeypatch.setattr(torch.cuda, "mem_get_info", broken)
    assert "uncorrectable ECC error. To mend it" in hardware.device_line().text


def test_no_gpu_passes_and_an_unused_one_warns(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert hardware.device_line(tmp_path / "none").verdict == "PASS"

    monkeypatch.setattr(torch.version, "cuda", None)
    assert "build of torch for CUDA" in hardware.device_line(tmp_path).mend

    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert "for CUDA 13.0" in hardware.device_line(tmp_path).mend
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert "CUDA_VISIBLE_DEVICES is ''" in hardware.device_line(tmp_path).text


def test_a_torch_that_cannot_be_imported_fails(monkeypatch: pytest.MonkeyPatch):
    broken: dict[str, Any] = {"torch": None}
    monkeypatch.setitem(sys.modules, "torch", broken["torch"])
    assert hardware.device_line().verdict == "FAIL"
