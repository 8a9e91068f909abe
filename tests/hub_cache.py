"""A cache of the hub's files on disk, as its client leaves it."""

import shutil
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def cached(folder: Path, cache: Path, repository: str, commit: str = COMMIT) -> Path:
    """Put a folder into a cache, as the newest commit of a repository; returns the copy."""
    files = cache / f"models--{repository.replace('/', '--')}"
    (files / "refs").mkdir(parents=True, exist_ok=True)
    (files / "refs" / "main").write_text(commit)
    return Path(shutil.copytree(folder, files / "snapshots" / commit))
