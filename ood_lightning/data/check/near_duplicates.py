"""Pictures of OOD sets that are all but the same as one of an ID set, by their stored features."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ood_lightning.data.artifacts.features import FeatureFolder, Features
from ood_lightning.data.shards.manifest import Manifest
from ood_lightning.errors import FeatureError
from ood_lightning.functional.similarity import top_k


class Near(NamedTuple):
    """A picture, its nearest one in another set, each as `shard key`, and their cosine."""

    key: str
    nearest: str
    cosine: float


def encoder_of(features: str, manifests: Sequence[Manifest]) -> Path:
    """The folder of the one encoder under which all sets have features.

    Args:
        features: the cache, or the folder of one encoder in it.
        manifests: the sets.

    Raises:
        FeatureError: no encoder has all the sets, or several have.
    """
    path = Path(features)
    candidates = [path, *sorted(p for p in path.iterdir() if p.is_dir())] if path.is_dir() else []
    complete = [p for p in candidates if not any(_folder(p, m).missing() for m in manifests)]
    if len(complete) != 1:
        found = (
            f"those of {len(complete)} encoders: name one of {', '.join(map(str, complete))}" if complete else "none"
        )
        raise FeatureError(
            f"{features} was searched for the features of {', '.join(m.name for m in manifests)} under one encoder, "
            f"and holds {found}" + ("" if complete else ": run `embed` on these sets first")
        )
    return complete[0]


def stored(encoder: Path, manifests: Sequence[Manifest], max_bad_samples: int) -> list[Features]:
    """Stored features of all sets.

    Args:
        encoder: their folder, see :func:`encoder_of`.
        manifests: the sets.
        max_bad_samples: undecodable pictures that a set may have.

    Returns:
        Features whose keys are `shard key`.
    """
    found = [_folder(encoder, manifest).read(max_bad_samples) for manifest in manifests]
    return [replace(of, keys=_named(manifest, of)) for manifest, of in zip(manifests, found, strict=True)]


def _named(manifest: Manifest, features: Features) -> list[str]:
    """`shard key` of each row: a key alone may come again in another shard."""
    bad = Counter(next((s.path for s in manifest.shards if told.startswith(f"{s.path} ")), "") for told in features.bad)
    shards = [shard.path for shard in manifest.shards for _ in range(shard.samples - bad[shard.path])]
    return [f"{shard} {key}" for shard, key in zip(shards, features.keys, strict=True)]


def _folder(encoder: Path, manifest: Manifest) -> FeatureFolder:
    return FeatureFolder(encoder.parent, manifest, encoder.name)


def near_duplicates(asked: Features, known: Features, least: float) -> list[Near]:
    """Pictures of `asked` whose nearest one in `known` has at least that cosine, the nearest first; exact.

    Args:
        asked: such as an OOD set.
        known: such as the ID set.
        least: cosine, in (0, 1].
    """
    top = top_k(asked.image, known.image, 1)
    nearest = top.indices[:, 0]
    # as they are stored their lengths are 1 to three digits
    lengths = asked.image.double().norm(dim=1) * known.image[nearest].double().norm(dim=1)
    cosines = (top.values[:, 0] / lengths).clamp(max=1)
    hits = (cosines >= least).nonzero()[:, 0].tolist()
    found = [Near(asked.keys[i], known.keys[int(nearest[i])], float(cosines[i])) for i in hits]
    return sorted(found, key=lambda near: (-near.cosine, near.key))
