"""Write the parts of docs/data/*.md that follow from the cards: tables, what to check, commands.

    python scripts/make_card_pages.py          # rewrites what stands between `<!-- cards: ... -->` and `<!-- end -->`
    python scripts/make_card_pages.py --check  # writes nothing; exit 1 if a page says something else than the cards

A mark names a part and a group: `<!-- cards: table clustermine -->`; the group `all` is every card.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory

from ood_lightning.data.cards.card import NOT_STATED
from ood_lightning.data.cards.cards import card_names, find, read_group, shards
from ood_lightning.data.get.plan import lines as plan_lines
from ood_lightning.data.get.plan import plan_of
from ood_lightning.report.cards import LEGEND, embedding, lines, packing, total

PAGES = Path(__file__).parents[1] / "docs" / "data"
MARK = re.compile(r"(<!-- cards: (\w+) ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def table(references: Sequence[str]) -> str:
    """The table that `data list` prints, in Markdown."""
    header, *rows = lines(references)
    pipes = ["| " + " | ".join(row) + " |" for row in (header, ["---"] * len(header), *rows)]
    below = [total(references)] + [LEGEND] * any(row[2].endswith("?") for row in rows)
    return "\n\n".join(["\n".join(pipes), *below])


def notes(references: Sequence[str]) -> str:
    """Size, how much of a set is ID, what to check and what goes wrong, for each set."""
    items = []
    for card in dict.fromkeys(find(reference)[0] for reference in references):
        items.append(f"- **{card.name}**, {card.title}. Size: {card.size or NOT_STATED}.")
        items += [f"    - or from the hub: `data pack {mirror.pack}`" for mirror in card.mirrors if mirror.pack]
        if card.contamination is not None:
            percent = "" if card.contamination.percent is None else f"{card.contamination.percent:g} %: "
            items.append(f"    - shows ID: {percent}{card.contamination.note}")
        items += [f"    - check: {check}" for check in card.checks]
        items += [f"    - beware: {trap}" for trap in card.traps]
    return "\n".join(items)


def commands(references: Sequence[str]) -> str:
    """From nothing to features; steps that sets share stand once."""
    blocks, folders = ["mkdir -p raw shards"], []
    for reference in references:
        card, protocol = find(reference)
        if not protocol.pack:
            blocks.append(f"# {reference}: there is no recipe")
            continue
        blocks += [block for block in protocol.blocks if block not in blocks]
        blocks.append(packing(card, protocol))
        folders.append(shards(card, protocol))
    return "```bash\n" + "\n\n".join([*blocks, embedding(folders)]) + "\n```"


def plans(references: Sequence[str]) -> str:
    """What `data get --dry_run` prints of sets where nothing has been fetched yet."""
    nowhere = Path("raw"), Path("shards")
    with TemporaryDirectory() as empty, chdir(empty):
        found = [plan_of(*find(reference), *nowhere) for reference in references]
        texts = ["\n".join(plan_lines(plan)) for plan in found if plan is not None]
    return "```text\n" + "\n\n".join(texts) + "\n```"


PARTS = {"table": table, "notes": notes, "commands": commands, "plans": plans}


def page(text: str) -> str:
    """A page with its marked parts written anew."""

    def part(match: re.Match[str]) -> str:
        start, what, group, end = match.groups()
        references = card_names() if group == "all" else read_group(group).sets
        return f"{start}\n{PARTS[what](references)}\n\n{end}"

    return MARK.sub(part, text)


def main() -> int:
    """Write or check the pages; 1 if a check fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with the pages that are there")
    args = parser.parse_args()
    stale = [path for path in sorted(PAGES.glob("*.md")) if page(text := path.read_text("utf-8")) != text]
    for path in stale:
        print(f"{path}: {'differs from the cards' if args.check else 'written'}")
        if not args.check:
            path.write_text(page(path.read_text("utf-8")), "utf-8")
    return int(args.check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
