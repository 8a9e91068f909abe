"""The pictures of the pages on concepts and on FPR95: drawn from today's code, with the numbers that the pages say."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import torch

from ood_lightning.functional.conventions import CONVENTIONS
from scripts.draw_concepts import DRAWINGS, ID_SCORES, OOD_SCORES, PICTURES, drawn

DOCS = Path(__file__).parents[2] / "docs"
SVG = "{http://www.w3.org/2000/svg}text"


def texts(svg: bytes) -> list[str]:
    return ["".join(element.itertext()) for element in ElementTree.fromstring(svg).iter(SVG)]


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_picture_says_what_the_code_computes_today(name: str):
    assert texts(drawn(name)) == texts((PICTURES / f"{name}.svg").read_bytes())


@pytest.mark.parametrize("name", DRAWINGS)
def test_bytes_repeat(name: str):
    assert drawn(name) == drawn(name)


def test_the_table_of_conventions_has_the_rates_of_the_pictures_scores():
    page = (DOCS / "fpr95.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"(?m)^\| `(\w+)` \|.*\| (\d+) % \|$", page))
    ids, oods = torch.tensor(ID_SCORES), torch.tensor(OOD_SCORES)
    rates = {name: round(100 * float(fpr(ids, oods, 0.95))) for name, (fpr, _) in CONVENTIONS.items()}
    assert {name: int(rate) for name, rate in rows.items()} == rates


def test_the_page_of_concepts_has_the_numbers_of_its_pictures():
    page = (DOCS / "concepts.md").read_text(encoding="utf-8")
    written = " ".join(texts(drawn("masses")) + texts(drawn("calibration")))
    for number in ("70.7", "29.3", "0.88", "0.025", "0.275", "39"):
        assert number in page
        assert number in written


def test_pictures_stay_small():
    sizes = [path.stat().st_size for path in PICTURES.iterdir()]
    assert sum(sizes) < 1_000_000
