"""A whole `test` with tower and patch features: who reads what, and who is listed as not run."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import pytest
import torch
import yaml
from command_line import detector_folder
from shard_files import COLOURS, encoded

from ood_lightning.cli.main import main
from ood_lightning.data.artifacts.columns import StoredColumn
from ood_lightning.datamodules.blocks import Blocks

pytestmark = pytest.mark.slow  # whole commands, or whole WordNets

DETECTORS = "ood_lightning.detectors"
MCM = {"class_path": f"{DETECTORS}.mcm.MCM"}


def glmcm(**options: Any) -> dict[str, Any]:
    return {"class_path": f"{DETECTORS}.glmcm.GLMCM", "init_args": options}


def maha(**options: Any) -> dict[str, Any]:
    return {"class_path": f"{DETECTORS}.mahalanobis.Mahalanobis", "init_args": {"ridge": 0.01, **options}}


Run = Callable[..., tuple[dict[str, Any], dict[str, list[float]]]]


@pytest.fixture
def run(eval_yaml: Path, sets: Path) -> Run:
    """Runs `test` with detectors and columns; returns results.json and the scores of each detector."""

    def run(
        detectors: dict[str, Any], extra_features: list[str], **data: Any
    ) -> tuple[dict[str, Any], dict[str, list[float]]]:
        settings = yaml.safe_load(eval_yaml.read_text())
        settings["model"]["init_args"]["detectors"] = detectors
        encoder = settings["data"]["init_args"]["encoder"]
        settings["data"]["init_args"] |= {
            "encoder": {**encoder, "init_args": {**encoder["init_args"], "extra_features": extra_features}},
            **data,
        }
        eval_yaml.write_text(yaml.safe_dump(settings))
        assert main(["test", "--config", str(eval_yaml)]) == 0
        table = parquet.read_table("run/eval/scores.parquet").to_pydict()
        written = json.loads(Path("run/eval/results.json").read_text())
        return {"not_run": written["about"]["not_run"], "results": written["results"]}, table

    return run


def test_glmcm_scores_every_picture_of_a_run(run: Run):
    detectors = {"MCM": MCM, "GL-MCM": glmcm(), "global": glmcm(local_weight=0.0)}
    results, scores = run(detectors, ["patches"])
    assert results["not_run"] == {}
    assert {row["detector"]: row["supervision"] for row in results["results"]} == dict.fromkeys(detectors, "id_names")
    assert len(scores["MCM"]) == 12 + 7 + 9 + 8
    torch.testing.assert_close(torch.tensor(scores["MCM"]).exp(), torch.tensor(scores["global"]), atol=1e-6, rtol=0)
    assert all(0 < local < 1 + 1e-6 for local in torch.tensor(scores["GL-MCM"]) - torch.tensor(scores["global"]))
    folders = {path.parent.name.partition("+")[2] for path in Path("cache").rglob("*.tar.safetensors")}
    assert folders == {"patches"}


def test_a_run_without_the_columns_lists_who_needs_them(run: Run, sets: Path, capsys: pytest.CaptureFixture[str]):
    detectors = {"MCM": MCM, "GL-MCM": glmcm(), "MD": maha(features="tower", labels="names")}
    train = {"id_train_shards": str(sets / "train")}
    results, scores = run(detectors, [], **train)
    assert results["not_run"] == {
        "GL-MCM": "needs patch features (data.encoder.extra_features: [patches])",
        "MD": "needs tower features (data.encoder.extra_features: [tower])",
    }
    assert "GL-MCM" not in scores
    assert "needs patch features" in capsys.readouterr().out
    results, scores = run(detectors, ["tower"], **train)
    assert list(results["not_run"]) == ["GL-MCM"]
    assert "MD" in scores


def test_only_columns_that_a_detector_reads_leave_the_disk(run: Run, monkeypatch: pytest.MonkeyPatch, sets: Path):
    read: list[tuple[str, int]] = []
    original = StoredColumn.rows

    def spy(self: StoredColumn, start: int, stop: int) -> torch.Tensor:
        read.append((self.name, stop - start))
        return original(self, start, stop)

    monkeypatch.setattr(StoredColumn, "rows", spy)
    handed: list[set[str]] = []
    block = Blocks.__getitem__

    def spied_block(self: Blocks, index: int) -> dict[str, torch.Tensor]:
        columns = block(self, index)
        handed.append(set(columns))
        return columns

    monkeypatch.setattr(Blocks, "__getitem__", spied_block)

    train = {"id_train_shards": str(sets / "train")}
    run({"MCM": MCM}, ["patches", "tower"], **train)
    assert read == []
    run({"MCM": MCM, "GL-MCM": glmcm()}, ["patches", "tower"], **train)
    assert {name for name, _ in read} == {"patches"}
    assert max(rows for _, rows in read) == 4  # the batch: a set is never brought into memory

    read.clear()
    handed.clear()
    run({"MCM": MCM, "MD": maha(features="tower", labels="names")}, ["patches", "tower"], **train)
    assert {name for name, _ in read} == {"tower"}
    assert [rows for _, rows in read if rows > 4] == [48]  # the training pictures', once
    assert all(columns == {"image", "id", "tower"} for columns in handed)
    trained = {path.parent.name.partition("+")[2] for path in Path("cache").rglob("train-*.tar.safetensors")}
    assert trained == {"tower"}  # no detector learns from patches


def test_mahalanobis_with_a_label_set_needs_no_labels_and_says_so(run: Run, sets: Path):
    detectors = {"plain": maha(), "named": maha(labels="names"), "tower": maha(labels="names", features="tower")}
    results, _ = run({"MCM": MCM, **detectors}, ["tower"], id_train_shards=str(sets / "train"))
    assert results["not_run"] == {"plain": "needs labels of ID training images (.cls in data.id_train_shards)"}
    supervision = {row["detector"]: row["supervision"] for row in results["results"]}
    assert supervision == {"MCM": "id_names", "named": "id_images+id_names", "tower": "id_images+id_names"}
    results, _ = run({"plain": maha()}, [], id_train_shards=str(sets / "id_test"))
    assert {row["supervision"] for row in results["results"]} == {"id_images+id_labels"}


def test_a_misspelt_column_is_refused(eval_yaml: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["test", "--config", str(eval_yaml), "--data.encoder.init_args.extra_features", "[patch]"]) == 2
    assert "patch" in capsys.readouterr().err


def test_predict_gives_the_glmcm_scores_of_test(
    run: Run, tmp_path: Path, encoder_yaml: dict[str, Any], words_yaml: Any, capsys: pytest.CaptureFixture[str]
):
    _, scores = run({"GL-MCM": glmcm()}, ["patches"])
    (tmp_path / "p.png").write_bytes(encoded(COLOURS["blue"], 3000))  # first picture of `blues`
    step = {
        "encoder": {**encoder_yaml, "init_args": {**encoder_yaml["init_args"], "extra_features": ["patches"]}},  # type: ignore[dict-item]
        "corpus": words_yaml,
        "prompts": {"templates": ["{}"]},
        "label_set": "run/eval/labels/names.json",
        "score": glmcm(),
        "cache_dir": "cache",
    }
    (tmp_path / "step.yaml").write_text(yaml.safe_dump(step))

    assert main(["predict", "p.png", *detector_folder(["--config", "step.yaml"]), "--out", "rows.jsonl"]) == 0
    (row,) = [json.loads(line) for line in Path("rows.jsonl").read_text().splitlines()]
    assert row["score"] == pytest.approx(scores["GL-MCM"][scores["key"].index("blues0000")], abs=1e-4)

    command = ["save-detector", "--config", "step.yaml", "--out", "detector"]
    assert main([*command, "--encoder.init_args.extra_features", "[]"]) == 2
    assert "GLMCM needs patch features (encoder.extra_features: [patches])" in capsys.readouterr().err
