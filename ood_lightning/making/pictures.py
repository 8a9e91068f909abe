"""The pictures of one or several sources as one set: embedded, and grouped where they are nearly the same."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import torch
from torch import Tensor

from ood_lightning.calibration.checks import NEAR_COSINE
from ood_lightning.data.artifacts.columns import StoredColumn
from ood_lightning.data.artifacts.features import FeatureFolder, Features, FeatureSet
from ood_lightning.data.shards.manifest import Manifest, Shard
from ood_lightning.datamodules.embedding import embed
from ood_lightning.encoders.base import Encoder
from ood_lightning.functional.near_groups import near_groups
from ood_lightning.plurals import many

MOST_COMPARED = 100_000  # pictures, each with all others: some minutes; of more, only equal features are grouped
BATCH = 64  # pictures: a person's machine has less memory than a cluster's node


@dataclass(frozen=True)
class Pictures:
    """The pictures of a run.

    Args:
        sources: the sets that they come from.
        images: features of all that can be decoded, n of them, in the order of the sources.
        groups: of nearly equal pictures, the group of each, int64 (n,).
        files: where each picture lies, n names: `SOURCE: KEY`, or its path where it is a file of a folder.
        unreadable: those that cannot be read, see :func:`unreadable`.
        passed_over: other files of folders, counted by ending.
    """

    sources: Sequence[FeatureSet]
    images: FeatureSet
    groups: Tensor
    files: Sequence[str]
    unreadable: Sequence[str]
    passed_over: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.groups)

    @property
    def n_different(self) -> int:
        """Pictures that are not nearly the same as another one, one of each group counted."""
        return len(self.groups.unique())

    def part(self, rows: Tensor, name: str) -> FeatureSet:
        """Some of the pictures as a set of their own, which has a fingerprint of its own.

        Args:
            rows: int64, of the pictures.
            name: what the part is for.
        """
        features, manifest = self.images.features, self.images.manifest
        members = sha256(f"{manifest.fingerprint} {rows.tolist()}".encode()).hexdigest()
        part = replace(manifest, name=f"{manifest.name}-{name}", shards=(Shard(name, len(rows), 0, members=members),))
        keys = [features.keys[row] for row in rows.tolist()]
        return FeatureSet(part, Features(part.name, features.image[rows], features.label[rows], keys, []))


def embedded(
    manifest: Manifest, encoder: Encoder, cache_dir: str, device: torch.device, num_workers: int
) -> FeatureSet:
    """Features of a set, with the encoder's further columns; pictures that cannot be read are listed, however many.

    Says which of them are there already.
    """
    kept = FeatureFolder(cache_dir, manifest, encoder.fingerprint, encoder.extra_features)
    n_missing = sum(shard.samples for shard in kept.missing())
    if n_reused := manifest.n_samples - n_missing:
        of_all = f"{n_reused:,} of " if n_missing else ""
        print(f"reusing the features of {manifest.name}: {of_all}{many(manifest.n_samples, 'picture')} in {kept.path}")

    folder = embed(
        encoder,
        manifest,
        cache_dir,
        device=device,
        batch_size=BATCH,
        num_workers=num_workers,
        max_bad_samples=manifest.n_samples,
        extra_features=encoder.extra_features,
    )
    return FeatureSet(manifest, folder.read(manifest.n_samples))


def as_one(sets: Sequence[FeatureSet]) -> FeatureSet:
    """Several sets as one, in their order."""
    if len(sets) == 1:
        return sets[0]

    names = "+".join(dict.fromkeys(one.manifest.name for one in sets))
    shards = [replace(shard, path=f"{i}-{shard.path}") for i, one in enumerate(sets) for shard in one.manifest.shards]
    manifest = Manifest(names, "id", tuple(shards), orientation=sets[0].manifest.orientation)
    features = Features(
        names,
        torch.cat([one.features.image[:] for one in sets]),
        torch.cat([one.features.label for one in sets]),
        [key for one in sets for key in one.features.keys],
        [line for one in sets for line in one.features.bad],
        {
            name: StoredColumn(name, tuple(file for one in sets for file in one.features.columns[name].files))
            for name in sets[0].features.columns
        },
    )
    return FeatureSet(manifest, features)


def pictures(sets: Sequence[FeatureSet], device: torch.device, min_cosine: float = NEAR_COSINE) -> Pictures:
    """All pictures of some embedded sets.

    Args:
        sets: of the sources.
        device: where their cosines are computed.
        min_cosine: of two features from which on pictures are nearly the same.
    """
    images = as_one(sets)
    features = images.features.image[:].to(device)
    if len(features) > MOST_COMPARED:
        groups = features.unique(dim=0, return_inverse=True)[1]
    else:
        groups = near_groups(features, min_cosine)

    passed_over = sum((Counter(one.manifest.passed_over) for one in sets), Counter[str]())
    return Pictures(
        sets,
        images,
        groups.cpu(),
        [name for one in sets for name in file_names(one)],
        [line for one in sets for line in unreadable(one)],
        passed_over,
    )


def unreadable(images: FeatureSet) -> list[str]:
    """Pictures that cannot be read, as `PATH: REASON`; of a set of tars as `SHARD KEY: REASON`."""
    manifest, bad = images.manifest, images.features.bad
    if manifest.of_files:
        return [str(Path(manifest.root, line.partition(" ")[2])) for line in bad]
    return list(bad)


def file_names(images: FeatureSet) -> list[str]:
    """What a person calls each picture: the path of its file, or its key behind the set's name."""
    return [images.manifest.row_path(key) for key in images.features.keys]
