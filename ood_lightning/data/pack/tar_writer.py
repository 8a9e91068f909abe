"""What goes into one shard, and its tar: the same images give the same bytes."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol


class PackedImage(NamedTuple):
    """What one image brings into a shard: its members share `key`.

    Attributes:
        key: name without ending, unique in the set.
        suffix: ending of the encoded picture, such as `jpg`.
        data: the encoded picture.
        label: class number, the content of `.cls`; -1: none, and no such member.
        metadata: the content of `.json`; None: no such member.
    """

    key: str
    suffix: str
    data: bytes
    label: int = -1
    metadata: Mapping[str, Any] | None = None


class SkippedImage(NamedTuple):
    """A picture that is left out, and why."""

    path: str
    reason: str


class Recipe(Protocol):
    """What one shard is made from; plain data, so that another process can make it."""

    @property
    def fingerprint(self) -> str:
        """Hash of all that the shard's bytes depend on."""

    def __len__(self) -> int:
        """Images, those that will turn out not to be readable included."""

    def images(self) -> Iterator[PackedImage | SkippedImage]:
        """All of them in order."""


def write_tar(path: Path, recipe: Recipe, on_progress: Callable[[int], None]) -> list[SkippedImage]:
    """Write the tar of a recipe.

    Args:
        path: of the new file.
        recipe: what is written.
        on_progress: called with 1 after each image.

    Returns:
        The images of the recipe that are not in the tar.
    """
    from webdataset import TarWriter  # imports torch

    skipped: list[SkippedImage] = []

    with path.open("wb") as file:
        # time, owner and rights would differ from run to run
        with TarWriter(file, user="", group="", mode=0o644, mtime=0, encoder=False) as tar:
            for image in recipe.images():
                if isinstance(image, SkippedImage):
                    skipped.append(image)
                else:
                    tar.write({"__key__": image.key, **_members(image)})
                on_progress(1)
        file.flush()
        os.fsync(file.fileno())  # else the name could reach the disk before the bytes do
    return skipped


def _members(image: PackedImage) -> dict[str, bytes]:
    """The members of an image by their endings; they lie side by side."""
    members = {image.suffix: image.data}
    if image.label != -1:
        members["cls"] = str(image.label).encode()
    if image.metadata is not None:
        members["json"] = json.dumps(image.metadata, sort_keys=True).encode()  # ASCII: any file name fits
    return members
