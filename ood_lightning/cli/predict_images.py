"""Which images a `predict` is given, and which of them are one task's share."""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import BinaryIO, TypeVar

from ood_lightning.data.remote.addresses import redacted
from ood_lightning.data.shards.manifest import Manifest, Shard, plan
from ood_lightning.detector_folder.images import Item
from ood_lightning.detector_folder.sources import files_at, members, named
from ood_lightning.errors import SettingsError

T = TypeVar("T")
STANDARD = "-"
SHARD = 256  # images that one of several tasks takes at a time
PIECE = 1 << 16  # bytes of standard input that are read at once; a path has at most 4,096


class ImagesOfTask:
    """What a `predict` is given, and one task's share of it, in order.

    Of sets a task takes whole shards, so that it fetches no others; of files every `world`-th piece of :data:`SHARD`.

    Args:
        images: as the command got them.
        rank: of this task.
        world: number of tasks.

    Raises:
        SourceError: a file or folder is not there.
        SettingsError: standard input is named beside others, or two sets cannot be told apart.
        UserError: a set is damaged.
    """

    def __init__(self, images: Sequence[str], rank: int, world: int) -> None:
        if STANDARD in images and len(images) > 1:
            raise SettingsError(f"{STANDARD} stands for paths from standard input: name nothing beside it")
        self.from_input = STANDARD in images
        self._rank, self._world = rank, world
        self._sources = [] if self.from_input else _told_apart(images, [named(source) for source in images])

        # planned over all sets together: numbers stand for the shards, whose paths may be the same in two sets
        sets = {i: source for i, source in enumerate(self._sources) if isinstance(source, Manifest)}
        numbered = {f"{i:06d}-{n:06d}": (i, shard) for i, one in sets.items() for n, shard in enumerate(one.shards)}
        planned = plan([Shard(number, shard.samples, 0) for number, (_, shard) in numbered.items()], world)[rank]
        mine = [numbered[number] for number in sorted(shard.path for shard in planned)]
        self._shards = {i: [shard for of, shard in mine if of == i] for i in sets}
        self.fingerprints = [one.fingerprint for one in sets.values()]

    def count(self, passed_over: Counter[str]) -> int | None:
        """How many images there are; None where paths come from standard input.

        Nothing is kept of files that are counted: their names are listed once more when they are read.

        Args:
            passed_over: takes the endings of other files in folders.

        Raises:
            SourceError: a folder holds no pictures, or may not be read.
        """
        if self.from_input:
            return None
        in_sets = sum(shard.samples for shards in self._shards.values() for shard in shards)
        paths = [source for source in self._sources if isinstance(source, Path)]
        files = (file for path in paths for file in files_at(path, passed_over))
        return in_sets + sum(1 for _ in shared(files, self._rank, self._world, count()))

    def __iter__(self) -> Iterator[Item]:
        numbers = count()  # of all files, over all sources
        if self.from_input:
            files = (file for path in paths_from(sys.stdin.buffer) for file in files_at(Path(path), Counter()))
            yield from shared(files, self._rank, self._world, numbers)

        for i, source in enumerate(self._sources):
            if isinstance(source, Manifest):
                yield from members(source, self._shards[i])
            else:
                yield from shared(files_at(source, Counter()), self._rank, self._world, numbers)


def _told_apart(images: Sequence[str], sources: Sequence[Path | Manifest]) -> list[Path | Manifest]:
    """The same sources, where sets share a name called as they were given: rows name an image by its set and key."""
    names = Counter(source.name for source in sources if isinstance(source, Manifest))
    renamed = [
        replace(source, name=redacted(image)) if isinstance(source, Manifest) and names[source.name] > 1 else source
        for image, source in zip(images, sources, strict=True)
    ]

    places: dict[str, str] = {}
    for image, source in zip(images, renamed, strict=True):
        if isinstance(source, Manifest) and places.setdefault(source.name, image) != image:
            raise SettingsError(f"two sets are called {source.name}, and rows would not tell which: name one at a time")
    return renamed


def shared(every: Iterable[T], rank: int, world: int, numbers: Iterator[int]) -> Iterator[T]:
    """A task's share of what all tasks see in one order.

    Args:
        every: of which all tasks see the same.
        rank: of the task.
        world: number of tasks.
        numbers: of what comes, going on from what came before.

    Example:
        >>> [*shared(range(1000), 1, 3, count())] == [*range(256, 512)]
        True
    """
    return (one for one in every if next(numbers) // SHARD % world == rank)


def of_task(path: Path, rank: int, world: int) -> Path:
    """Where a task writes its rows; the file itself where there is one task.

    Example:
        >>> of_task(Path("rows.csv"), 2, 16).name
        'rows-0002-of-0016.csv'
    """
    return path if world == 1 else path.with_name(f"{path.stem}-{rank:04}-of-{world:04}{path.suffix}")


def paths_from(stream: BinaryIO) -> Iterator[str]:
    r"""Paths of a list as they come: one a line, or, where it holds null bytes, each up to the next of these.

    Example:
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
