"""A person's own pictures: a file, or a folder with all its subfolders."""

from pathlib import Path

from ood_lightning.data.manifest import IMAGE_SUFFIXES
from ood_lightning.errors import SourceError
from ood_lightning.places import locate


def find_pictures(source: str) -> list[Path]:
    """Picture files behind `source`, in the order of their paths.

    Raises:
        SourceError: nothing lies there, or nothing that is a picture by its suffix.
    """
    path = locate(source)
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise SourceError(f"there is no file or folder {path}")
    found = sorted(p for p in path.rglob("*") if p.is_file() and p.suffix.lower().lstrip(".") in IMAGE_SUFFIXES)
    if not found:
        raise SourceError(f"{path} holds no pictures (looked for {', '.join(IMAGE_SUFFIXES)} in it and its subfolders)")
    return found
