"""`data check`: what is wrong with sets before a number is computed from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ood_lightning.data.check import Problem, SetContent


def check(
    sets: list[str],
    ood: list[str] | None = None,
    features: str | None = None,
    near: float = 0.98,
    against: str | None = None,
    out: str | None = None,
    workers: int = 2,
) -> int:
    """Damage, counts, labels, undecodable pictures and duplicates of sets; ends with 1 if anything is wrong.

    Args:
        sets: folders with manifests, or tars by brace lists.
        ood: sets that are OOD here, whatever their manifests say.
        features: feature cache with all these sets under one encoder, to find OOD pictures that are nearly ID ones.
        near: least cosine between features of such near-duplicates; depends on the encoder.
        against: card that one given set is compared with, `NAME` or `NAME@PROTOCOL` of `data list`.
        out: .json for the report.
        workers: processes that read the shards.
    """
    from pathlib import Path

    from ood_lightning.cli.checks import check_ending, check_least
    from ood_lightning.data.against import differences
    from ood_lightning.data.check import Problem, content
    from ood_lightning.data.files import write_json
    from ood_lightning.data.manifest import read_manifest
    from ood_lightning.errors import SettingsError
    from ood_lightning.report.checked import as_json, print_check

    if not 0 < near <= 1:
        raise SettingsError(f"near is {near}: expected a cosine above 0, at most 1")
    check_least(1, workers=workers)
    check_ending(out, ".json")
    if against is not None and len(sets) + len(ood or []) != 1:
        raise SettingsError(f"against compares one set with the card {against!r}: check the others by themselves")
    given = [read_manifest(source, whole=False) for source in sets]
    others = [read_manifest(source, role="ood", whole=False) for source in ood or []]
    differs = [] if against is None else differences((given + others)[0], against)
    encoder = None
    if features is not None:
        from ood_lightning.data.near import encoder_of  # torch takes its time

        encoder = encoder_of(features, given + others)  # before hours of reading
    contents = content([*((m, m.role) for m in given), *((m, "ood") for m in others)], workers)
    problems = [p for of_set in contents for p in (*of_set.problems, *(q for s in of_set.shards for q in s.problems))]
    problems += _twice(contents)
    if encoder is not None:
        problems += _near(contents, encoder, near)
    problems += [Problem(contents[0].manifest.name, "card", "set", found.text) for found in differs if found.certain]
    print_check(contents, problems)
    roles = {of_set.role for of_set in contents}
    if encoder is None and "ood" in roles and len(roles) > 1:
        print("OOD pictures that are nearly ID ones were not looked for: that takes --features")
    for found in differs:
        if not found.certain:
            print(f"worth a look: {found.text}")
    if out is not None:
        write_json(Path(out), as_json(contents, problems), escaped=True)
        print(f"report: {out}")
    return 1 if problems else 0


def _twice(contents: Sequence[SetContent]) -> list[Problem]:
    from ood_lightning.data.check import Problem, duplicates, key_at

    groups = duplicates(contents)
    named = key_at(contents, [place for group in groups for place in group])
    found = []
    for first, *further in groups:
        for place in further:
            of, other = contents[place[0]].manifest.name, contents[first[0]].manifest.name
            whose = "of this set" if place[0] == first[0] else f"of set {other!r}"
            found.append(Problem(of, "duplicate", named[place], f"has the bytes of {named[first]} {whose}"))
    return found


def _near(contents: Sequence[SetContent], encoder: Path, least: float) -> list[Problem]:
    from ood_lightning.data.check import Problem
    from ood_lightning.data.near import near_duplicates, stored

    bad = sum(p.kind == "picture" for of_set in contents for shard in of_set.shards for p in shard.problems)
    found = stored(encoder, [of_set.manifest for of_set in contents], bad)
    sides = list(zip(contents, found, strict=True))
    return [
        Problem(asked.name, "near", near.key, f"has cosine {near.cosine:.4f} with {near.nearest} of set {known.name!r}")
        for of_asked, asked in sides
        for of_known, known in sides
        if of_asked.role == "ood" and of_known.role != "ood"
        for near in near_duplicates(asked, known, least)
    ]
