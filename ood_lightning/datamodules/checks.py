"""Checks of sets before they are embedded: their manifests, and room for their features."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import permutations
from typing import NamedTuple

from ood_lightning.checks import Check, folder_check, space_check
from ood_lightning.data.artifacts.features import FeatureFolder
from ood_lightning.data.shards.manifest import Manifest
from ood_lightning.data.shards.read_manifest import is_counted_by_fetching
from ood_lightning.encoders.base import Encoder
from ood_lightning.errors import ManifestError
from ood_lightning.plurals import listed, many

BYTES = {"float16": 2, "float32": 4}
COLUMN_BYTES = {"patches": 2, "tower": 4, "length": 4}


class SetToEmbed(NamedTuple):
    """A set that a command will embed.

    Attributes:
        source: of it.
        read: its manifest.
        columns: to store beside the image features.
    """

    source: str
    read: Callable[[], Manifest]
    columns: Sequence[str] = ()


def readable(sets: Sequence[SetToEmbed]) -> list[Manifest]:
    """Manifests of those sets that need not be fetched to be counted."""
    return [one.read() for one in sets if not is_counted_by_fetching(one.source)]


def check_no_shared_shards(manifests: Sequence[Manifest]) -> None:
    """Refuse sets of an evaluation that hold the same shard, as far as manifests have hashes, or the same folder.

    Raises:
        ManifestError: two do, such as copies of one set under two names, or a folder of pictures within another.
    """
    known: dict[str, str] = {}  # SHA-256 of a shard -> name of its set
    for manifest in manifests:
        for shard in manifest.shards:
            if shard.sha256 and (first := known.setdefault(shard.sha256, manifest.name)) != manifest.name:
                raise ManifestError(
                    f"sets {first!r} and {manifest.name!r} share pictures: {shard.path} of the second is a copy of a "
                    f"shard of the first. Leave one of the sets out"
                )
    _check_no_folder_within_another(manifests)


def _check_no_folder_within_another(manifests: Sequence[Manifest]) -> None:
    """Refuse folders of pictures of which one lies in another, whose pictures would be of both sets."""
    folders = [manifest.root.resolve() for manifest in manifests if any(shard.files for shard in manifest.shards)]
    for inner, outer in permutations(folders, 2):
        if inner.is_relative_to(outer):
            raise ManifestError(
                f"the folder of pictures {inner} lies in {outer}, which is another set: its pictures would count on "
                f"both sides. Move one of them out of the other"
            )


def set_checks(encoder: Encoder, cache_dir: str, sets: Sequence[SetToEmbed]) -> list[Check]:
    """Whether the encoder can be had, every set is there and holds pictures, and their features can be written.

    Args:
        encoder: of the features.
        cache_dir: folder of all features.
        sets: one that would have to be fetched to be counted is not looked at.
    """
    known = [one for one in sets if not is_counted_by_fetching(one.source)]
    return [
        Check(f"encoder {encoder.name}", encoder.check),
        *(Check(f"set {one.source}", partial(_described, one)) for one in sets),
        folder_check("features", cache_dir, "cache_dir"),
        space_check(cache_dir, lambda: sum(_bytes(encoder, cache_dir, one) for one in known), "cache_dir"),
    ]


def _described(one: SetToEmbed) -> str:
    if is_counted_by_fetching(one.source):
        return "its tars are counted when they are fetched"

    manifest = one.read()
    check_not_empty(manifest)
    counts = f"{many(manifest.n_samples, 'picture')} in {many(len(manifest.shards), 'shard')}"
    others = f"; passed over: {listed(manifest.passed_over)}" if manifest.passed_over else ""
    return f"{counts}, called {manifest.name!r}{others}"


def check_not_empty(manifest: Manifest) -> None:
    """Refuse a set without a picture.

    Raises:
        ManifestError: naming it.
    """
    if not manifest.n_samples:
        where = next((manifest.root / shard.path for shard in manifest.shards), manifest.root)
        raise ManifestError(
            f"set {manifest.name!r} holds no pictures ({where}): expected tars of KEY.jpg, KEY.png or KEY.webp, which "
            f"`data pack` makes of pictures"
        )


def _bytes(encoder: Encoder, cache_dir: str, one: SetToEmbed) -> int:
    """About how much the features of a set will add."""
    missing = FeatureFolder(cache_dir, one.read(), encoder.fingerprint, one.columns).missing()
    widths, of_column = encoder.widths(), {"image": BYTES[encoder.feature_dtype], **COLUMN_BYTES}
    per_image = sum(widths[name] * of_column[name] for name in ("image", *one.columns))
    return per_image * sum(shard.samples for shard in missing)
