"""Shards to pictures: webdataset's door. Every sample once, statically assigned, and every loss has a name.

Only image decoders run on what comes out of a tar: webdataset's own `.decode()` would execute pickles.
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

import torch
import webdataset as wds
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from ood_lightning.data.shards.manifest import Manifest, Shard, plan
from ood_lightning.data.shards.prefetch import ReaderAlive, ahead
from ood_lightning.data.shards.shared_buffers import BUFFERS, PREFETCH, SharedBatchBuffers
from ood_lightning.data.shards.tars import IMAGE_SUFFIXES, last_member
from ood_lightning.errors import SettingsError, ShardContentError, ShardCountError, UserError
from ood_lightning.hashes import sha256_of


class Sample(NamedTuple):
    """One member group of a tar: key, encoded picture, class (-1: unknown)."""

    key: str
    data: bytes
    label: int


@dataclass(frozen=True)
class _Failure:
    """An error on its way out of a worker: torch would put a traceback into its text, or make another error of it."""

    error: UserError


class ShardPart(TypedDict):
    """Some decoded samples of one shard, in its order."""

    shard: str
    image: Tensor  # (b, 3, H, W), as `read` gives it
    label: Tensor  # (b,) int64
    keys: list[str]
    bad: list[str]
    last: bool  # no more parts of this shard follow


def read_samples(path: Path) -> Iterator[Sample]:
    """Samples of one tar in order, undecoded.

    Raises:
        ShardContentError: the tar is damaged, a key comes twice, or a picture or class is not where it can be read.
    """
    stream = wds.DataPipeline(wds.SimpleShardList([str(path)]), wds.tarfile_to_samples())
    seen: set[str] = set()
    try:
        for member in stream:
            key = member["__key__"]
            if key in seen:  # `k.jpg, j.jpg, k.cls` would be three samples, and the class of k lost
                raise ShardContentError(
                    f"{path}: the key {key!r} comes twice. Keys must differ, and the members of a sample lie side by "
                    f"side (pack with `tar --sort=name`)."
                )
            seen.add(key)
            sample = _sample(path, key, member)
            if sample is not None:
                yield sample
    except ShardContentError:
        raise
    except Exception as error:  # webdataset re-raises whatever tarfile met, with its stream and the path
        what = str(error.args[0] if error.args else error).partition(" @ <")[0]
        name = last_member(path)
        at = f", its last legible member is {name!r}" if name is not None else ""
        raise ShardContentError(f"{path} cannot be read as a tar of pictures{at}: {what}") from error


def _sample(path: Path, key: str, member: dict[str, Any]) -> Sample | None:
    suffix = next((s for s in IMAGE_SUFFIXES if s in member), None)
    if suffix is None:
        dotted = [name for name in member if name.rpartition(".")[2] in IMAGE_SUFFIXES]
        if dotted:  # webdataset ends a key at the first dot, so `a.v2.jpg` would vanish
            raise ShardContentError(
                f"{path}: sample {key!r} has a picture under {dotted[0]!r} only: a name may have one dot, before its "
                f"ending"
            )
        return None
    label = member.get("cls", b"-1")
    try:
        return Sample(key, member[suffix], int(label))
    except ValueError:
        raise ShardContentError(f"{path}: sample {key!r} has the .cls {label[:20]!r}, expected an integer") from None


class ShardParts:
    """Some shards of a set, in parts of at most `batch_size` samples that never cross a shard's end.

    Args:
        manifest: the set.
        shards: those to read; who reads which is fixed before, in the main process.
        read: encoded picture to tensor (3, H, W); ValueError if it is damaged.
        batch_size: samples in a part.
        max_bad_samples: undecodable pictures that a shard may have before this stops.
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
        return self.of(self.shards, ReaderAlive(), torch.stack)

    def of(
        self, share: list[Shard], wanted: Callable[[], bool], stack: Callable[[list[Tensor]], Tensor]
    ) -> Iterator[ShardPart]:
        """Parts of some of the shards, as long as they are wanted; `stack` makes a batch of pictures."""
        for shard, path in ahead(self.manifest.path, share, wanted):
            yield from self._parts(shard, path, stack)

    def _parts(self, shard: Shard, path: Path, stack: Callable[[list[Tensor]], Tensor]) -> Iterator[ShardPart]:
        if shard.sha256:
            self._check_hash(shard, path)
        images: list[Tensor] = []
        labels: list[int] = []
        keys: list[str] = []
        bad: list[str] = []
        seen = n_bad = 0
        for sample in read_samples(path):
            seen += 1
            try:
                images.append(self.read(sample.data))
            except ValueError as error:
                bad.append(f"{sample.key}: {error}")
                n_bad += 1
                if n_bad > self.max_bad_samples:
                    raise ShardContentError(
                        f"set {self.manifest.name!r}, shard {path}: the picture {sample.key!r} cannot be decoded "
                        f"({error}). Repair it, or allow some with max_bad_samples (now {self.max_bad_samples}); they "
                        f"are then listed."
                    ) from None
                continue
            labels.append(sample.label)
            keys.append(sample.key)
            if len(images) == self.batch_size:
                yield _part(shard, stack(images), labels, keys, bad, last=False)
                images, labels, keys, bad = [], [], [], []
        if seen != shard.samples:
            last = f", up to its last key {sample.key!r}," if seen else ""
            raise ShardCountError(f"set {self.manifest.name!r}, shard {path}{last}", seen, shard.samples)
        image = stack(images) if images else torch.empty(0, 3, 0, 0)
        yield _part(shard, image, labels, keys, bad, last=True)

    def _check_hash(self, shard: Shard, path: Path) -> None:
        found = sha256_of(path)
        if found != shard.sha256:
            raise ShardContentError(
                f"set {self.manifest.name!r}: the bytes of {path} are not those that the manifest describes "
                f"(SHA-256 {found[:12]}..., expected {shard.sha256[:12]}...). Copy it again, or remove it if it was "
                f"fetched: it then is again."
            )


def _part(shard: Shard, image: Tensor, labels: list[int], keys: list[str], bad: list[str], last: bool) -> ShardPart:
    label = torch.tensor(labels, dtype=torch.int64)
    return ShardPart(shard=shard.path, image=image, label=label, keys=keys, bad=bad, last=last)


class _Shares(IterableDataset[ShardPart | _Failure | None]):
    """In each worker: its share, and then None for ever.

    torch would give the turns of a worker that had come to its end to the others. They would be further ahead than they
    have memory for, and write over pictures that nobody has looked at yet.
    """

    def __init__(self, parts: ShardParts, wanted: ReaderAlive) -> None:
        self.parts, self.wanted = parts, wanted

    def __iter__(self) -> Iterator[ShardPart | _Failure | None]:
        worker, parts = get_worker_info(), self.parts
        assert worker is not None
        slots = SharedBatchBuffers(min(parts.batch_size, max(shard.samples for shard in parts.shards)))
        try:
            yield from parts.of(plan(parts.shards, worker.num_workers)[worker.id], self.wanted, slots.stack)
        except UserError as error:
            yield _Failure(error)
        while True:
            yield None


def loader(parts: ShardParts, num_workers: int) -> Iterator[ShardPart]:
    """Parts through worker processes; each worker reads whole shards. Errors are those of the reader itself.

    A part's pictures hold until the next part is asked for: a worker then may write others over them.
    """
    workers, left = min(num_workers, len(parts.shards)), len(parts.shards)
    if not workers:
        yield from parts
        return
    wanted = ReaderAlive()
    running = _started(_Shares(parts, wanted), workers)
    mapped: deque[Tensor] = deque(maxlen=BUFFERS * workers)  # while one is held, its memory stays mapped
    try:
        while left:
            part = next(running)
            if isinstance(part, _Failure):
                raise part.error
            if part is not None:
                left -= part["last"]
                mapped.append(part["image"])
                yield part
    finally:
        wanted.end()
        del running  # ends the workers


def _started(shares: _Shares, workers: int) -> Iterator[ShardPart | _Failure | None]:
    settings: dict[str, Any] = {"batch_size": None, "num_workers": workers, "prefetch_factor": PREFETCH}
    try:  # a spawned worker would import torch anew, for seconds
        return iter(DataLoader(shares, multiprocessing_context="fork", **settings))
    except OSError as error:  # it needs some shared memory itself, files and processes
        raise SettingsError(
            f"processes that decode pictures cannot be started ({error.strerror}). Use fewer num_workers (0 needs "
            f"none), or free some of /dev/shm"
        ) from None


@contextmanager
def killed_workers() -> Iterator[None]:
    """Says what to do when one was; torch raises in whatever the main process is doing, not in the loader alone.

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
