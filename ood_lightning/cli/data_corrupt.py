"""`data corrupt`: a covariate-shifted version of a set, made like ImageNet-C. Needs no torch."""

import hashlib

from ood_lightning.data.pack.corruptions import NAMES, PACKAGE, Corrupted, drawn, version
from ood_lightning.data.pack.packing import pack
from ood_lightning.data.shards.manifest import Manifest
from ood_lightning.data.shards.read_manifest import read_manifest
from ood_lightning.errors import SettingsError, check_least
from ood_lightning.places import expanded
from ood_lightning.plurals import many


def corrupt(
    shards: list[str],
    out: str,
    name: str | None = None,
    severity: str = "1-5",
    corruptions: list[str] | None = None,
    samples: int = 10_000,
    seed: int = 0,
    samples_per_shard: int = 1000,
    workers: int = 2,
    max_bad_samples: int = 0,
) -> int:
    """Draw pictures of a set and corrupt them as ImageNet-C does: 224 x 224, JPEG of quality 85.

    Args:
        shards: the set: a folder with a manifest or of pictures, or tars by a brace list.
        out: folder of the new shards; an unfinished one of the same set is continued.
        name: of the new set; the old one's with `_c` if None.
        severity: a number, a range `1-5`, or several `1,3`; 1 to 5.
        corruptions: names, or `all` for ImageNet-C's fifteen; all if None.
        samples: how many of all (picture, corruption, severity) to draw; all of them if there are fewer.
        seed: of the draw and of the noise.
        samples_per_shard: pictures in a shard.
        workers: processes.
        max_bad_samples: drawn pictures that may be left out because they cannot be read; they are listed.
    """
    check_least(1, samples=samples, samples_per_shard=samples_per_shard, workers=workers)
    check_least(0, max_bad_samples=max_bad_samples)
    if len(shards) != 1:
        raise SettingsError(f"{len(shards)} sets given: `data corrupt` makes one set of one")

    severities = _severities(severity)
    chosen = NAMES if corruptions in (None, ["all"]) else tuple(dict.fromkeys(corruptions or []))
    if unknown := [word for word in chosen if word not in NAMES]:
        raise SettingsError(f"there is no corruption {unknown[0]!r}: expected all, or some of {', '.join(NAMES)}")

    package_version = version()
    manifest = read_manifest(shards[0])
    draws = drawn(manifest, chosen, severities, samples, seed)
    provenance = (
        f"{manifest.name} ({manifest.fingerprint}), {len(draws)} of {', '.join(chosen)}; severity "
        f"{', '.join(map(str, severities))}; seed {seed}; {PACKAGE} {package_version}"
    )
    corrupted = Manifest(
        name or f"{manifest.name}_c",
        "ood" if manifest.role == "ood" else "covariate",  # other pictures than the ID ones, worn or not
        (),
        manifest.class_names,
        manifest.licence,
        provenance,
        "corrupted as ImageNet-C: shorter side 256, central 224, corruption, JPEG quality 85",
    )

    recipes = [
        Corrupted(
            tuple(draws[start : start + samples_per_shard]),
            manifest.fingerprint,
            seed,
            package_version,
            manifest.upright,
        )
        for start in range(0, len(draws), samples_per_shard)
    ]
    origin = hashlib.sha256(provenance.encode()).hexdigest()[:16]
    packed, bad = pack(expanded(out), corrupted, origin, recipes, workers, max_bad_samples, {})

    for image in bad:
        print(f"left out: {image.path!r}: {image.reason}")
    size = f"{many(packed.n_samples, 'picture')} in {many(len(packed.shards), 'shard')}"
    print(f"{packed.name}: {size}, made of {provenance}: {out}")
    return 0


def _severities(text: str) -> tuple[int, ...]:
    """The severities that a text such as `3`, `1-5` or `1,3` names, in order."""
    severities: set[int] = set()
    try:
        for part in text.split(","):
            first, dash, last = part.partition("-")
            severities |= set(range(int(first), int(last if dash else first) + 1))
    except ValueError:
        severities = set()

    if not severities or not severities <= {1, 2, 3, 4, 5}:
        raise SettingsError(f"severity is {text!r}: expected numbers from 1 to 5, such as 3, 1-5 or 1,3")
    return tuple(sorted(severities))
