"""Makes the pictures of docs/tutorial.md and docs/concepts.md: runs what the tutorial shows, and looks at it.

    python -m scripts.tutorial_pictures             # in a folder that is removed; needs chromium and playwright
    python -m scripts.tutorial_pictures FOLDER      # of a folder where it was run before

The drawings are those of assets/pictograms, under their own licences (assets/pictograms/ATTRIBUTION.md).
"""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image

from scripts.shown_commands import ROOT, blocks, run

PICTURES = ROOT / "docs" / "pictures"
PAGE = ROOT / "docs" / "tutorial.md"
TILE = 96  # pixels of a drawing
QUALITY = 70


def tiles(rows: Sequence[tuple[str, Sequence[tuple[Path, str, bool]]]], file: Path) -> None:
    """A sheet of drawings: rows with a heading, each drawing with a line of text below, some of them crossed out."""
    import matplotlib
    from matplotlib.figure import Figure

    width = max(len(row) for _, row in rows)
    with matplotlib.rc_context({"font.family": "DejaVu Sans", "font.size": 8}):
        figure = Figure(figsize=(width * 1.0, len(rows) * 1.35), dpi=100, layout="constrained")
        for part, (heading, row) in zip(figure.subfigures(len(rows), 1, squeeze=False)[:, 0], rows, strict=True):
            part.suptitle(heading, fontsize=9, x=0.01, ha="left")
            for axes, (path, text, crossed) in zip(part.subplots(1, width, squeeze=False)[0], row, strict=False):
                axes.imshow(Image.open(path).convert("RGB"))
                axes.set_xlabel(text)
                if crossed:
                    axes.plot([0, 63], [0, 63], color="#d55e00", linewidth=3)
            for number, axes in enumerate(part.axes):
                axes.set(xticks=[], yticks=[])
                axes.set_frame_on(False)
                axes.set_visible(number < len(row))

        data = io.BytesIO()
        figure.savefig(data, format="png", facecolor="white")
    Image.open(data).convert("RGB").save(file, quality=QUALITY, method=6)


def folder_picture(folder: Path) -> None:
    """What lies in the folders."""
    styles = ("emojione", "noto", "noto-v1", "twemoji")
    animals = [sorted((folder / "animals").glob(f"0_{style}_*.webp"))[at] for at in (3, 20, 33) for style in styles]
    new = sorted((folder / "new_animals").glob("0_*.webp"))[4:40:6]
    food = sorted((folder / "food").glob("0_*.webp"))[5:125:20]
    rows = [("animals", _plain(animals)), ("new_animals, and food", _plain([*new, *food]))]
    tiles(rows, PICTURES / "folder.webp")


def decisions_picture(folder: Path) -> None:
    """Lowest and highest scores of each folder."""
    with (folder / "decisions.csv").open(newline="", encoding="utf-8") as file:
        decided = sorted(csv.DictReader(file), key=lambda row: float(row["score"]))

    rows = []
    for name in ("new_animals", "food"):
        # one rendering of each drawing, so that no drawing is shown twice
        of_set = [row for row in decided if row["path"].startswith(f"{name}/0_")]
        shown = [*of_set[:5], *of_set[-5:]]
        texts = [(folder / row["path"], f"{float(row['score']):.2f}", row["accepted"] == "false") for row in shown]
        rows.append((f"{name}: five lowest and five highest scores", texts))
    tiles(rows, PICTURES / "decisions.webp")


def kinds_picture(folder: Path) -> None:
    """ID pictures, shifted ones, and OOD pictures near and far, for the page on concepts."""
    from ood_lightning.data.shards.read_manifest import read_manifest
    from ood_lightning.data.shards.samples import read_samples

    sets = {
        "ID: what the system is meant for": "id_test",
        "ID, shifted: the same in another style": "contrast",
        "near OOD": "plants",
        "far OOD": "symbols",
    }
    rows = []
    for heading, name in sets.items():
        manifest = read_manifest(f"builtin:pictograms/shards/{name}")
        samples = [sample for shard in manifest.shards for sample in read_samples(manifest.path(shard))]
        paths = []
        for number, sample in enumerate(samples[8 : 8 + 10 * 9 : 9]):
            paths.append(folder / f"{name}{number}.webp")
            paths[-1].write_bytes(sample.data)
        rows.append((heading, _plain(paths)))
    tiles(rows, PICTURES / "kinds.webp")


def _plain(paths: Iterable[Path]) -> list[tuple[Path, str, bool]]:
    return [(path, "", False) for path in paths]


def page_pictures(folder: Path) -> None:
    """The page in a browser: its beginning, and the reasons of a picture."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1100, "height": 620})
        page.goto((folder / "runs" / "animals" / "report.html").as_uri())
        page.wait_for_selector("html[data-ready]")
        _shot(page, "verdict")

        page.locator("#gallery button").nth(1).click()
        page.evaluate("document.getElementById('pictures').scrollIntoView({behavior: 'instant'})")
        _shot(page, "why")
        browser.close()


def _shot(page: Any, name: str) -> None:
    page.mouse.move(0, 0)
    page.wait_for_timeout(500)
    Image.open(io.BytesIO(page.screenshot())).convert("RGB").save(PICTURES / f"{name}.webp", quality=QUALITY, method=6)


def watch_picture(folder: Path) -> None:
    """The martingale after each picture of the three days."""
    import matplotlib
    import numpy as np
    from matplotlib.figure import Figure

    from ood_lightning.report.plots import COLOURS, STYLE
    from ood_lightning.watching.martingale import Wealth, bet_in_turn, draws, gaps, p_values_in_turn
    from ood_lightning.watching.watch import CALIBRATION, STREAM

    calibration = np.sort(json.loads((folder / "runs/animals/detector/calibration.json").read_text())["scores"])
    days = {file.stem: _scores(file) for file in sorted((folder / "days").glob("*.csv"))}
    scores = np.concatenate(list(days.values()))[:130]

    drawn = draws(STREAM, 0, len(scores))
    of_gaps = gaps(scores, calibration, drawn[:, 0], draws(CALIBRATION, 0, len(calibration))[:, 0])
    p_values, _ = p_values_in_turn(of_gaps, np.zeros(len(calibration) + 1, dtype=np.int64), drawn[:, 1])
    evidence = np.exp(bet_in_turn(Wealth.at_first(), p_values)[0])

    with matplotlib.rc_context({**STYLE, "font.family": "DejaVu Sans"}):
        figure = Figure(figsize=(8.5, 2.8), layout="constrained")
        axes = figure.subplots()
        axes.semilogy(range(1, len(scores) + 1), evidence, color=COLOURS[0])
        axes.axhline(100, color=COLOURS[1], linestyle="--")
        axes.text(1, 130, "alarm line: 100", color=COLOURS[1])
        begins = 0
        for day, of_day in days.items():
            axes.axvline(begins + 0.5, color="#999999", linewidth=0.8)
            axes.text(begins + 1.5, 2e7, day)
            begins += len(of_day)
        axes.set_yticks([1, 100, 1e4, 1e6], ["1", "100", "10,000", "1,000,000"])
        axes.minorticks_off()
        axes.set(xlabel="pictures", ylabel="martingale", xlim=(0, 130), ylim=(0.05, 2e8))
        figure.savefig(PICTURES / "watch.svg", metadata={"Date": None, "Creator": None})


def _scores(file: Path) -> Any:
    with file.open(newline="", encoding="utf-8") as rows:
        return [float(row["score"]) for row in csv.DictReader(rows)]


def main() -> None:
    """Run the tutorial unless a folder is given, and write all pictures."""
    PICTURES.mkdir(exist_ok=True)
    with TemporaryDirectory() as empty:
        folder = Path(sys.argv[1] if len(sys.argv) > 1 else empty)
        if len(sys.argv) == 1:
            (folder / "assets").symlink_to(ROOT / "assets")
            parts = [block for block in blocks(PAGE) if block.language in ("bash", "python")]
            ran = run(parts[1:], folder)  # the first one installs
            if ran.status:
                raise RuntimeError(f"the tutorial did not run: {ran.errors[-2000:]}")

        tutorial = folder / "tutorial"
        folder_picture(tutorial)
        decisions_picture(tutorial)
        watch_picture(tutorial)
        page_pictures(tutorial)
        kinds_picture(Path(empty))


if __name__ == "__main__":
    main()
