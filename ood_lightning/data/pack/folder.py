"""A person's own pictures: a file, or a folder with all its subfolders."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ood_lightning.data.shards.tars import IMAGE_SUFFIXES
from ood_lightning.errors import SourceError
from ood_lightning.places import locate


def find_pictures(source: str, passed_over: Counter[str] | None = None) -> list[Path]:
    """Picture files behind `source`, in the order of their paths; links to folders are followed, each folder once.

    Args:
        source: a file, or a folder.
        passed_over: takes the endings of the other files.

    Raises:
        SourceError: nothing lies there, or nothing that is a picture by its suffix.
    """
    path = locate(source)
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise SourceError(f"there is no file or folder {path}")
    files = list(files_below(path))
    found = sorted(p for p in files if p.suffix.lower().lstrip(".") in IMAGE_SUFFIXES and p.is_file())
    if passed_over is not None:
        passed_over.update(p.suffix.lower() or p.name for p in set(files).difference(found))
    if not found:
        raise SourceError(f"{path} holds no pictures (looked for {', '.join(IMAGE_SUFFIXES)} in it and its subfolders)")
    return found


def files_below(folder: Path) -> Iterator[Path]:
    """Everything below a folder; `rglob` would pass over linked folders in silence.

    Raises:
        SourceError: a folder may not be read.
    """
    seen = set()
    for place, folders, names in os.walk(folder, followlinks=True, onerror=_refuse):
        folders.sort()
        real = os.path.realpath(place)
        if real in seen:  # a link back up, or a second way to a folder
            folders.clear()
            continue
        seen.add(real)
        yield from (Path(place, name) for name in names)


def _refuse(error: OSError) -> None:
    raise SourceError(f"the folder {error.filename} cannot be read: {error.strerror}")
