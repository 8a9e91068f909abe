"""Pictures of `report` and of the documentation as a person's browser shows them."""

import shutil
import subprocess
from functools import partial
from pathlib import Path

import pytest
from PIL import Image, ImageColor
from waiting import HANG_S

from ood_lightning.report.plots import COLOURS, Histogram, draw_curve, svg

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not CHROMIUM, reason="no chromium: apt-get install chromium")]


def drawn_by_browser(picture: Path, width: int, height: int) -> Image.Image:
    """What the browser draws of a file, as pixels."""
    screenshot = picture.with_suffix(".png").absolute()
    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
        f"--user-data-dir={screenshot.parent / 'profile'}", f"--window-size={width},{height}",
        f"--screenshot={screenshot}", picture.absolute().as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S)
    assert screenshot.exists(), done.stderr
    with Image.open(screenshot) as opened:
        return opened.convert("RGB")


def share_of(picture: Image.Image, colour: str) -> float:
    """Share of the pixels that have exactly this colour."""
    counts = {value: count for count, value in picture.getcolors(picture.width * picture.height)}
    return counts.get(ImageColor.getrgb(colour), 0) / (picture.width * picture.height)


def test_a_drawing_shows_its_lines_and_a_name_that_is_markup_stays_text(tmp_path: Path):
    script = "</text><script>document.documentElement.remove()</script>"
    histogram = Histogram("widths", script, {"first": [1, 2, 3], script: [3, 2, 1]})
    curve = partial(draw_curve, title=script, x_label="clusters", x=[1, 2, 3], y=[1, 4, 2], marked=1)
    path = tmp_path / "drawn.svg"
    path.write_text(svg([histogram.draw, curve], columns=2, width=4), encoding="utf-8")

    pixels = drawn_by_browser(path, 900, 500)
    assert share_of(pixels, COLOURS[0]) > 1e-3
    assert share_of(pixels, COLOURS[1]) > 1e-3
    assert share_of(pixels, "#ffffff") < 0.99


def test_the_picture_of_the_rooms_is_not_blank(tmp_path: Path):
    path = Path(shutil.copy(Path(__file__).parents[2] / "docs" / "rooms.svg", tmp_path))
    pixels = drawn_by_browser(path, 1200, 900)
    assert len(pixels.getcolors(pixels.width * pixels.height)) > 20
    assert share_of(pixels, "#ffffff") < 0.99
