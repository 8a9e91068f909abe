"""Labelled ID training pictures and synthetic ones, for SynOOD's training."""

from pathlib import Path

from shard_files import MakeSet


def make_shards(parent: Path, make_set: MakeSet) -> Path:
    """Two sets in a folder: `labelled`, red and green, and `synthetic`, blue and grey."""
    make_set(parent, "labelled", colours=("red", "green"), shards=(9, 7), seed=5)
    make_set(parent, "synthetic", role="ood", colours=("blue", "grey"), shards=(6, 8), labelled=False, seed=6)
    return parent
