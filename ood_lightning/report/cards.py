"""Cards of sets for the eye: a table of many, one in full, and the commands that lead to its shards. Needs no torch."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence

from ood_lightning.data.cards.card import NOT_STATED, TOLERANCE, Card, Protocol
from ood_lightning.data.cards.cards import find, groups_of

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


def shards(card: Card, protocol: Protocol) -> str:
    """Folder for the shards of a set: `shards/openimage-o`, `shards/openimage-o-openood`."""
    return "shards/" + card.reference(protocol).replace("@", "-")


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
    """Shell commands from nothing to features; empty without a recipe."""
    if not protocol.pack:
        return ""
    return "\n".join(
        ["mkdir -p raw shards", *protocol.blocks, packing(card, protocol), embedding([shards(card, protocol)])]
    )


def card_lines(card: Card) -> Iterator[tuple[str, str]]:
    """What a card says, as pairs of a word and its meaning."""
    yield "role", card.role
    for protocol in card.protocols:
        yield "images", f"{count(protocol)} ({protocol.name}): {protocol.rule}. Count: {protocol.evidence}"
    yield "classes", NOT_STATED if card.classes is None else f"{card.classes:,}"
    if card.excludes:
        yield "left out", ", ".join(card.excludes)

    yield "licence", card.licence
    yield "source", card.source
    for mirror in card.mirrors:
        yield "mirror", f"{mirror.url}: {mirror.holds}" + (f" ({mirror.shards})" if mirror.shards else "")
        if mirror.pack:
            yield "or from it", f"data pack {mirror.pack}"
    yield "size", card.size or NOT_STATED

    if card.contamination is not None:
        percent = card.contamination.percent
        yield "shows ID", ("" if percent is None else f"{percent:g} %: ") + card.contamination.note
    for check in card.checks:
        yield "check", check
    for trap in card.traps:
        yield "beware", trap
    yield from _top1_lines(card)

    yield "groups", ", ".join(groups_of(card.name)) or "none"
    yield "cite", card.citation + (f", {card.paper}" if card.paper else "")
    if card.synsets:
        yield "synsets", " ".join(card.synsets)


def _top1_lines(card: Card) -> Iterator[tuple[str, str]]:
    """Published zero-shot accuracy, if any."""
    if card.top1 is None:
        return

    protocols = f" of protocol {', '.join(card.top1.protocols)}" if card.top1.protocols else ""
    templates = f"{len(card.top1.templates)} templates" if card.top1.templates else "OpenAI's 80 templates"
    tolerance = f"{TOLERANCE:g} points on either side pass"
    yield "zero-shot", f"published top-1 in percent{protocols} under {templates}; {tolerance}"
    for model, percent in card.top1.percent:
        yield "", f"{percent:.2f} {model}"
    yield "", f"by {card.top1.source}"


def print_cards(references: Sequence[str], title: str = "", note: str = "") -> None:
    """A table of sets on the terminal."""
    from rich.box import SIMPLE
    from rich.table import Table

    from ood_lightning.report.console import console

    header, *rows = lines(references)
    table = Table(title=title, title_justify="left", box=SIMPLE)
    for name in header:
        right = name in ("images", "classes")
        table.add_column(name, justify="right" if right else "left", no_wrap=name == "set", overflow="fold")
    for row in rows:
        table.add_row(*row)

    out = console()
    out.print(table)
    legend = LEGEND if any(row[2].endswith("?") for row in rows) else ""
    for text in (note, total(references), legend):
        if text:
            out.print(text, soft_wrap=True)


def print_card(card: Card, protocol: Protocol) -> None:
    """A card in full, and the commands of one of its protocols."""
    from ood_lightning.report.console import console

    out = console()
    out.print(f"{card.name}: {card.title}", soft_wrap=True)
    for name, text in card_lines(card):
        out.print(f"  {name:<{LABEL}}{text}", soft_wrap=True)

    if protocol.pack:
        out.print(f"\nFrom nothing to features, protocol {protocol.name} (not run by us):\n")
        out.print(commands(card, protocol), soft_wrap=True)
    else:
        out.print(f"\nThere is no recipe for protocol {protocol.name}.")
