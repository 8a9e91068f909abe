"""`audit`: suspects with reasons, lists that `data pack` takes, results with and without them."""

import csv
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from command_line import said, write_label_set
from tiny_configs import write

from ood_lightning.cli.main import main
from ood_lightning.data.artifacts.scores import StoredScores
from ood_lightning.data.shards.read_manifest import read_manifest

MASS = "ood_lightning.detectors.label_mass.LabelMass"


@pytest.fixture
def run(eval_yaml: Path, tmp_path: Path) -> Path:
    """A finished `test` with a detector whose reasons are words, and one without."""
    settings = yaml.safe_load(eval_yaml.read_text())
    model: dict[str, Any] = settings["model"]["init_args"]
    model["label_sets"] = {"hand": write_label_set(tmp_path / "hand.json")}
    model["detectors"] = {
        "Mass": {"class_path": MASS, "init_args": {"labels": "hand", "sharpness": 1.0}},
        "MCM": {"class_path": "ood_lightning.detectors.mcm.MCM", "init_args": {"labels": "hand"}},
    }
    assert main(["test", "--config", str(write(eval_yaml, settings))]) == 0
    return tmp_path / "run" / "eval"


@pytest.mark.slow
def test_suspects_score_above_the_median_and_their_list_is_taken_by_pack(run: Path, sets: Path, tmp_path: Path):
    assert main(["audit", "blues", "greys", "--run", str(run), "--out", "audit"]) == 0
    rows = list(csv.DictReader((tmp_path / "audit" / "suspects.csv").open()))
    scores = StoredScores(run / "scores.parquet")
    of_id = scores.column("Mass")["id_test"]
    above = {
        (name, key)
        for name in ("blues", "greys")
        for key, score in zip(scores.texts("key")[name], scores.column("Mass")[name], strict=True)
        if score > of_id.median()
    }
    assert {(row["dataset"], row["key"]) for row in rows} == above
    assert above

    for row in rows:
        assert set(row["words"].split("; ")) == {"red", "green"}
        of_positives = torch.tensor(float(row["score"])).sigmoid()
        assert abs(sum(map(float, row["shares"].split("; "))) - of_positives) < 2e-4
        assert row["nearest_id"] in scores.texts("key")["id_test"]

    results = json.loads((tmp_path / "audit" / "results.json").read_text())["results"]
    assert {row["detector"] for row in results} <= {"Mass", "Mass, without suspects"}

    name = rows[0]["dataset"]
    n_suspects = sum(row["dataset"] == name for row in rows)
    manifest = read_manifest(str(sets / name))
    tar = manifest.root / manifest.shards[0].path
    paths = (tmp_path / "audit" / "exclude" / f"{name}.txt").read_text().splitlines()
    assert len(paths) == n_suspects

    with tarfile.open(tar) as file:
        in_tar = set(paths) & set(file.getnames())
    assert in_tar
    (tmp_path / "no.txt").write_text("".join(f"{path}\n" for path in sorted(in_tar)))
    if len(in_tar) < manifest.shards[0].samples:
        pack = ["data", "pack", str(tar), "--out", "packed", "--name", "kept", "--role", "ood", "--exclude", "no.txt"]
        assert main(pack) == 0
        assert read_manifest("packed").n_samples == manifest.shards[0].samples - len(in_tar)


@pytest.mark.slow
def test_mistakes_are_told(run: Path, capsys: pytest.CaptureFixture[str]):
    mistakes = [
        (["blue", "--out", "audit"], "'blue' is no OOD set of the run, which has blues, greys"),
        (["blues", "--out", "audit", "--detector", "MCM"], "detector 'MCM' is none of the run"),
        (["blues", "--out", str(run)], "the folder of a run"),
    ]
    for words, expected in mistakes:
        assert main(["audit", *words, "--run", str(run)]) == 2
        assert expected in said(capsys)
    assert main(["audit", "blues", "--run", "nowhere", "--out", "audit"]) == 2
    assert "name the folder of a finished `test` run" in said(capsys)
