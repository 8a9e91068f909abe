"""Memory, disks, shared memory and the device that torch computes on."""

import os
import re
import shutil
from pathlib import Path

from ood_lightning.errors import SettingsError, first_line
from ood_lightning.machine.line import GIB, Line
from ood_lightning.places import check_writable, expanded

# Free GiB below which a line warns, and below which it fails. ViT-H-14 alone has 4 GB of weights; the features of
# ImageNet's training images take 2.6 GB; a container's own 64 MB of shared memory hold two batches of four workers.
MEMORY_GIB = (8.0, 1.0)
DISK_GIB = (10.0, 0.5)
SHARED_GIB = (1.0, 0.03)
GPU_GIB = (4.0, 1.0)
NVIDIA = Path("/proc/driver/nvidia/version")  # there where the system has a driver


def memory_line(meminfo: Path = Path("/proc/meminfo"), groups: Path = Path("/sys/fs/cgroup")) -> Line:
    """Memory that is free: of the machine, or of the container or job, whichever is less.

    Args:
        meminfo: what the system says of the machine.
        groups: where it says what this process may take.
    """
    try:
        text = meminfo.read_text(encoding="utf-8")
        kilobytes = [re.findall(rf"(?m)^{key}: +(\d+) kB", text)[0] for key in ("MemAvailable", "MemTotal")]
    except (OSError, IndexError, UnicodeDecodeError):
        return Line.warned("memory", f"{meminfo} does not say it", "see that 8 GiB are free before a long run")

    free, total = (int(number) * 1024 for number in kilobytes)
    granted, used = _group_number(groups / "memory.max"), _group_number(groups / "memory.current")
    if granted is not None and granted < total:
        free, total = min(free, max(granted - (used or 0), 0)), granted

    state = f"{free / GIB:.1f} GiB free of {total / GIB:.1f}, {os.cpu_count() or 1} cores"
    mend = "ask for more (`--mem` of Slurm), or give commands fewer num_workers and a smaller embed_batch_size"
    return _by_size("memory", free / GIB, MEMORY_GIB, state, mend)


def _group_number(file: Path) -> int | None:
    """A number of bytes that the system states; None where there is no limit, or no such file."""
    try:
        return int(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def disk_line(what: str, folder: str, mend: str) -> Line:
    """Whether a folder, which need not exist, can be written to and has room.

    Args:
        what: will be written there.
        folder: its path.
        mend: what to do where it cannot.
    """
    try:
        check_writable(folder, what, folder=True)
    except SettingsError as error:
        return Line.failed(what, str(error), mend)

    absolute = expanded(folder).absolute()
    there = next(path for path in (absolute, *absolute.parents) if path.exists())
    free = shutil.disk_usage(there).free / GIB
    return _by_size(what, free, DISK_GIB, f"{free:.1f} GiB free in {folder}", f"make room, or {mend}")


def shared_memory_line(folder: Path = Path("/dev/shm")) -> Line:
    """Whether processes that decode pictures can hand them over.

    Args:
        folder: where the system keeps shared memory.
    """
    mend = "start the container with `--shm-size=8g`, free some of it, or give commands `num_workers: 0`"
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        return Line.failed(str(folder), "is not there, or cannot be written to", mend)

    free = shutil.disk_usage(folder).free / GIB
    return _by_size(str(folder), free, SHARED_GIB, f"{free:.2f} GiB free", mend)


def device_line(driver: Path = NVIDIA) -> Line:
    """What torch computes on. Imports torch.

    Args:
        driver: there where the system has NVIDIA's.
    """
    try:
        import torch
    except Exception as error:  # a library that it was built with is missing, or of another release
        return Line.failed("device", f"torch cannot be imported: {first_line(error)}", "install torch again")

    n_gpus = torch.cuda.device_count()
    if n_gpus:
        return _gpu_line(n_gpus)
    if driver.exists():
        return _unused_gpu(torch.version.cuda)
    return Line.passed("device", f"the processor, {torch.get_num_threads()} threads; a GPU makes large sets quicker")


def _gpu_line(n_gpus: int) -> Line:
    """The GPUs, and how much of the fullest one is free."""
    import torch

    try:
        sizes = [torch.cuda.mem_get_info(i) for i in range(n_gpus)]  # bytes, free and in all
    except RuntimeError as error:
        mend = "ask for another GPU, or let CUDA_VISIBLE_DEVICES name one that works"
        return Line.failed("device", f"a GPU does not answer: {first_line(error)}", mend)

    names = ", ".join(dict.fromkeys(torch.cuda.get_device_name(i) for i in range(n_gpus)))
    free, total = min(sizes)
    state = f"{n_gpus} x {names}, {free / GIB:.1f} GiB free of {total / GIB:.1f}"
    return _by_size("device", free / GIB, GPU_GIB, state, "end what else runs there (`nvidia-smi` lists it)")


def _unused_gpu(built_for: str | None) -> Line:
    """A driver is here, and torch sees no GPU."""
    if built_for is None:
        mend = "install a build of torch for CUDA, from https://pytorch.org/get-started/locally/"
        return Line.warned("device", "the processor: this torch is built for processors alone, beside a GPU", mend)
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        visible = os.environ["CUDA_VISIBLE_DEVICES"]
        return Line.warned("device", f"the processor: CUDA_VISIBLE_DEVICES is {visible!r}", "unset it, or name a GPU")
    mend = f"update the driver for CUDA {built_for}, or ask the job system for a GPU"
    return Line.warned("device", "the processor: torch sees no GPU, though a driver is here", mend)


def _by_size(what: str, free: float, limits: tuple[float, float], state: str, mend: str) -> Line:
    """PASS, WARN or FAIL by the GiB that are free.

    Args:
        what: the part.
        free: GiB.
        limits: below the first it warns, below the second it fails.
        state: what is there.
        mend: what to do.
    """
    if free >= limits[0]:
        return Line.passed(what, state)
    return (Line.failed if free < limits[1] else Line.warned)(what, state, mend)
