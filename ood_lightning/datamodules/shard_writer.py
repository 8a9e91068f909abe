"""Finished shards are stored by one thread, while later ones are decoded and computed.

A shard counts as stored when its file has its name, and never before: what a stopped or killed process had not written
is embedded again. A run that ends by an error or by Ctrl-C first stores the shards that are finished.
"""

import logging
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import torch
from torch import Tensor

from ood_lightning.data.artifacts.features import FeatureFolder
from ood_lightning.data.shards.manifest import Shard
from ood_lightning.data.shards.reader import ShardPart

WRITES = 2  # one shard that is being written, and one that waits: two readers often end theirs at the same time

log = logging.getLogger(__name__)


@dataclass
class GatheredShard:
    """What has come of one shard so far: parts of its columns, by name, and the keys of its images."""

    parts: defaultdict[str, list[Tensor]] = field(default_factory=lambda: defaultdict(list))
    keys: list[str] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)

    def add(self, part: ShardPart, columns: Mapping[str, Tensor]) -> None:
        """Append a part: its columns of features, and what else is stored of its images."""
        for name, rows in {**columns, "label": part["label"]}.items():
            self.parts[name].append(rows)
        self.keys += part["keys"]
        self.bad += part["bad"]

    @property
    def n_samples(self) -> int:
        """Images so far, those that cannot be read among them."""
        return len(self.keys) + len(self.bad)

    def joined(self, names: Sequence[str]) -> list[Tensor]:
        """Each column as one tensor, one after the other; the parts are let go."""
        if not self.keys:
            return [torch.empty(0, dtype=torch.int64) if name == "label" else torch.empty(0, 1) for name in names]
        return [torch.cat(self.parts.pop(name)) for name in names]


class ShardWriter:
    """Stores shards in the order in which they are given; at the end of the context, all of them are stored.

    Args:
        folder: of the features.
    """

    def __init__(self, folder: FeatureFolder) -> None:
        self._folder = folder
        self._thread = ThreadPoolExecutor(1, "shard writer")
        self._writes: deque[Future[None]] = deque()  # that were not found done yet, at most `WRITES`

    def store(self, shard: Shard, gathered: GatheredShard) -> None:
        """Take over a finished shard; waits while another one waits for being written.

        Raises:
            FeatureError, UnwritableError: of an earlier shard.
        """
        while len(self._writes) >= WRITES:
            self._writes.popleft().result()
        self._writes.append(self._thread.submit(self._write, shard, gathered))

    def raise_early(self) -> None:
        """Raise the error of an earlier shard, if there is one by now: nobody shall compute for long in vain."""
        while self._writes and self._writes[0].done():
            self._writes.popleft().result()

    def _write(self, shard: Shard, gathered: GatheredShard) -> None:
        columns = self._folder.extra_features
        image, label, *others = gathered.joined(["image", "label", *columns])
        more = dict(zip(columns, others, strict=True))
        self._folder.write(shard, image, label, gathered.keys, gathered.bad, more)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._thread.shutdown()  # waits for what was taken over
        failed = [failure for write in self._writes if (failure := write.exception())]

        if failed and error is None:
            raise failed[0]
        for failure in failed:  # beside the error that ends the run
            log.warning("%s", failure)
