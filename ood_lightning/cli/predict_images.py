"""Which images a `predict` is given, and which of them are one task's share."""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, TypeVar

from ood_lightning.detector_folder.images import files_at, items, place_of
from ood_lightning.errors import SettingsError

T = TypeVar("T")
STANDARD = "-"
SHARD = 256  # images that one of several tasks takes at a time
PIECE = 1 << 16  # bytes of standard input that are read at once; a path has at most 4,096


def count(images: Sequence[str], rank: int, world: int, passed_over: Counter[str]) -> int | None:
    """How many images are a task's share; None where paths come from standard input.

    Nothing is kept of what is counted: names are listed once more when they are read.

    Args:
        images: as the command got them.
        rank: of this task.
        world: number of tasks.
        passed_over: takes the endings of other files in folders.

    Raises:
        SourceError: a file or folder is not there, or a folder holds no pictures.
        SettingsError: standard input is named beside others.
    """
    if STANDARD in images:
        if len(images) > 1:
            raise SettingsError(f"{STANDARD} stands for paths from standard input: name nothing beside it")
        return None
    named = [place_of(source) for source in images]
    return sum(1 for _ in shared((file for path in named for file in files_at(path, passed_over)), rank, world))


def images_of_task(images: Sequence[str], rank: int, world: int) -> Iterator[str]:
    """A task's share of the images, in order: every `world`-th piece of :data:`SHARD` images."""
    if STANDARD in images:
        every = (file for path in paths_from(sys.stdin.buffer) for file in files_at(Path(path), Counter()))
    else:
        every = (str(file) for file in items([place_of(source) for source in images]))
    return shared(every, rank, world)


def shared(every: Iterable[T], rank: int, world: int) -> Iterator[T]:
    """A task's share of what all tasks see in one order.

    >>> [*shared(range(1000), 1, 3)] == [*range(256, 512)]
    True
    """
    return (one for number, one in enumerate(every) if number // SHARD % world == rank)


def of_task(path: Path, rank: int, world: int) -> Path:
    """Where a task writes its rows; the file itself where there is one task.

    >>> of_task(Path("rows.csv"), 2, 16).name
    'rows-0002-of-0016.csv'
    """
    return path if world == 1 else path.with_name(f"{path.stem}-{rank:04}-of-{world:04}{path.suffix}")


def paths_from(stream: BinaryIO) -> Iterator[str]:
    r"""Paths of a list as they come: one a line, or, where it holds null bytes, each up to the next of these.

    >>> import io
    >>> [*paths_from(io.BytesIO(b"a b.png\nc.png"))], [*paths_from(io.BytesIO(b"a\nb.png\0c.png\0"))]
    (['a b.png', 'c.png'], ['a\nb.png', 'c.png'])
    """
    read = getattr(stream, "read1", stream.read)  # what is there, without waiting for more
    rest: bytes = read(PIECE)
    end = b"\0" if b"\0" in rest else b"\n"

    while piece := read(PIECE) if rest else b"":
        *whole, rest = (rest + piece).split(end)
        yield from _decoded(whole, end)
    yield from _decoded(rest.split(end), end)


def _decoded(paths: Sequence[bytes], end: bytes) -> Iterator[str]:
    for path in paths:
        name = path.removesuffix(b"\r") if end == b"\n" else path
        if name:
            yield name.decode("utf-8", "surrogateescape")
