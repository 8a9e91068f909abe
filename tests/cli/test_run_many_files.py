"""`run` and `predict` on 20,000 tiny files in nested folders: every file once, in memory that is bounded."""

import random
from pathlib import Path

import pytest
from peak_memory import IS_MEASURED, measure
from PIL import Image, ImageDraw
from unpacked import words_file

from ood_lightning.data.artifacts.sheets import csv_rows

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(3600)]

FILES = 20_000
MOST_MIB = {"run": 1024, "predict": 300}
IMPORTED = {
    "run": ["lightning.pytorch", "open_clip", "ood_lightning.making.steps", "ood_lightning.modules.temi"],
    "predict": ["open_clip", "torchvision.transforms", "ood_lightning.detector_folder.load"],
}


def draw(folder: Path, n: int) -> set[str]:
    """Drawings of three shapes on a ground, 16 x 16 pixels, seven folders of fifty folders each; their paths."""
    draw_from = random.Random(0)

    def colour() -> tuple[int, ...]:
        return tuple(draw_from.choices(range(256), k=3))

    paths = set()
    for i in range(n):
        image = Image.new("RGB", (16, 16), colour())
        canvas = ImageDraw.Draw(image)
        for _ in range(3):
            left, right = sorted(draw_from.choices(range(16), k=2))
            top, bottom = sorted(draw_from.choices(range(16), k=2))
            shape = draw_from.choice((canvas.ellipse, canvas.rectangle, canvas.line))
            shape((left, top, right, bottom), colour())

        path = folder / f"{i % 7}" / f"{i // 7 % 50:02}" / f"{i:05}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
        paths.add(str(path))
    return paths


def paths_in(file: str) -> list[str]:
    return [row["path"] for row in csv_rows(Path(file).read_text(encoding="utf-8"))]


@pytest.mark.skipif(not IS_MEASURED, reason="memory is read as on Linux")
def test_twenty_thousand_files_are_each_looked_at_once_in_bounded_memory():
    drawn = draw(Path("tiny"), FILES)
    words_file(Path("words.txt"))
    corpus = ["--corpus", "ood_lightning.corpora.words.WordFile", "--corpus.path", "words.txt", "--clusters", "20"]
    options = ["--encoder", "pictograms", "--num_workers", "0"]
    made = measure(IMPORTED["run"], ["run", "tiny", *options, *corpus])

    assert f"{FILES:,} pictures" in made.output
    decided = paths_in("runs/tiny/decisions.csv")
    assert len(set(decided)) == len(decided) > 59
    assert set(decided) <= drawn
    assert made.peak_mib <= MOST_MIB["run"]

    command = ["predict", "tiny", "--detector", "runs/tiny/detector", "--num_workers", "0", "--out", "rows.csv"]
    predicted = measure(IMPORTED["predict"], command)
    assert f"{FILES:,} images: " in predicted.output
    rows = paths_in("rows.csv")
    assert len(rows) == FILES
    assert set(rows) == drawn
    assert predicted.peak_mib <= MOST_MIB["predict"]
