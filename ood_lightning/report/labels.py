"""Label sets for the eye: one set, and what differs between two. Needs no torch."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ood_lightning.data.artifacts.label_set import LabelSet, Positive
from ood_lightning.functional.overlap import overlap
from ood_lightning.report.console import console, table
from ood_lightning.spelling import folded
from ood_lightning.wordnet.hops import NounHops, noun_hops

FEW = 12  # words in a line of examples
LONG = 60  # characters of one value of a recipe
HEADING = 13  # width of the words before the lines of a summary
SUPPORT = ("positive", "clusters", "images", "agreement")
SUMMARY = {  # heading of a line -> keys of a recipe, and how their values are written
    "method": {"method": "{}"},
    "corpus": {
        "corpus.name": "{}",
        "corpus.words": "{} words",
        "corpus.entries": "{} entries",
        "corpus.sha256": "sha256 {}",
    },
    "prompts": {"prompts.templates": "{}", "prompts.order": "{}"},
    "encoder": {"encoder.name": "{}", "encoder.fingerprint": "fingerprint {}"},
    "ID set": {"id_set.name": "{}", "id_set.pictures": "{} pictures"},
    "TEMI": {
        "temi.n_clusters": "n_clusters {}",
        "temi.n_heads": "n_heads {}",
        "temi.epochs": "epochs {}",
        "temi.n_neighbours": "n_neighbours {}",
        "temi.batch_size": "batch_size {}",
    },
    "k-means": {
        "kmeans.n_clusters": "n_clusters {}",
        "kmeans.method": "{}",
        "kmeans.starts": "starts {}",
    },
    "also": {"min_images": "min_images {}", "quantile": "quantile {}", "seed": "seed {}"},
    "versions": {
        "versions.ood_lightning": "ood_lightning {}",
        "versions.torch": "torch {}",
        "versions.open_clip": "open_clip {}",
    },
}


def by_support(positives: Iterable[Positive]) -> list[Positive]:
    """The positives by falling images, then clusters, then as they stand."""
    return sorted(positives, key=lambda p: (-(p.images or 0), -(p.clusters or 0)))


def flat(recipe: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """A recipe's values as texts by dotted keys.

    Example:
        >>> flat({"temi": {"n_clusters": 4}, "seed": 0})
        {'temi.n_clusters': '4', 'seed': '0'}
    """
    values: dict[str, str] = {}
    for key, value in recipe.items():
        if isinstance(value, Mapping):
            values |= flat(value, f"{prefix}{key}.")
        else:
            values[prefix + key] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return values


def summary(labels: LabelSet) -> dict[str, str]:
    """What a set is and was made from, by heading; headings of which its recipe says nothing are left out."""
    recipe = flat(labels.recipe)
    texts = {
        heading: [text.format(_value(key, recipe[key])) for key, text in parts.items() if key in recipe]
        for heading, parts in SUMMARY.items()
    }

    edited = "EDITED since it was written" if labels.edited else "as it was written"
    return {heading: ", ".join(parts) for heading, parts in texts.items() if any(parts)} | {
        "supervision": ", ".join(labels.supervision) or "nothing",
        "negatives": _negatives(labels),
        "sha256": f"{labels.sha256[:12]}, {edited}",
    }


def print_set(source: str, labels: LabelSet, top: int, names: Sequence[str] | None = None) -> None:
    """A set's summary and its best supported positives.

    Args:
        source: where it was read.
        labels: the set.
        top: positives to show.
        names: true names to compare with.
    """
    out = console()
    out.print(f"{source}: {len(labels.positives):,} positives")
    lines = [*summary(labels).items(), *(("note", oddity) for oddity in labels.oddities())]
    if names:
        lines += [("names", _compared(labels.words, names)), ("hops", _hops(noun_hops(labels.words, names)))]
    for heading, text in lines:
        out.print(f"  {heading:<{HEADING}}{text}", soft_wrap=True)

    rows = [[p.label, *_support(p)] for p in by_support(labels.positives)[:top]]
    if names:
        true = {folded(name) for name in names}
        rows = [[*row, "*" if folded(row[0]) in true else ""] for row in rows]
    out.print(table("", [*SUPPORT, "true name"] if names else SUPPORT, rows))

    if len(rows) < len(labels.positives):
        out.print(f"  ... and {len(labels.positives) - len(rows):,} more: --top {len(labels.positives)} shows all")


def print_difference(sources: tuple[str, str], sets: tuple[LabelSet, LabelSet], top: int) -> None:
    """What differs between two sets: recipe, words on one side alone, support of common words.

    Args:
        sources: where they were read.
        sets: the sets, A and B.
        top: words of each kind to show, those of most images first.
    """
    out = console()
    for side, source, labels in zip("AB", sources, sets, strict=True):
        edited = ", EDITED" if labels.edited else ""
        out.print(
            f"{side}: {source}, {len(labels.positives):,} positives, sha256 {labels.sha256[:12]}{edited}",
            soft_wrap=True,
        )

    a, b = sets
    recipe_a, recipe_b = flat(a.recipe), flat(b.recipe)
    changed = [key for key in recipe_a | recipe_b if recipe_a.get(key) != recipe_b.get(key)]
    if changed:
        rows = [[key, _value(key, recipe_a.get(key, "-")), _value(key, recipe_b.get(key, "-"))] for key in changed]
        out.print(table("recipe", ["key", "A", "B"], rows))
    if a.negatives != b.negatives:
        out.print(f"negatives: A {_negatives(a)}; B {_negatives(b)}", soft_wrap=True)

    _print_positives(a, b, top)
    if not changed and a.positives == b.positives and a.negatives == b.negatives:
        out.print("the two sets are the same")


def _print_positives(a: LabelSet, b: LabelSet, top: int) -> None:
    """Words on one side alone, then common words with another support on either side."""
    of_a = {folded(p.label): p for p in a.positives}
    of_b = {folded(p.label): p for p in b.positives}
    for side, these, others in (("A", of_a, of_b), ("B", of_b, of_a)):
        alone = by_support(p for word, p in these.items() if word not in others)
        _print_first(f"only in {side}: {len(alone):,}", [[p.label, *_support(p)] for p in alone], top)

    pairs = [(p, of_b[word]) for word, p in of_a.items() if word in of_b]
    moved = [(p, q) for p, q in pairs if _support(p) != _support(q)]
    moved.sort(key=lambda pair: -abs((pair[0].images or 0) - (pair[1].images or 0)))
    console().print(f"in both: {len(pairs):,} words, {len(moved):,} of them with another support")
    supports = [(p.label, zip(_support(p), _support(q), strict=True)) for p, q in moved]
    rows = [[label, *(old if old == new else f"{old} > {new}" for old, new in support)] for label, support in supports]
    _print_first("support, A > B, by change of images", rows, top)


def _print_first(title: str, rows: Sequence[Sequence[str]], top: int) -> None:
    """A table of words and their support, if there are any."""
    if rows:
        first = f", the first {top}" if len(rows) > top else ""
        console().print(table(title + first, SUPPORT, rows[:top]))


def _compared(words: Sequence[str], names: Sequence[str]) -> str:
    """How many of the true names are among a set's words, and which are not."""
    hits = overlap(words, names)
    text = (
        f"{hits.hits} of {hits.names} are positives: overlap {100 * hits.overlap:.1f} %, "
        f"precision {100 * hits.precision:.1f} %, F1 {100 * hits.f1:.1f} %"
    )

    mined = {folded(word) for word in words}
    missed = [name for name in dict.fromkeys(names) if folded(name) not in mined]
    return f"{text}; not mined: {_examples(missed)}" if missed else text


def _hops(hops: NounHops) -> str:
    """Distances in WordNet, and how many names and words have none."""
    of_names = f"{hops.known:,} of {hops.names:,} names are nouns of WordNet 3.0"
    if hops.mean is None:
        return f"none: {of_names}, and no positive leads to one"

    bins = ", ".join(f"{n:,} at {distance}" for distance, n in enumerate(hops.bins) if n)
    return f"{hops.mean:.2f} on average to the nearest name ({bins}; {hops.unreachable:,} are no nouns); {of_names}"


def _support(positive: Positive) -> list[str]:
    """Clusters, images and agreement as cells; `-` where unknown."""
    counts = ["-" if n is None else f"{n:,}" for n in (positive.clusters, positive.images)]
    return [*counts, "-" if positive.agreement is None else f"{100 * positive.agreement:.1f} %"]


def _negatives(labels: LabelSet) -> str:
    if labels.negatives is None:
        return "the rest of the corpus"
    return f"{len(labels.negatives):,} words" + (f" ({_examples(labels.negatives)})" if labels.negatives else "")


def _examples(words: Sequence[str]) -> str:
    return ", ".join(words[:FEW]) + (", ..." if len(words) > FEW else "")


def _value(key: str, value: str) -> str:
    """A recipe's value, cut to what fits into a line."""
    if key.endswith("sha256"):
        return value[:12]
    return value if len(value) <= LONG else f"{value[: LONG - 3]}..."
