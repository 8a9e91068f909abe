"""Drawings of the built-in benchmark as plain files, and names to compare them with: what a person's folder is like."""

from pathlib import Path

from ood_lightning.data.shards.read_manifest import read_manifest
from ood_lightning.data.shards.samples import read_samples


def unpack(name: str, folder: Path, count: int, start: int = 0) -> Path:
    """Write some pictures of a built-in set into a folder, under names of their own."""
    manifest = read_manifest(f"builtin:pictograms/shards/{name}")
    samples = (sample for shard in manifest.shards for sample in read_samples(manifest.container(shard)))
    folder.mkdir(parents=True, exist_ok=True)
    for i, sample in enumerate(samples):
        if start <= i < start + count:
            (folder / f"{i:04d}.webp").write_bytes(sample.data)
    return folder


def words_file(path: Path) -> Path:
    """A corpus of the names of all built-in sets, and of some words that no drawing shows."""
    sets = ("id_test", "food", "objects", "places", "transport")
    names = {name for one in sets for name in read_manifest(f"builtin:pictograms/shards/{one}").class_names}
    names |= {"theory", "winter", "anger", "number", "music", "government", "rust", "mathematics", "breath", "noise"}
    path.write_text("\n".join(sorted(names)) + "\n", encoding="utf-8")
    return path
