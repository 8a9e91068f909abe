"""The tables of the page on numbers of clusters, from made-up results."""

import json
from pathlib import Path
from typing import Any

import pytest

from scripts import choose_clusters as script


def draw(best: int) -> list[dict[str, Any]]:
    """Five numbers of clusters, of which the third is chosen."""
    rows = []
    for at, n_clusters in enumerate((2, 4, 8, 16, 32)):
        measures = {"ratio": 1 - 0.1 * at**1.5, "redundancy": 10.0 * at, "stable": 0.1 * at, "mass": -5.0 + at, "P": 2}
        rows.append({"C": n_clusters, **measures, "auroc": 90.0 - abs(at - best), "chosen": at == 2})
    return rows


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the page, and results of one cell."""
    rows = [
        {"key": ["food", 30, 0, "kmeans"], "rows": draw(2)},
        {"key": ["food", 30, 1, "kmeans"], "rows": draw(4)},
        {"key": ["food", 30, 0, "posmine"], "rows": [{"M": 1, "P": 9, "auroc": 88.0}, {"M": 2, "P": 3, "auroc": 91.0}]},
        {"key": ["food", 30, 0, "temi"], "rows": draw(1)},
    ]
    (tmp_path / "results.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    copy = tmp_path / "page.md"
    copy.write_text(script.PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(script, "PAGE", copy)
    monkeypatch.setattr(script, "OUT", tmp_path / "results.jsonl")
    return copy


def test_our_choice_is_compared_with_the_best_of_each_draw(page: Path):
    script.write()
    rows = [line.split(" | ") for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| food")]
    assert rows[0] == ["| food", "30", "8 8", "89.0", "89.0", "8 32", "90.0", "1.00", "2.00 |"]
    assert rows[1] == ["| food", "30", "90.0", "90.0", "88.0", "91.0", "89.0", "90.0 |"]
    once = page.read_text(encoding="utf-8")
    script.write()
    assert page.read_text(encoding="utf-8") == once


def test_every_rule_chooses_one_of_the_rows():
    rows = draw(2)
    chosen = {words: rule(rows)["C"] for words, rule in script.RULES.items()}  # type: ignore[index]
    assert set(chosen.values()) <= {2, 4, 8, 16, 32}
    assert chosen["the largest C with 0.8 words a cluster or more"] == 4
    assert chosen["as many clusters as pictures"] == 32
    assert chosen["half as many clusters as pictures"] == 16
    assert script.at_elbow([{**row, "ratio": 1.0} for row in rows]) is None
