"""Scores of a page: rates that follow from them are those of the run, and long runs are cut where it is said."""

from base64 import b64decode
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from page_runs import HOSTILE, IMAGE, scores, write_run

from ood_lightning.data.rows.formats import as_bytes, header
from ood_lightning.errors import SourceError
from ood_lightning.functional.plane import band_half_width
from ood_lightning.page import scored
from ood_lightning.page.runs import read_run
from ood_lightning.plain_output import one_line


def floats(text: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.frombuffer(b64decode(text), dtype=np.float32)


def test_a_run_keeps_all_its_scores_and_rows(tmp_path: Path):
    plain = scored.scores_of(read_run(write_run(tmp_path / "run"), "run"), 10_000)
    of_sets = scores()
    assert [one["name"] for one in plain["sets"]] == list(of_sets)
    assert [one["id"] for one in plain["sets"]] == [True, False, False, False]
    assert plain["sets"][1]["band"] == band_half_width(67, 0.975)

    for k, detector in enumerate(plain["detectors"]):
        for name, text in detector["scores"].items():
            torch.testing.assert_close(torch.tensor(floats(text)), of_sets[name][:, k].sort().values.float())

    rows = plain["rows"]
    assert rows["of"] == len(rows["key"]) == sum(map(len, of_sets.values()))
    assert rows["key"][0] == one_line(f"000 {HOSTILE[0]}")
    of_image = [i for i, number in enumerate(rows["set"]) if rows["sets"][number] == IMAGE]
    torch.testing.assert_close(torch.tensor(floats(rows["score"])[of_image]), of_sets[IMAGE][:, 0].float())
    assert {rows["words"][number] for number in rows["positive"]} == {"owl", ""}


def test_of_many_rows_those_on_the_wrong_side_stay(tmp_path: Path):
    run = read_run(write_run(tmp_path / "run"), "run")

    rows = scored.scores_of(run, 100)["rows"]
    assert 80 <= len(rows["key"]) <= 100
    assert rows["of"] > 250
    threshold = run.reasons.threshold
    wrong = sum(int((column[:, 0] >= threshold).sum()) for name, column in scores().items() if name != "birds")
    kept = [
        score >= threshold and rows["sets"][number] != "birds"
        for score, number in zip(floats(rows["score"]), rows["set"], strict=True)
    ]
    assert sum(kept) >= min(wrong, 40)


def test_of_many_scores_evenly_spaced_ones_stand_for_all():
    many = torch.randn(100_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    kept = floats(scored._packed_scores(many))
    assert len(kept) == scored.MAX_POINTS
    for threshold in (-2.0, -0.5, 0.0, 1.7):
        assert abs((kept >= threshold).mean() - float((many >= threshold).double().mean())) < 1 / 2000


def test_a_folder_of_run_is_read_from_its_decisions(tmp_path: Path):
    folder = write_run(tmp_path / "run")
    (folder / "scores.parquet").unlink()
    rows = [
        {
            "set": name,
            "path": f"{i} {IMAGE}",
            "score": float(score),
            "p_value": 0.5,
            "accepted": True,
            "concepts": ["owl", "=1"],
        }
        for name, column in scores().items()
        for i, score in enumerate(column[:, 0])
    ]
    (folder / "decisions.csv").write_bytes(header(".csv", list(rows[0])) + as_bytes(".csv", rows))
    plain = scored.scores_of(read_run(folder, "run"), 10_000)
    assert [one["id"] for one in plain["sets"]] == [True, False, False, False]
    assert len(plain["rows"]["key"]) == len(rows)
    assert plain["rows"]["words"][:1] == ["owl"]

    (folder / "decisions.csv").write_text("set,path\nbirds,x\n")
    with pytest.raises(SourceError, match="no whole file of decisions"):
        scored.scores_of(read_run(folder, "run"), 10_000)
