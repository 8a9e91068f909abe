"""Shards to decoded images: every image exactly once, for any number of nodes, ranks and worker processes.

Who reads what is fixed before anybody reads: `manifest.plan` deals out whole shards, the longest first, each to whoever
has the fewest images so far. Ranks compute it alone and agree, since it is a function of the manifest and of their
number; within a rank, its workers divide the rank's shards in the same way. Nobody has to talk to anybody.

An example: three shards `a`, `b` and `c` of 5, 3 and 3 images, two ranks, two workers each, batches of two images.

    rank 0 gets a       one worker (a second one would have no shard)    a: 2, 2 and 1 images
    rank 1 gets b, c    worker 0 reads b                                 b: 2 and 1 images
                        worker 1 reads c                                 c: 2 and 1 images

    for part in loader(ShardParts(manifest, plan(manifest.shards, 2)[rank], read, batch_size=2), num_workers=2): ...

A batch, here called a part, never crosses a shard's end, and `last` marks a shard's last part: its features can then be
stored, and need not be computed again if the run is stopped. The parts of a shard come in order; those of several
shards, from several workers, are mixed.

Nothing is lost in silence. The bytes of a shard are compared with its SHA-256, the number of its images with the
manifest; images that cannot be read are listed in `bad`, and more of them than `max_bad_samples` are an error.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypedDict

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, default_collate, get_worker_info

from ood_lightning.data.shards.folder_files import FolderFiles
from ood_lightning.data.shards.manifest import Manifest, Shard, plan
from ood_lightning.data.shards.prefetch import ReaderAlive, prefetch
from ood_lightning.data.shards.samples import read_samples
from ood_lightning.errors import SettingsError, ShardContentError, ShardCountError, UserError
from ood_lightning.hashes import sha256_of

PARTS_AHEAD = 2  # that a worker may have finished before they are asked for; it bounds the memory of decoded images


class ShardPart(TypedDict):
    """A batch of decoded images of one shard, in the shard's order."""

    shard: str
    image: Tensor  # (b, 3, H, W), as `read` gives it
    label: Tensor  # (b,) int64
    keys: list[str]  # b of them
    bad: list[str]  # "KEY: REASON" of images that could not be read
    last: bool  # no more parts of this shard follow


def _part(shard: Shard, rows: Sequence[tuple[Tensor, int, str]], bad: list[str], *, last: bool) -> ShardPart:
    """A batch of rows, each an image with its label and its key."""
    return ShardPart(
        shard=shard.path,
        image=_stack([image for image, _, _ in rows]) if rows else torch.empty(0, 3, 0, 0),
        label=torch.tensor([label for _, label, _ in rows], dtype=torch.int64),
        keys=[key for _, _, key in rows],
        bad=bad,
        last=last,
    )


def _stack(images: list[Tensor]) -> Tensor:
    """Images as one tensor (b, 3, H, W); in a worker it lies in memory that is shared with the main process."""
    try:
        stacked: Tensor = default_collate(images)
    except RuntimeError as error:
        if "shared memory" not in str(error):
            raise
        raise SettingsError(
            f"there is no shared memory for a batch of {len(images)} pictures ({error}). Use a smaller "
            f"embed_batch_size, fewer num_workers (0 needs none), or a larger /dev/shm (`docker run --shm-size=8g`)."
        ) from None
    return stacked


class ShardParts:
    """Shards of a set, in parts of at most `batch_size` images that never cross a shard's end.

    Args:
        manifest: the set.
        shards: those to read, as `plan` dealt them out to this rank.
        read: encoded image to tensor (3, H, W); raises ValueError if it is damaged.
        batch_size: images in a part.
        max_bad_samples: images of a shard that may fail to decode before this stops.
    """

    def __init__(
        self,
        manifest: Manifest,
        shards: list[Shard],
        read: Callable[[bytes], Tensor],
        batch_size: int,
        max_bad_samples: int = 0,
    ) -> None:
        self.manifest, self.shards, self.read = manifest, shards, read
        self.batch_size, self.max_bad_samples = batch_size, max_bad_samples

    def __iter__(self) -> Iterator[ShardPart]:
        return self.of(self.shards, ReaderAlive())

    def of(self, share: list[Shard], alive: Callable[[], bool]) -> Iterator[ShardPart]:
        """Parts of some of the shards, as long as the reader is alive; the next shard is fetched meanwhile."""
        for shard, container in prefetch(self.manifest.container, share, alive):
            yield from self._read_shard(shard, container)

    def _read_shard(self, shard: Shard, container: Path | FolderFiles) -> Iterator[ShardPart]:
        where = f"set {self.manifest.name!r}, {'shard' if isinstance(container, Path) else 'folder'} {container}"
        if isinstance(container, Path):
            check_hash(self.manifest, shard, container)

        rows: list[tuple[Tensor, int, str]] = []
        bad: list[str] = []
        n_seen = n_bad = 0

        for sample in read_samples(container):
            n_seen += 1
            try:
                if sample.unread:
                    raise ValueError(sample.unread)
                image = self.read(sample.data)
            except ValueError as error:
                n_bad += 1
                if n_bad > self.max_bad_samples:
                    raise ShardContentError(
                        f"{where}: the picture {sample.key!r} cannot be read ({error}). Repair it, or allow some "
                        f"with max_bad_samples (now {self.max_bad_samples}); they are then listed."
                    ) from None
                bad.append(f"{sample.key}: {error}")
                continue

            rows.append((image, sample.label, sample.key))
            if len(rows) == self.batch_size:
                yield _part(shard, rows, bad, last=False)
                rows, bad = [], []

        if n_seen != shard.samples:
            last_key = f", up to its last key {sample.key!r}," if n_seen else ""
            raise ShardCountError(f"{where}{last_key}", n_seen, shard.samples)
        yield _part(shard, rows, bad, last=True)  # perhaps without images: whoever stores the shard waits for its end


def check_hash(manifest: Manifest, shard: Shard, path: Path) -> None:
    """Compare the bytes of a shard with its SHA-256, where the manifest says one.

    Raises:
        ShardContentError: they are others.
    """
    actual = sha256_of(path) if shard.sha256 else ""
    if actual != shard.sha256:
        raise ShardContentError(
            f"set {manifest.name!r}: the bytes of {path} are not those that the manifest describes "
            f"(SHA-256 {actual[:12]}..., expected {shard.sha256[:12]}...). Copy it again; if it was fetched, "
            f"remove it, and it is fetched again."
        )


def loader(parts: ShardParts, num_workers: int) -> Generator[ShardPart]:
    """Parts through worker processes, each of which reads whole shards. Errors are those of the reader itself.

    Args:
        parts: of this rank.
        num_workers: processes; 0: this one reads. No more are started than there are shards.
    """
    n_workers = min(num_workers, len(parts.shards))
    if not n_workers:
        yield from parts
        return

    alive = ReaderAlive()
    running = _start(_WorkerShares(parts, alive), n_workers)
    try:
        for part in running:
            if isinstance(part, UserError):
                raise part
            yield part
    finally:
        alive.end()  # a worker that waits for a shard stops, where torch would wait 5 s for each
        del running  # torch then ends the workers, also while somebody holds the error and so this frame


class _WorkerShares(IterableDataset[ShardPart | UserError]):
    """In each worker process: the parts of its share of the shards.

    An error comes out as the last item: torch would put a traceback into its text, or make another error of it.
    """

    def __init__(self, parts: ShardParts, alive: ReaderAlive) -> None:
        self.parts, self.alive = parts, alive

    def __iter__(self) -> Iterator[ShardPart | UserError]:
        worker = get_worker_info()
        assert worker is not None

        share = plan(self.parts.shards, worker.num_workers)[worker.id]
        try:
            yield from self.parts.of(share, self.alive)
        except UserError as error:
            yield error


def _start(shares: _WorkerShares, n_workers: int) -> Iterator[ShardPart | UserError]:
    """The parts of all workers, which are running then."""
    settings: dict[str, Any] = {"batch_size": None, "num_workers": n_workers, "prefetch_factor": PARTS_AHEAD}
    try:  # forked: a spawned worker would import torch anew, for seconds
        return iter(DataLoader(shares, multiprocessing_context="fork", **settings))
    except OSError as error:  # starting takes shared memory, open files and processes
        raise SettingsError(
            f"processes that decode pictures cannot be started ({error.strerror}). Use fewer num_workers (0 needs "
            f"none), or free some of /dev/shm"
        ) from None


@contextmanager
def killed_workers() -> Iterator[None]:
    """Turn torch's error about a killed worker into one that says what to do.

    It belongs around everything that is done with the parts: torch raises in whatever the main process is doing.

    Raises:
        SettingsError: a worker was killed.
    """
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        raise SettingsError(
            f"a process that decodes pictures was killed, perhaps for want of memory: use fewer num_workers or a "
            f"smaller embed_batch_size ({str(error).partition('. ')[0]})"
        ) from None
