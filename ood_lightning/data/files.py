"""Small files, written so that no reader ever sees half of one."""

from pathlib import Path
from secrets import token_hex


def atomic_write(path: Path, data: bytes) -> None:
    """Write through a temporary name in the same folder, then rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # drawn, not the process id: two containers on two nodes often have the same one
    temporary = path.with_name(f".{path.name}.{token_hex(4)}")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
