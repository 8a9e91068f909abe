"""A contact sheet: mined concepts with pictures of their clusters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

CELL, GAP, HEAD = 96, 6, 22  # pixels
PER_CONCEPT = (3, 3)  # columns and rows of pictures


def contact_sheet(concepts: Sequence[tuple[str, Sequence[Image.Image]]], columns: int = 6) -> Image.Image:
    """One white sheet; each concept has its name above up to nine pictures.

    Args:
        concepts: name and pictures, in the order of the sheet.
        columns: concepts side by side.
    """
    from PIL import Image, ImageDraw, ImageFont

    across, down = PER_CONCEPT
    width, height = across * CELL + GAP, HEAD + down * CELL + 2 * GAP
    rows = -(-len(concepts) // columns)
    sheet = Image.new("RGB", (columns * width + GAP, rows * height + GAP), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(16)
    for i, (name, pictures) in enumerate(concepts):
        left, top = GAP + (i % columns) * width, GAP + (i // columns) * height
        draw.text((left, top), name[:30], fill="black", font=font)
        for j, picture in enumerate(pictures[: across * down]):
            at = (left + (j % across) * CELL, top + HEAD + (j // across) * CELL)
            sheet.paste(picture.convert("RGB").resize((CELL, CELL)), at)
    return sheet
