"""Votes of a fit: read again as they were written, for the images of the same set alone."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from damaged_stores import flip, forget_checksums, rewrite
from torch import Tensor

from ood_lightning.data.artifacts.votes import read_votes, write_votes
from ood_lightning.data.shards.manifest import Manifest, Shard
from ood_lightning.errors import SettingsError

SET = Manifest("x", "id", (Shard("a.tar", 3, 1),))
FILE = Path("votes.safetensors")


@pytest.fixture
def votes() -> dict[str, Tensor]:
    held = {
        "cluster": torch.tensor([1, 0, 1]),
        "nearest": torch.tensor([5, 7, 0]),
        "cosine": torch.tensor([0.25, -0.5, 1.0], dtype=torch.float64),
    }
    write_votes(FILE, held, SET)
    return held


def test_votes_come_back(votes: dict[str, Tensor]):
    held = read_votes(FILE, SET, 3)
    assert held.keys() == votes.keys()
    assert all(torch.equal(held[name], votes[name]) for name in votes)


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("cluster", Tensor.float, r"cluster is float32 \[3\], expected int64 \['any'\]"),
        ("cluster", torch.neg, "holds a negative cluster or word"),
        ("cluster", lambda cluster: cluster[:2], "has clusters for 2 pictures, set 'x' has 3"),
        ("nearest", torch.neg, "holds a negative cluster or word"),
        ("nearest", lambda nearest: nearest[1:], r"nearest is int64 \[2\], expected int64 \[3\]"),
        ("cosine", lambda cosine: cosine / 0, "a cosine that is not finite"),
        ("cosine", lambda cosine: None, "is missing or damaged"),
    ],
)
def test_votes_that_are_none_are_named(
    votes: dict[str, Tensor], name: str, change: Callable[[Tensor], Tensor | None], words: str
):
    rewrite(FILE, name, change)
    with pytest.raises(SettingsError, match=rf"votes\.safetensors .*{words}.*run that fit again"):
        read_votes(FILE, SET, 3)


def test_votes_with_an_accident_are_named(votes: dict[str, Tensor]):
    flip(FILE, 0.99)
    with pytest.raises(SettingsError, match=r"votes\.safetensors is missing or damaged \(\w+ is not what was written"):
        read_votes(FILE, SET, 3)


def test_votes_of_an_earlier_version_are_made_again_by_the_fit(votes: dict[str, Tensor]):
    forget_checksums(FILE)
    with pytest.raises(SettingsError, match=r"has no checksums: it is of an earlier version.*run that fit again"):
        read_votes(FILE, SET, 3)
