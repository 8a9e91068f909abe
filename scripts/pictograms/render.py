"""Render every drawing to 96 x 96 pixels with transparency.

Run by `build.py --stage render`; writes ``WORK/drawings.npy`` (uint8, ``(n, 96, 96, 4)``, straight alpha) and
``WORK/drawings.json`` (code, vendor and icon of each row). About three minutes.
"""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import resvg_py
from concepts import Concept
from PIL import Image

SIZE = 96
NAMESPACES = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'


def svg(icons: dict, name: str) -> str:
    """One icon of an Iconify set as an SVG document; aliases are followed, a mirrored alias is mirrored.

    Args:
        icons: the set's ``icons.json``.
        name: an icon's or an alias' name.
    """
    mirrored = False
    while name not in icons["icons"]:
        alias = icons["aliases"][name]
        mirrored ^= bool(alias.get("hFlip"))
        name = alias["parent"]
    icon = icons["icons"][name]

    def measure(key: str, default: int) -> float:
        return icon.get(key, icons.get(key, default))

    width, height, left, top = measure("width", 16), measure("height", 16), measure("left", 0), measure("top", 0)
    body = icon["body"]
    if mirrored:
        body = f'<g transform="translate({width + 2 * left} 0) scale(-1 1)">{body}</g>'
    box = f'viewBox="{left} {top} {width} {height}" width="{width}" height="{height}"'
    return f'<svg {NAMESPACES} {box} color="#111">{body}</svg>'


def pixels(document: str) -> np.ndarray:
    """The drawing, centred on a transparent square of ``SIZE`` pixels."""
    png = bytes(resvg_py.svg_to_bytes(svg_string=document, width=SIZE, height=SIZE))
    image = Image.open(io.BytesIO(png)).convert("RGBA")
    if image.size != (SIZE, SIZE):
        square = Image.new("RGBA", (SIZE, SIZE))
        square.paste(image, ((SIZE - image.width) // 2, (SIZE - image.height) // 2))
        image = square
    return np.asarray(image)


def render(concepts: list[Concept], packages: Path, work: Path) -> None:
    """Render all drawings of all concepts; empty ones are dropped and named."""
    vendors = sorted({vendor for concept in concepts for vendor in concept.drawings})
    sets = {vendor: json.loads((packages / vendor / "icons.json").read_text(encoding="utf-8")) for vendor in vendors}
    images, rows = [], []
    for concept in concepts:
        for vendor, icon in concept.drawings.items():
            image = pixels(svg(sets[vendor], icon))
            if image[..., 3].any():
                images.append(image)
                rows.append([concept.code, vendor, icon])
            else:
                print(f"{vendor}: {icon} is empty")
    np.save(work / "drawings.npy", np.stack(images))
    (work / "drawings.json").write_text(json.dumps(rows), encoding="utf-8")
    print(f"{len(rows)} drawings of {len(concepts)} concepts")
