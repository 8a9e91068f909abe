"""`data check`: what is wrong with sets before a number is computed from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ood_lightning.data.check.content import Problem, SetContent
    from ood_lightning.data.check.exact_duplicates import Place
    from ood_lightning.data.shards.manifest import Manifest, Role


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
        sets: folders with manifests, or tars by brace lists.
        ood: sets that are OOD here, whatever their manifests say.
        features: feature cache with all these sets under one encoder, to find OOD pictures that are nearly ID ones.
        near: least cosine between features of such near-duplicates; depends on the encoder.
        card: that one given set is compared with, `NAME` or `NAME@PROTOCOL` of `data list`.
        out: .json for the report.
        workers: processes that read the shards.
    """
    from pathlib import Path

    from ood_lightning.cli.checks import check_least, check_out
    from ood_lightning.data.artifacts.files import write_json
    from ood_lightning.data.cards.compare import differences
    from ood_lightning.data.check.content import Problem, content
    from ood_lightning.data.check.exact_duplicates import duplicates, key_at
    from ood_lightning.data.shards.read_manifest import read_manifest
    from ood_lightning.errors import SettingsError
    from ood_lightning.report.checked import as_json, print_check

    if not 0 < near <= 1:
        raise SettingsError(f"near is {near}: expected a cosine above 0, at most 1")
    check_least(1, workers=workers)
    check_out(out, ".json")
    if card is not None and len(sets) + len(ood or []) != 1:
        raise SettingsError(f"card {card!r} is compared with one set: check the others by themselves")
    sources = [*sets, *(ood or [])]
    given = [read_manifest(source, whole=False) for source in sets]
    others = [read_manifest(source, role="ood", whole=False) for source in ood or []]
    manifests = given + others
    differs = [] if card is None else differences(manifests[0], card)
    encoder = None
    if features is not None:
        from ood_lightning.data.check.near_duplicates import encoder_of  # torch takes its time

        encoder = encoder_of(features, manifests)  # before hours of reading
    roles: list[Role] = [manifest.role for manifest in given]
    roles += ["ood"] * len(others)
    contents = content(list(zip(_told_apart(sources, manifests), roles, strict=True)), workers)
    problems = [p for of_set in contents for p in (*of_set.problems, *(q for s in of_set.shards for q in s.problems))]
    groups = duplicates(contents)
    named = key_at(contents, [place for group in groups for place in group])
    problems += _twice(contents, groups, named)
    if encoder is not None:
        problems += _near(contents, manifests, encoder, near, groups, named)
    problems += [Problem(contents[0].manifest.name, "card", "set", found.text) for found in differs if found.certain]
    print_check(contents, problems)
    if encoder is None and len({*roles}) > 1 and "ood" in roles:
        print("OOD pictures that are nearly ID ones were not looked for: that takes --features")
    for found in differs:
        if not found.certain:
            print(f"worth a look: {found.text}")
    if out is not None:
        write_json(Path(out), as_json(contents, problems), escaped=True)
        print(f"report: {out}")
    return 1 if problems else 0


def _told_apart(sources: Sequence[str], manifests: Sequence[Manifest]) -> list[Manifest]:
    """The sets; those that are called the same go by where they lie."""
    from dataclasses import replace

    from ood_lightning.errors import SettingsError

    seen: set[object] = set()
    for source, manifest in zip(sources, manifests, strict=True):
        place = (manifest.root.resolve(), manifest.shards, *manifest.origins.values())
        if place in seen:
            raise SettingsError(f"the set {source} is given twice: all its pictures would be duplicates")
        seen.add(place)
    names = [manifest.name for manifest in manifests]
    return [
        replace(manifest, name=source) if names.count(manifest.name) > 1 else manifest
        for source, manifest in zip(sources, manifests, strict=True)
    ]


def _twice(
    contents: Sequence[SetContent], groups: Sequence[Sequence[Place]], named: Mapping[Place, str]
) -> list[Problem]:
    from ood_lightning.data.check.content import Problem

    found = []
    for first, *further in groups:
        for place in further:
            of, other = contents[place[0]].manifest.name, contents[first[0]].manifest.name
            whose = "of this set" if place[0] == first[0] else f"of set {other!r}"
            found.append(Problem(of, "duplicate", named[place], f"has the bytes of {named[first]} {whose}"))
    return found


def _near(
    contents: Sequence[SetContent],
    manifests: Sequence[Manifest],
    encoder: Path,
    least: float,
    groups: Sequence[Sequence[Place]],
    named: Mapping[Place, str],
) -> list[Problem]:
    """Near-duplicates of OOD sets in the others; what has the very bytes of one there is told as that alone."""
    from ood_lightning.data.check.content import Problem
    from ood_lightning.data.check.near_duplicates import near_duplicates, stored

    bad = sum(p.kind == "picture" for of_set in contents for shard in of_set.shards for p in shard.problems)
    found = stored(encoder, manifests, bad)
    sides = list(enumerate(zip(contents, found, strict=True)))
    problems = []
    for i, (of_asked, asked) in sides:
        for j, (of_known, known) in sides:
            if of_asked.role != "ood" or of_known.role == "ood":
                continue
            same = [group for group in groups if {i, j} <= {place[0] for place in group}]
            twins = {named[place] for group in same for place in group if place[0] == i}
            problems += [
                Problem(
                    of_asked.manifest.name,
                    "near",
                    near.key,
                    f"has cosine {near.cosine:.4f} with {near.nearest} of set {of_known.manifest.name!r}",
                )
                for near in near_duplicates(asked, known, least)
                if near.key not in twins
            ]
    return problems
