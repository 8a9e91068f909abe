"""A batch that does not come from a worker is no success, and leaves no shard with fewer pictures."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from plain_encoder import PlainEncoder

from ood_lightning.data.shards.read_manifest import read_manifest
from ood_lightning.datamodules import embedding
from ood_lightning.errors import FeatureError

Part = dict[str, Any]


@pytest.mark.parametrize(
    "is_lost",
    [lambda number, part: True, lambda number, part: number == 1, lambda number, part: part["last"]],
    ids=["all", "one in a shard", "the last of each shard"],
)
def test_lost_batches_are_told_and_no_shard_without_them_is_stored(
    is_lost: Callable[[int, Part], bool], tmp_path: Path, make_set: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
):
    manifest = read_manifest(str(make_set(tmp_path, "some", shards=(7, 6))))
    loader = embedding.loader

    def losing(*arguments: Any) -> Iterator[Part]:
        return (part for number, part in enumerate(loader(*arguments)) if not is_lost(number, part))

    with monkeypatch.context() as patch:
        patch.setattr(embedding, "loader", losing)
        with pytest.raises(FeatureError, match=r"set 'some': \d shards? did not come whole .*ulimit -n.*are kept"):
            embedding.embed(PlainEncoder(), manifest, "cache", device=torch.device("cpu"), batch_size=3, num_workers=0)

    folder = embedding.embed(PlainEncoder(), manifest, "cache", device=torch.device("cpu"), batch_size=3, num_workers=0)
    assert len(folder.read().keys) == 13
