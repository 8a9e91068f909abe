"""The most memory that a step held: `memory.json` in its folder, which the step's first process writes at its end."""

import os
import resource
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from ood_lightning.data.artifacts.files import write_json
from ood_lightning.data.artifacts.typed import STRICT, decode_json
from ood_lightning.errors import SourceError

FILE = "memory.json"
ASKED = "OOD_MEMORY_FILE"  # a variable: the file to write
RANKS = ("RANK", "SLURM_PROCID", "LOCAL_RANK")
STATUS = Path("/proc/self/status")
Format = Literal["ood_lightning/memory/1"]
FORMAT: Format = "ood_lightning/memory/1"


@dataclass(frozen=True)
class Memory:
    """Peaks of a process.

    Args:
        process: resident memory in bytes, pages of files that it maps among it.
        gpu: what torch reserved of its GPU, in bytes; None: it used none.
    """

    __pydantic_config__: ClassVar = STRICT

    process: int
    gpu: int | None
    format: Format = FORMAT


def write_memory(variables: Mapping[str, str]) -> None:
    """Write this process's peaks, if the variables name a file and it is the first of the processes of its step."""
    if ASKED in variables and all(variables.get(name, "0") == "0" for name in RANKS):
        write_json(Path(variables[ASKED]), asdict(Memory(_process(), _gpu())))


def read_memory(folder: Path) -> Memory | None:
    """The peaks of the step that wrote into a folder; None if nothing can be read from it."""
    try:
        return decode_json((folder / FILE).read_bytes(), Memory, str(folder / FILE), SourceError)
    except (OSError, SourceError):
        return None


def _process() -> int:
    if STATUS.is_file():  # of this program alone: what getrusage says begins with the peak of the parent
        lines = STATUS.read_text(encoding="ascii", errors="replace").splitlines()
        (peak,) = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
        return 1024 * int(peak)
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _gpu() -> int | None:
    torch: Any = sys.modules.get("torch")  # a step that never imported it has used no GPU
    if torch is None or not torch.cuda.is_available() or not torch.cuda.is_initialized():
        return None
    return int(max(torch.cuda.max_memory_reserved(number) for number in range(torch.cuda.device_count())))


def asking(folder: Path) -> dict[str, str]:
    """The variable with which a step leaves its peaks in a folder."""
    return {ASKED: os.path.abspath(folder / FILE)}
