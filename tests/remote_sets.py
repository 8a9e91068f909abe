"""What tests of remote sets look at: a shard's address, the keys that are read, the files that are kept."""

from pathlib import Path

from ood_lightning.data.shards.read_manifest import read_manifest
from ood_lightning.data.shards.samples import read_samples

FIRST = "/s/s-000000.tar"  # of the set that the fixture `folder` puts on the server


def keys(source: str) -> list[str]:
    """Keys of all images of a set, in order."""
    manifest = read_manifest(source)
    return [sample.key for shard in manifest.shards for sample in read_samples(manifest.path(shard))]


def cached(folder: Path) -> list[Path]:
    """Files in the cache of a run in this folder."""
    return sorted(path for path in (folder / ".cache").rglob("*") if path.is_file())
