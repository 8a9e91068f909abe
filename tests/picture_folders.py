"""Folders of pictures as people have them: any names, endings and sizes, and whatever else lies there."""

import os
from pathlib import Path

import pytest
from noise_images import noise_image
from shard_files import encoded

from ood_lightning.data.shards.tars import Slice

# as a file system gives them: spaces, newlines, what a shell or terminal would take for more, bytes that are no UTF-8
HOSTILE = (
    "Übung 1.PNG", "a b.png", "new\nline.png", "\x1b[31mred.png", "no.utf8-\udcff.png", r"no.utf8-\udcff.png",
    "many.dots.in.it.png", "__x__.png", "$HOME.png", "{0..3}.png", "-rf.png", "日本/猫.png", "a'b\".png", "~.png",
)  # fmt: skip


def write(folder: Path, name: str, data: bytes) -> Path:
    """A file below a folder, by its relative name."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def coloured(folder: Path, n: int) -> Path:
    """A folder of n small pictures, a hundred in each of its subfolders."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(n):
        write(folder, f"{i // 100}/{i:04d}.png", encoded(((7 * i) % 256, 80, 160), i, size=8 + i % 5))
    return folder


def hostile(folder: Path) -> Path:
    """A folder of pictures with all names of `HOSTILE`."""
    for i, name in enumerate(HOSTILE):
        write(folder, name, encoded((9 * i, 120, 200), i))
    return folder


def mixed(folder: Path) -> Path:
    """A folder of six pictures of other formats, sizes and depths, and of files that are none."""
    for i, (name, file_format) in enumerate(
        [("a.jpg", "JPEG"), ("B/c.JPEG", "JPEG"), ("B/d.webp", "WEBP"), ("e.tiff", "TIFF"), ("f/g/h.bmp", "BMP")]
    ):
        write(folder, name, noise_image(file_format, (9 + 3 * i, 20 - i)))
    write(folder, "named_jpg.jpg", noise_image("PNG", (40, 3)))

    for name in ("notes.txt", "list", ".hidden.png", "._a.jpg", "__MACOSX/a.jpg", ".thumbnails/a.jpg", "B/.x/y.jpg"):
        write(folder, name, noise_image())
    (folder / "gone.png").symlink_to(folder / "nowhere.png")
    os.mkfifo(folder / "pipe.png")
    return folder


def forbid(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Files of that name cannot be opened, also where the user may read everything."""
    read = Slice.read

    def refuse(self: Slice) -> bytes:
        if self.path.endswith(name):
            raise PermissionError(13, "Permission denied", self.path)
        return read(self)

    monkeypatch.setattr(Slice, "read", refuse)
