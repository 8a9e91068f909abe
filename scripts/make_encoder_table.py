"""Write docs/encoders.md's table of the shipped encoders, from the table that `run` reads, the configs and the cards.

python scripts/make_encoder_table.py          # rewrites what stands between `<!-- encoders -->` and `<!-- end -->`
python scripts/make_encoder_table.py --check  # writes nothing; exit 1 if the page says something else
"""

import argparse
import re
import sys
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml

from ood_lightning.data.cards.cards import read_card
from ood_lightning.data.cards.offered import Offered, offered

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "encoders.md"
MARK = re.compile(r"(<!-- encoders -->\n).*?(<!-- end -->)", re.DOTALL)
HEADER = ("`configs/encoders/`", "model", "D", "pixels", "parameters", "to fetch", "top-1", "licence")


def init_args(one: Offered) -> dict[str, Any]:
    """Settings of an encoder's config."""
    path = ROOT / "configs" / "encoders" / f"{one.name}.yaml"
    content: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))["init_args"]
    return content


def top1(model: str, sources: list[str]) -> str:
    """Published zero-shot top-1 of a model on ImageNet, with the number of its source."""
    card = read_card("imagenet-val")
    figure = card.published_top1(model, card.protocol())
    if figure is None:
        return "-"
    digits = 1 if round(figure.percent, 1) == figure.percent else 2  # as published
    return f"{figure.percent:.{digits}f} ({sources.index(figure.source) + 1})"


def cells(one: Offered, sources: list[str]) -> tuple[str, ...]:
    """An encoder's row; the source of its top-1 by its number among `sources`."""
    settings = init_args(one)
    model = "/".join(filter(None, (settings["model"], settings.get("pretrained"))))
    mark = {"certain": " ★", "nearly certain": " ☆", "inferred": "", None: ""}[one.figure]
    fetched = "-" if model.startswith("builtin:") else f"{one.gigabytes:.1f} GB"
    return (
        f"`{one.name}`{mark}",
        f"`{model}`",
        f"{one.dim:,}",
        f"{one.pixels}",
        f"{one.params:,.0f} M",
        fetched,
        top1(model, sources),
        one.licence.split(",")[0] + ("" if one.free else " †"),
    )


def table() -> str:
    """All encoders by family, then the sources of their top-1."""
    card = read_card("imagenet-val")
    sources = [figures.source for figures in card.top1.tables] if card.top1 else []
    parts = []
    for family, members in groupby(offered(), lambda one: one.family):
        rows = [HEADER, ("---",) * len(HEADER), *(cells(one, sources) for one in members)]
        parts.append(f"**{family}**\n\n" + "\n".join("| " + " | ".join(row) + " |" for row in rows))
    numbered = "; ".join(f"({number}) {source}" for number, source in enumerate(sources, 1))
    return "\n\n".join([*parts, f"Sources of top-1: {numbered}."])


def page(text: str) -> str:
    """The page with its table written anew."""
    return MARK.sub(lambda match: f"{match[1]}\n{table()}\n\n{match[2]}", text)


def main() -> int:
    """Write or check the page; 1 if a check fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with the page that is there")
    args = parser.parse_args()
    text = PAGE.read_text("utf-8")
    if page(text) == text:
        return 0

    print(f"{PAGE}: {'differs from the table' if args.check else 'written'}")
    if not args.check:
        PAGE.write_text(page(text), "utf-8")
    return int(args.check)


if __name__ == "__main__":
    sys.exit(main())
