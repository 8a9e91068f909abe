"""Label sets for the eye: one set, and what differs between two. Needs no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ood_lightning.data.artifacts.label_set import LabelSet, Positive
from ood_lightning.functional.overlap import folded, overlap
from ood_lightning.wordnet.hops import NounHops, noun_hops

if TYPE_CHECKING:
    from rich.console import Console

WIDTH = 160  # where no terminal says its own
FEW = 12  # words in a line of examples
LONG = 60  # characters of one value of a recipe
SUPPORT = ("positive", "clusters", "images", "agreement")
SUMMARY = [  # key of a recipe, and the texts around its value
    ("method", [("method", "", "")]),
    (
        "corpus",
        [
            ("corpus.name", "", ""),
            ("corpus.words", "", " words"),
            ("corpus.entries", "", " entries"),
            ("corpus.sha256", "sha256 ", ""),
        ],
    ),
    ("prompts", [("prompts.templates", "", ""), ("prompts.order", "", "")]),
    ("encoder", [("encoder.name", "", ""), ("encoder.fingerprint", "fingerprint ", "")]),
    ("ID set", [("id_set.name", "", ""), ("id_set.pictures", "", " pictures")]),
    (
        "TEMI",
        [(f"temi.{key}", f"{key} ", "") for key in ("n_clusters", "n_heads", "epochs", "n_neighbours", "batch_size")],
    ),
    ("also", [(key, f"{key} ", "") for key in ("min_images", "quantile", "seed")]),
    ("versions", [(f"versions.{key}", f"{key} ", "") for key in ("ood_lightning", "torch", "open_clip")]),
]


def console() -> Console:
    """A terminal that takes words as they are: no markup, `[red]` is a word too."""
    from rich.console import Console

    return Console(width=None if Console().is_terminal else WIDTH, markup=False, highlight=False, emoji=False)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Any:
    """A plain table; the first column to the left, numbers to the right."""
    from rich.box import SIMPLE
    from rich.table import Table

    shown = Table(title=title, title_justify="left", box=SIMPLE)
    for i, name in enumerate(columns):
        shown.add_column(name, justify="right" if i else "left", overflow="fold")  # no word is cut short
    for row in rows:
        shown.add_row(*row)
    return shown


def by_support(positives: Sequence[Positive]) -> list[Positive]:
    """The positives by falling images, then clusters, then as they stand."""
    return sorted(positives, key=lambda p: (-(p.images or 0), -(p.clusters or 0)))


def flat(recipe: Mapping[str, Any], under: str = "") -> dict[str, str]:
    """A recipe's values as texts by dotted keys.

    >>> flat({"temi": {"n_clusters": 4}, "seed": 0})
    {'temi.n_clusters': '4', 'seed': '0'}
    """
    found: dict[str, str] = {}
    for key, value in recipe.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{under}{key}.")
        else:
            found[under + key] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return found


def summary(labels: LabelSet) -> list[tuple[str, str]]:
    """What a set is and was made from, as pairs of a word and its meaning; what its recipe lacks is left out."""
    told = flat(labels.recipe)
    lines = [
        (name, ", ".join(f"{before}{_told(key, told[key])}{after}" for key, before, after in parts if key in told))
        for name, parts in SUMMARY
    ]
    edited = "EDITED since it was written" if labels.edited else "as it was written"
    lines += [
        ("given", ", ".join(labels.supervision) or "nothing"),
        ("negatives", _negatives(labels)),
        ("sha256", f"{labels.sha256[:12]}, {edited}"),
    ]
    return [(name, text) for name, text in lines if text]


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
    for name, text in summary(labels):
        out.print(f"  {name:<10}{text}", soft_wrap=True)
    for oddity in labels.oddities():
        out.print(f"  note      {oddity}", soft_wrap=True)
    true = {folded(name) for name in names or ()}
    if names:
        found = overlap(labels.words, names)
        own = {folded(word) for word in labels.words}
        missed = [name for name in dict.fromkeys(names) if folded(name) not in own]
        share = {what: f"{100 * getattr(found, what):.1f} %" for what in ("overlap", "precision", "f1")}
        out.print(
            f"  names     {found.hits} of {found.names} are positives: overlap {share['overlap']}, precision "
            f"{share['precision']}, F1 {share['f1']}" + (f"; not mined: {_some(missed)}" if missed else ""),
            soft_wrap=True,
        )
        out.print(f"  hops      {_hops(noun_hops(labels.words, names))}", soft_wrap=True)
    shown = by_support(labels.positives)[:top]
    columns = [*SUPPORT, *(["true name"] if names else [])]
    rows = [[p.label, *_support(p), *(["*" if folded(p.label) in true else ""] if names else [])] for p in shown]
    out.print(table("", columns, rows))
    if len(shown) < len(labels.positives):
        out.print(f"  ... and {len(labels.positives) - len(shown):,} more: --top {len(labels.positives)} shows all")


def print_difference(sources: tuple[str, str], sets: tuple[LabelSet, LabelSet], top: int) -> None:
    """What differs between two sets: recipe, words on one side alone, support of common words.

    Args:
        sources: where they were read.
        sets: the sets, A and B.
        top: words of each kind to show, those of most images first.
    """
    out, (a, b) = console(), sets
    for side, source, labels in zip("AB", sources, sets, strict=True):
        edited = ", EDITED" if labels.edited else ""
        told = f"{side}: {source}, {len(labels.positives):,} positives, sha256 {labels.sha256[:12]}{edited}"
        out.print(told, soft_wrap=True)
    recipes = flat(a.recipe), flat(b.recipe)
    changed = [key for key in dict.fromkeys([*recipes[0], *recipes[1]]) if recipes[0].get(key) != recipes[1].get(key)]
    if changed:
        rows = [[key, *(_told(key, recipe.get(key, "-")) for recipe in recipes)] for key in changed]
        out.print(table("recipe", ["key", "A", "B"], rows))
    if a.negatives != b.negatives:
        out.print(f"negatives: A {_negatives(a)}; B {_negatives(b)}", soft_wrap=True)
    of_a, of_b = ({folded(p.label): p for p in labels.positives} for labels in sets)
    for side, own, other in (("A", of_a, of_b), ("B", of_b, of_a)):
        alone = by_support([p for word, p in own.items() if word not in other])
        if alone:
            rows = [[p.label, *_support(p)] for p in alone[:top]]
            out.print(table(f"only in {side}: {len(alone):,}{_first(top, alone)}", SUPPORT, rows))
    pairs = [(p, of_b[word]) for word, p in of_a.items() if word in of_b]
    moved = [(p, q) for p, q in pairs if _support(p) != _support(q)]
    out.print(f"in both: {len(pairs):,} words, {len(moved):,} of them with another support")
    if moved:
        moved.sort(key=lambda pair: -abs((pair[0].images or 0) - (pair[1].images or 0)))
        rows = [[p.label, *map(_change, _support(p), _support(q))] for p, q in moved[:top]]
        out.print(table(f"support, A > B, by change of images{_first(top, moved)}", SUPPORT, rows))
    if not changed and a.positives == b.positives and a.negatives == b.negatives:
        out.print("the two sets are the same")


def _hops(found: NounHops) -> str:
    """Distances in WordNet, and what has none."""
    of_names = f"{found.known:,} of {found.names:,} names are nouns of WordNet 3.0"
    if found.mean is None:
        return f"none: {of_names}, and no positive leads to one"
    bins = ", ".join(f"{n:,} at {at}" for at, n in enumerate(found.bins) if n)
    return f"{found.mean:.2f} on average to the nearest name ({bins}; {found.unreachable:,} are no nouns); {of_names}"


def _support(positive: Positive) -> list[str]:
    counts = ["-" if n is None else f"{n:,}" for n in (positive.clusters, positive.images)]
    return [*counts, "-" if positive.agreement is None else f"{100 * positive.agreement:.1f} %"]


def _change(a: str, b: str) -> str:
    return a if a == b else f"{a} > {b}"


def _first(top: int, every: Sequence[object]) -> str:
    return f", the first {top}" if len(every) > top else ""


def _negatives(labels: LabelSet) -> str:
    if labels.negatives is None:
        return "the rest of the corpus"
    return f"{len(labels.negatives):,} words" + (f" ({_some(labels.negatives)})" if labels.negatives else "")


def _some(words: Sequence[str]) -> str:
    return ", ".join(words[:FEW]) + (", ..." if len(words) > FEW else "")


def _told(key: str, value: str) -> str:
    return value[:12] if key.endswith("sha256") else _short(value)


def _short(text: str) -> str:
    return text if len(text) <= LONG else f"{text[: LONG - 3]}..."
