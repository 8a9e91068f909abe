"""What makes the numbers of README and docs anew: every mark is known, and a block changes alone."""

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def numbers(monkeypatch: pytest.MonkeyPatch) -> Any:
    spec = importlib.util.spec_from_file_location("numbers_of_docs", ROOT / "scripts/write_numbers.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_block_stands_on_one_page_and_every_mark_is_known(numbers: Any):
    marks = [mark for page in numbers.PAGES for mark in re.findall(r"<!-- numbers: (.+?) -->", page.read_text())]
    assert sorted(marks) == sorted(numbers.BLOCKS)
    for page in numbers.PAGES:
        text = page.read_text()
        assert text.count("<!-- numbers: ") == text.count("<!-- end of numbers -->")


def test_a_part_changes_its_blocks_alone(numbers: Any, monkeypatch: pytest.MonkeyPatch):
    blocks = {"a": ("demo", lambda: ["| new |"]), "b": ("growth", lambda: ["never"])}
    monkeypatch.setattr(numbers, "BLOCKS", blocks)
    page = "one\n<!-- numbers: {} -->\n\nold\n\n<!-- end of numbers -->\n"
    text = page.format("a") + page.format("b")
    assert numbers.written(text, ["demo"]) == page.format("a").replace("old", "| new |") + page.format("b")
    assert numbers.written(text, ["detectors"]) == text


def test_values_are_percent_with_their_interval(numbers: Any):
    row = {"auroc": 0.95724, "auroc_low": 0.9467, "auroc_high": 0.96666, "fpr": 0.3403, "fpr_low": None}
    assert numbers.percent(row, "auroc") == "95.72 [94.67, 96.67]"
    assert numbers.percent(row, "fpr") == "34.03"
    assert numbers.table(["x", "y"], [["1", "2"]]) == ["| x | y |", "| --- | --- |", "| 1 | 2 |"]
