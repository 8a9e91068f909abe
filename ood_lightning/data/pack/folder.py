"""Folders with all their subfolders: those to pack, and a person's own pictures."""

from collections import Counter
from pathlib import Path

from ood_lightning.data.pack.listings import Listing, file_entry
from ood_lightning.data.shards.folder_files import picture_names
from ood_lightning.data.shards.formats import PICTURE_ENDINGS
from ood_lightning.errors import SourceError
from ood_lightning.places import locate
from ood_lightning.progress import bar


def folder_listing(path: Path) -> Listing:
    """Images below a folder, sorted by path; linked folders are followed, each once.

    Raises:
        SourceError: a folder may not be read.
    """
    listing = Listing([], foldered=True)

    with bar(None, f"list {path.name}", "img", delay_s=2) as progress_bar:  # a network may need minutes for a million
        for name in picture_names(path, listing.passed_over, hidden=True):
            listing.entries.append(file_entry(name, path / name))
            progress_bar.update()

    listing.entries.sort(key=lambda entry: entry.path)
    return listing


def find_pictures(source: str, passed_over: Counter[str] | None = None) -> list[Path]:
    """Picture files behind `source`, in the order of their paths; links to folders are followed, each folder once.

    Args:
        source: a file, or a folder.
        passed_over: takes the endings of the other files, and what else is no picture, such as hidden files.

    Raises:
        SourceError: nothing lies there, or nothing that is a picture by its suffix.
    """
    path = locate(source)
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise SourceError(f"{path} is no plain file" if path.exists() else f"there is no file or folder {path}")

    others = Counter[str]()
    named = sorted(path / name for name in picture_names(path, others))
    pictures = [file for file in named if file.is_file()]  # a broken link is none
    others.update({"no plain file": len(named) - len(pictures)})
    if passed_over is not None:
        passed_over.update(+others)
    if not pictures:
        endings = ", ".join(sorted(PICTURE_ENDINGS))
        raise SourceError(f"{path} holds no pictures (looked for {endings} in it and its subfolders)")
    return pictures
