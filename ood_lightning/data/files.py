"""Small files, written so that no reader ever sees half of one."""

import os
from pathlib import Path


def atomic_write(path: Path, data: bytes) -> None:
    """Write through a temporary name in the same folder, then rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(data)
    temporary.replace(path)
