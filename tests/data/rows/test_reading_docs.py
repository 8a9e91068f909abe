"""The lines of the docs that open rows of `predict` elsewhere, executed."""

import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from watched import rows, write_lines

from ood_lightning.data.rows.parquet import write_parquet

PAGE = Path(__file__).parents[3] / "docs" / "export.md"
NAMES = ("path", "score", "p_value", "accepted", "concepts", "nearest_negative", "error")
KINDS: dict[str, type] = dict(zip(NAMES, (str, float, float, bool, list, str, str), strict=True))


def lines(package: str) -> str:
    """The block that imports a package; of five lines at most."""
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    (block,) = [block for block in blocks if block.startswith(f"import {package}")]
    assert len([line for line in block.splitlines() if line.strip()]) <= 5
    return str(block)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With rows of 20 images, of which some were rejected and one could not be read."""
    monkeypatch.chdir(tmp_path)
    predicted = rows(20, seed=1, n_strange=5)
    predicted[0] |= {"score": None, "p_value": None, "accepted": None, "concepts": [], "error": "cannot be read"}
    with write_lines(tmp_path / "rows.jsonl", predicted).open("rb") as file:
        write_parquet(tmp_path / "rows.parquet", file, KINDS)
    return tmp_path


def test_pandas(folder: Path, capsys: pytest.CaptureFixture[str]):
    pytest.importorskip("pandas", reason="pandas is not installed: .[dev]")
    names: dict[str, Any] = {}
    exec(lines("pandas"), names)
    assert names["rejected"]["score"].is_monotonic_increasing
    assert 4 <= len(names["rejected"]) <= 8
    assert "fish" in capsys.readouterr().out


def test_fiftyone(folder: Path, monkeypatch: pytest.MonkeyPatch):
    """Its two classes are stood in for: the lines name nothing else of it."""
    samples: list[dict[str, Any]] = []
    dataset = SimpleNamespace(add_sample=samples.append)
    stand_in = SimpleNamespace(Dataset=lambda name: dataset, Sample=dict)
    monkeypatch.setitem(sys.modules, "fiftyone", stand_in)
    exec(lines("fiftyone"), {})
    assert len(samples) == 20
    assert set(samples[1]) == {"filepath", "score", "p_value", "accepted", "concepts"}
