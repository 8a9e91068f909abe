"""`data check`: what is wrong with sets before a number is computed from them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

from ood_lightning.data.artifacts.files import write_json
from ood_lightning.data.cards.compare import differences
from ood_lightning.data.check.content import Problem, SetContent, content
from ood_lightning.data.check.exact_duplicates import Place, duplicates, key_at
from ood_lightning.data.remote.addresses import redacted
from ood_lightning.data.shards.manifest import Manifest, Role
from ood_lightning.data.shards.read_manifest import read_manifest
from ood_lightning.errors import SettingsError, check_least
from ood_lightning.places import check_out, expanded
from ood_lightning.plurals import listed
from ood_lightning.report.checked import as_json, print_check


def check(
    sets: list[str],
    ood: list[str] | None = None,
    features: str | None = None,
    near: float = 0.98,
    card: str | None = None,
    out: str | None = None,
    workers: int = 2,
) -> int:
    """Damage, counts, labels, undecodable pictures and duplicates of sets; ends with 1 if anything is wrong.

    Args:
        sets: folders with manifests or of pictures, or tars by brace lists.
        ood: sets that are OOD here, whatever their manifests say.
        features: feature cache with all these sets under one encoder, to find OOD pictures that are nearly ID ones.
        near: cosine of the features of two pictures from which on they count as near; depends on the encoder.
        card: of `data list`, `NAME` or `NAME@PROTOCOL`, that the one set is compared with.
        out: .json for the report.
        workers: processes that read the shards.
    """
    if not 0 < near <= 1:
        raise SettingsError(f"near is {near}: expected a cosine above 0, at most 1")
    check_least(1, workers=workers)
    check_out(out, ".json")
    if card is not None and len(sets) + len(ood or []) != 1:
        raise SettingsError(f"card {card!r} is compared with one set: check the others by themselves")

    sources = [*sets, *(ood or [])]
    manifests = [read_manifest(source, whole=False) for source in sets]
    manifests += [read_manifest(source, role="ood", whole=False) for source in ood or []]
    roles: list[Role] = [manifest.role if i < len(sets) else "ood" for i, manifest in enumerate(manifests)]

    from_card = differences(manifests[0], card) if card is not None else []
    encoder = None
    if features is not None:
        from ood_lightning.data.check.near_duplicates import encoder_of  # torch takes its time

        encoder = encoder_of(features, manifests)  # before hours of reading

    contents = content(list(zip(_with_distinct_names(sources, manifests), roles, strict=True)), workers)
    problems: list[Problem] = []
    for of_set in contents:
        problems += of_set.problems
        problems += [problem for shard in of_set.shards for problem in shard.problems]

    groups = duplicates(contents)
    keys = key_at(contents, [image for group in groups for image in group])
    problems += _exact(contents, groups, keys)
    if encoder is not None:
        problems += _near(contents, manifests, encoder, near, groups, keys)
    problems += [Problem(contents[0].manifest.name, "card", "set", line.text) for line in from_card if line.certain]

    print_check(contents, problems)
    for manifest in manifests:
        if manifest.passed_over:
            print(f"{manifest.name}: no pictures by name: {listed(manifest.passed_over)}")
    if encoder is None and len({*roles}) > 1 and "ood" in roles:
        print("OOD pictures that are nearly ID ones were not looked for: that takes --features")
    for line in from_card:
        if not line.certain:
            print(f"worth a look: {line.text}")
    if out is not None:
        write_json(expanded(out), as_json(contents, problems), escaped=True)
        print(f"report: {out}")
    return 1 if problems else 0


def _with_distinct_names(sources: Sequence[str], manifests: Sequence[Manifest]) -> list[Manifest]:
    """The sets' manifests, in which sets of the same name are called by their sources.

    Raises:
        SettingsError: a set is given twice.
    """
    seen: set[object] = set()
    for source, manifest in zip(sources, manifests, strict=True):
        identity = (manifest.root.resolve(), manifest.shards, *manifest.origins.values())
        if identity in seen:
            raise SettingsError(f"the set {redacted(source)} is given twice: all its pictures would be duplicates")
        seen.add(identity)

    names = [manifest.name for manifest in manifests]
    return [
        replace(manifest, name=redacted(source)) if names.count(manifest.name) > 1 else manifest
        for source, manifest in zip(sources, manifests, strict=True)
    ]


def _exact(
    contents: Sequence[SetContent], groups: Sequence[Sequence[Place]], keys: Mapping[Place, str]
) -> list[Problem]:
    """A problem for every image whose bytes came before, in its set or in another.

    Args:
        contents: of all sets.
        groups: images of the same bytes.
        keys: of these images, as `shard key`.
    """
    problems = []
    for first, *further in groups:
        for image in further:
            name, other = contents[image[0]].manifest.name, contents[first[0]].manifest.name
            whose = "of this set" if image[0] == first[0] else f"of set {other!r}"
            problems.append(Problem(name, "duplicate", keys[image], f"has the bytes of {keys[first]} {whose}"))
    return problems


def _near(
    contents: Sequence[SetContent],
    manifests: Sequence[Manifest],
    encoder: Path,
    min_cosine: float,
    groups: Sequence[Sequence[Place]],
    keys: Mapping[Place, str],
) -> list[Problem]:
    """A problem for every image of an OOD set that is nearly one of another set, but for exact duplicates of that set.

    Args:
        contents: of all sets.
        manifests: of these sets.
        encoder: folder of their features.
        min_cosine: of two features that count as near.
        groups: images of the same bytes.
        keys: of these images, as `shard key`.
    """
    from ood_lightning.data.check.near_duplicates import near_duplicates, stored

    n_bad = sum(p.kind == "picture" for of_set in contents for shard in of_set.shards for p in shard.problems)
    features = stored(encoder, manifests, n_bad)
    queries = [i for i, of_set in enumerate(contents) if of_set.role == "ood"]
    references = [i for i, of_set in enumerate(contents) if of_set.role != "ood"]

    problems = []
    for query, reference in product(queries, references):
        shared = [group for group in groups if {query, reference} <= {image[0] for image in group}]
        exact = {keys[image] for group in shared for image in group if image[0] == query}
        name, other = contents[query].manifest.name, contents[reference].manifest.name

        for pair in near_duplicates(features[query], features[reference], min_cosine):
            if pair.key not in exact:
                text = f"has cosine {pair.cosine:.4f} with {pair.nearest} of set {other!r}"
                problems.append(Problem(name, "near", pair.key, text))
    return problems
