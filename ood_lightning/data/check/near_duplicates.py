"""Images that are nearly the same, by their stored features: of OOD sets and an ID set, or within a set."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from ood_lightning.data.artifacts.features import FeatureFolder, Features
from ood_lightning.data.shards.manifest import Manifest
from ood_lightning.errors import FeatureError
from ood_lightning.functional.similarity import top_k
from ood_lightning.places import expanded


class NearDuplicate(NamedTuple):
    """An image, its nearest one in another set, each as `shard key`, and their cosine."""

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
    path = expanded(features)
    candidates = [path, *sorted(p for p in path.iterdir() if p.is_dir())] if path.is_dir() else []
    complete = [p for p in candidates if not any(FeatureFolder(p.parent, m, p.name).missing() for m in manifests)]
    if len(complete) == 1:
        return complete[0]

    content = (
        f"those of {len(complete)} encoders: name one of {', '.join(map(str, complete))}"
        if complete
        else "none: run `embed` on these sets first"
    )
    raise FeatureError(
        f"{features} was searched for the features of {', '.join(manifest.name for manifest in manifests)} under one "
        f"encoder, and holds {content}"
    )


def stored(encoder: Path, manifests: Sequence[Manifest], max_bad_samples: int) -> list[Features]:
    """Stored features of all sets.

    Args:
        encoder: their folder, see :func:`encoder_of`.
        manifests: the sets.
        max_bad_samples: undecodable images that a set may have.

    Returns:
        Features whose keys are `shard key`.
    """
    return [
        _with_shards(manifest, FeatureFolder(encoder.parent, manifest, encoder.name).read(max_bad_samples))
        for manifest in manifests
    ]


def _with_shards(manifest: Manifest, features: Features) -> Features:
    """The features with `shard key` for each row: a key alone may come again in another shard."""
    shards = []
    for shard in manifest.shards:
        n_bad = sum(line.startswith(f"{shard.path} ") for line in features.bad)  # lines are `shard key: reason`
        shards += [shard.path] * (shard.samples - n_bad)
    return replace(features, keys=[f"{shard} {key}" for shard, key in zip(shards, features.keys, strict=True)])


def near_duplicates(query: Features, reference: Features, min_cosine: float) -> list[NearDuplicate]:
    """Images of `query` whose nearest one in `reference` has at least that cosine, the nearest first; exact.

    Args:
        query: such as an OOD set; features of shape (Q, D).
        reference: such as the ID set; features of shape (R, D).
        min_cosine: in (0, 1].
    """
    cosines, rows_of_nearest = nearest(query.image.to("cpu"), reference.image.to("cpu"))

    rows = (cosines >= min_cosine).nonzero()[:, 0].tolist()
    pairs = (NearDuplicate(query.keys[i], reference.keys[int(rows_of_nearest[i])], float(cosines[i])) for i in rows)
    return sorted(pairs, key=lambda pair: (-pair.cosine, pair.key))


def nearest(query: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine with the nearest row of `reference`, float64, and that row, int64, both of shape (Q,); exact.

    Args:
        query: features on the CPU, shape (Q, D).
        reference: features on the CPU, shape (R, D), at least one.
    """
    top = top_k(query, reference, 1)
    rows = top.indices[:, 0]  # (Q,)

    # as they are stored, in half precision, their lengths are 1 to three digits
    lengths = query.double().norm(dim=1) * reference[rows].double().norm(dim=1)
    return (top.values[:, 0] / lengths).clamp(max=1), rows
