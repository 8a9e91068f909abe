"""A contact sheet: mined concepts with pictures of their clusters."""

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

CELL, GAP, HEAD = 96, 6, 22  # pixels: side of an image, space between concepts, height of a name
PER_CONCEPT = (3, 3)  # columns and rows of images


def contact_sheet(concepts: Sequence[tuple[str, Sequence[Image.Image]]], columns: int = 6) -> Image.Image:
    """One white sheet; each concept has its name above up to nine images.

    Args:
        concepts: name and images, in the order of the sheet.
        columns: concepts side by side.
    """
    across, down = PER_CONCEPT
    width = across * CELL + GAP  # of a concept
    height = HEAD + down * CELL + 2 * GAP
    rows = -(-len(concepts) // columns)  # rounded up

    sheet = Image.new("RGB", (columns * width + GAP, rows * height + GAP), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(16)
    for i, (name, images) in enumerate(concepts):
        left = GAP + (i % columns) * width
        top = GAP + (i // columns) * height
        draw.text((left, top), name[:30], fill="black", font=font)
        for j, image in enumerate(images[: across * down]):
            corner = (left + (j % across) * CELL, top + HEAD + (j // across) * CELL)
            sheet.paste(image.convert("RGB").resize((CELL, CELL)), corner)

    return sheet
