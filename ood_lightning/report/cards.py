"""Cards of sets for the eye: a table of many, one in full, and the commands that lead to its shards. Needs no torch."""

import re
import shlex
from collections.abc import Sequence
from itertools import chain

from ood_lightning.data.cards.card import NOT_STATED, TOLERANCE, Card, Mirror, Protocol
from ood_lightning.data.cards.cards import find, groups_of, shards
from ood_lightning.data.cards.figures import Figures
from ood_lightning.report.console import console, table

COLUMNS = ["set", "role", "images", "classes", "size on disk", "licence", "groups"]
LEGEND = "?: not counted in a list and stated in no paper at hand, so another count is worth a warning, no more."
ENCODER = "configs/encoders/vit_h14_dfn5b.yaml"
LABEL = 13  # width of the words before a card's lines


def count(protocol: Protocol) -> str:
    """`50,000`, `7,500 ?` where not confirmed, `not stated`."""
    if protocol.images is None:
        return NOT_STATED
    return f"{protocol.images:,}" if protocol.confirmed else f"{protocol.images:,} ?"


def lines(references: Sequence[str]) -> list[list[str]]:
    """A table of sets as lines of cells, the header first."""
    table = [COLUMNS]
    for reference in references:
        card, protocol = find(reference)
        classes = "-" if card.classes is None else f"{card.classes:,}"
        size = re.split(r" \(|;", card.size_of(protocol))[0]  # without what it is the size of
        groups = ", ".join(groups_of(card.name)) or "-"
        table.append([card.reference(protocol), card.role, count(protocol), classes, size, card.licence, groups])
    return table


def total(references: Sequence[str]) -> str:
    """Sum of the sizes that sources state, in words; of two sets of which one is part of the other, both count."""
    sizes = {card.name: card.gigabytes(protocol) for card, protocol in map(find, references)}
    stated = [size for size in sizes.values() if size is not None]
    if not stated:
        these = "this set" if len(sizes) == 1 else f"any of these {len(sizes)} sets"
        return f"No source at hand states a size of {these}."
    return (
        f"Stated sizes: {sum(stated):.1f} GB for {len(stated)} of {len(sizes)} sets. Pictures unpacked from archives, "
        f"and shards, take about as much again, each."
    )


def packing(card: Card, protocol: Protocol) -> str:
    """The commands that make shards and check them; empty without a recipe."""
    if not protocol.pack:
        return ""

    out, reference = shards(card, protocol), card.reference(protocol)
    source, *further = protocol.pack.split(" --")
    options = [
        *further,
        f"out {out}",
        f"name {out.removeprefix('shards/')} --role {card.role} --protocol {reference}",
        f"licence {shlex.quote(card.licence)}",
        f"origin {card.source}",
    ]
    pack = " \\\n    --".join([f"python -m ood_lightning data pack {source}", *options])
    return f"{pack}\npython -m ood_lightning data check {out} --card {reference}"


def embedding(folders: Sequence[str]) -> str:
    """The command that stores the features of packed sets."""
    return f"python -m ood_lightning embed --encoder {ENCODER} \\\n    --shards '[{', '.join(folders)}]'"


def commands(card: Card, protocol: Protocol) -> str:
    """Shell commands from nothing to features, of a protocol that has a recipe."""
    return "\n".join(
        ["mkdir -p raw shards", *protocol.blocks, packing(card, protocol), embedding([shards(card, protocol)])]
    )


def card_lines(card: Card) -> list[tuple[str, str]]:
    """What a card says, as pairs of a word and its meaning; it says nothing of words that are left out."""
    contamination = ""
    if card.contamination is not None:
        percent = card.contamination.percent
        contamination = ("" if percent is None else f"{percent:g} %: ") + card.contamination.note

    pairs = [
        ("role", card.role),
        *(("images", f"{count(p)} ({p.name}): {p.rule}. Count: {p.evidence}") for p in card.protocols),
        ("classes", NOT_STATED if card.classes is None else f"{card.classes:,}"),
        ("left out", ", ".join(card.excludes)),
        ("licence", card.licence),
        ("source", card.source),
        *chain.from_iterable(map(_mirror_lines, card.mirrors)),
        ("size", card.size or NOT_STATED),
        ("shows ID", contamination),
        *(("check", check) for check in card.checks),
        *(("beware", trap) for trap in card.traps),
        *_top1_lines(card),
        ("groups", ", ".join(groups_of(card.name)) or "none"),
        ("cite", card.citation + (f", {card.paper}" if card.paper else "")),
        ("synsets", " ".join(card.synsets)),
    ]
    return [(word, meaning) for word, meaning in pairs if meaning]


def _mirror_lines(mirror: Mirror) -> list[tuple[str, str]]:
    shards = f" ({mirror.shards})" if mirror.shards else ""
    pack = f"data pack {mirror.pack}" if mirror.pack else ""
    return [("mirror", f"{mirror.url}: {mirror.holds}{shards}"), ("or from it", pack)]


def _top1_lines(card: Card) -> list[tuple[str, str]]:
    """Published zero-shot accuracy, if any."""
    if card.top1 is None:
        return []

    protocols = f" of protocol {', '.join(card.top1.protocols)}" if card.top1.protocols else ""
    templates = f"{len(card.top1.templates)} templates" if card.top1.templates else "OpenAI's 80 templates"
    tolerance = f"{TOLERANCE:g} points on either side pass"
    return [
        ("zero-shot", f"published top-1 in percent{protocols} under {templates}; {tolerance}"),
        *chain.from_iterable(map(_figure_lines, card.top1.tables)),
    ]


def _figure_lines(figures: Figures) -> list[tuple[str, str]]:
    percents = [("", f"{percent:.2f} {model}") for model, percent in figures.percent.items()]
    return [*percents, ("", f"by {figures.source}")]


def print_cards(references: Sequence[str], title: str = "", note: str = "") -> None:
    """A table of sets on the terminal."""
    header, *rows = lines(references)
    rich_table = table(title, header, rows)
    for column in rich_table.columns:
        column.justify = "right" if column.header in ("images", "classes") else "left"
        column.no_wrap = column.header == "set"

    out = console()
    out.print(rich_table)
    legend = LEGEND if any(row[2].endswith("?") for row in rows) else ""
    for text in filter(None, (note, total(references), legend)):
        out.print(text, soft_wrap=True)


def print_card(card: Card, protocol: Protocol) -> None:
    """A card in full, and the commands of one of its protocols."""
    out = console()
    out.print(f"{card.name}: {card.title}", soft_wrap=True)
    for name, text in card_lines(card):
        out.print(f"  {name:<{LABEL}}{text}", soft_wrap=True)

    if protocol.pack:
        if protocol.fetch is not None or protocol.pack.startswith("hf:"):
            out.print(
                f"\nTo shards in one: python -m ood_lightning data get {card.reference(protocol)}", soft_wrap=True
            )
        out.print(f"\nFrom nothing to features, protocol {protocol.name} (not run by us):\n")
        out.print(commands(card, protocol), soft_wrap=True)
    else:
        out.print(f"\nThere is no recipe for protocol {protocol.name}.")
