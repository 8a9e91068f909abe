"""Room on disks, asked before anything is fetched and again where a server says how large a file is."""

import os
import shutil
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from ood_lightning.errors import SettingsError

SPARE_BYTES = 1 << 26  # left free, for the small files beside


def gigabytes(n_bytes: float) -> str:
    """`0.69 GB`, of 10^9 bytes; `under 0.01 GB`.

    Example:
        >>> gigabytes(687552512), gigabytes(5)
        ('0.69 GB', 'under 0.01 GB')
    """
    return f"{n_bytes / 1e9:.2f} GB" if n_bytes >= 1e7 else "under 0.01 GB"


def nearest_folder(path: Path) -> Path:
    """The folder itself, or the nearest one above it that exists."""
    absolute = path.absolute()
    return next(folder for folder in (absolute, *absolute.parents) if folder.is_dir())


def free_bytes(path: Path) -> int:
    """Free room where a folder lies or will lie."""
    return shutil.disk_usage(nearest_folder(path)).free


def check_room(needed: Mapping[Path, int], what: str) -> None:
    """Refuse work for which a disk has no room.

    Args:
        needed: bytes by folder; folders on one disk are added up.
        what: needs them.

    Raises:
        SettingsError: there is less room; says where and how much.
    """
    of_disk = defaultdict[int, list[tuple[Path, int]]](list)
    for folder, n_bytes in needed.items():
        of_disk[os.stat(nearest_folder(folder)).st_dev].append((folder, n_bytes))

    for folders in of_disk.values():
        total = sum(n_bytes for _, n_bytes in folders)
        free = free_bytes(folders[0][0])
        if total and total + SPARE_BYTES > free:
            names = " and ".join(dict.fromkeys(str(folder) for folder, n_bytes in folders if n_bytes))
            raise SettingsError(
                f"{what} needs about {gigabytes(total)} in {names}, where {gigabytes(free)} are free: make room, or "
                f"name other folders (--raw, --shards)"
            )
