"""`predict` in-process: a row for every image of a folder."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from shard_files import encoded

from ood_lightning.cli.main import main
from ood_lightning.data.artifacts.label_set import LabelSet
from ood_lightning.encoders.openclip import OpenClip

MASS = {"class_path": "ood_lightning.detectors.label_mass.LabelMass", "init_args": {"sharpness": 1.0}}
POSMINE = {"class_path": "ood_lightning.label_sets.posmine.PosMine", "init_args": {"min_images": 1}}


def mined(config: Any, sets: Path) -> str:
    """A label set of the training images; returns its file."""
    settings = config("encoder", "corpus", id_shards=str(sets / "train"), source=POSMINE)
    assert main(["mine", *settings, "--out", "l.json"]) == 0
    return "l.json"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Three pictures, of which one is broken and one lies deeper."""
    folder = tmp_path / "mine"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.png").write_bytes(encoded((200, 0, 0), 0))
    (folder / "b.jpg").write_bytes(b"broken")
    (folder / "deep" / "été.png").write_bytes(encoded((0, 0, 200), 1))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", ["1", "64"])
def test_predict_keeps_a_row_for_every_picture_also_a_broken_one(
    config: Any, sets: Path, pictures: Path, batch_size: str, capsys: pytest.CaptureFixture[str]
):
    settings = config("encoder", "corpus", label_set=mined(config, sets), detector=MASS, concepts=2)
    command = ["predict", *settings, "--images", str(pictures), "--batch_size", batch_size]
    for name in ("c.doc", "d.doc", "e.PDF", "._a.png"):
        (pictures / name).write_bytes(b"not looked at")
    assert main([*command, "--out", "new/rows.jsonl"]) == 1  # done, but one of them cannot be read
    assert "no pictures by name: 2 .doc, 1 .pdf, 1 resource forks of macOS\n" in capsys.readouterr().out

    rows = [json.loads(line) for line in Path("new/rows.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [Path(row["picture"]).name for row in rows] == ["a.png", "b.jpg", "été.png"]
    good, broken, deep = rows
    assert broken["score"] is None
    assert broken["error"] == "cannot be decoded: its 6 bytes are none of JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF"
    assert broken["concepts"] == []

    positives = LabelSet.read("l.json").words
    for row in (good, deep):
        assert isinstance(row["score"], float)
        assert row["error"] == ""
        assert len(row["concepts"]) == min(2, len(positives))
        assert set(row["concepts"]) <= set(positives)
        assert row["nearest_negative"] not in positives

    assert main([*command, "--out", "rows.csv"]) == 1
    with Path("rows.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["score"] for row in table] == [str(good["score"]), "", str(deep["score"])]
    assert table[0]["concepts"] == "|".join(good["concepts"])
    assert "higher score = more in-distribution" in " ".join(capsys.readouterr().out.split())


@pytest.mark.slow
def test_predict_gives_no_score_to_features_without_a_direction(
    config: Any, sets: Path, pictures: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    settings = config("encoder", "corpus", label_set=mined(config, sets), detector=MASS)
    monkeypatch.setattr(OpenClip, "_projected", lambda _, image, **__: torch.full((len(image), 4), torch.inf))
    assert main(["predict", *settings, "--images", str(pictures), "--out", "rows.csv"]) == 2
    assert "the features are no unit vectors (row 0 of 2 " in capsys.readouterr().err
    assert not Path("rows.csv").exists()


@pytest.mark.slow
@pytest.mark.parametrize("detector", ["neglabel.NegLabel", "negrefine.NegRefine"])  # the latter encodes further texts
def test_predict_gives_the_scores_of_test(config: Any, sets: Path, eval_yaml: Path, tmp_path: Path, detector: str):
    """The same picture, in a shard and as a file."""
    part = {"class_path": f"ood_lightning.detectors.{detector}", "init_args": {"groups": 2}}
    assert main(["test", "--config", str(eval_yaml), f"--model.detectors={json.dumps({'X': part})}"]) == 0
    table = pq.read_table("run/eval/scores.parquet").to_pylist()
    (expected,) = [entry["X"] for entry in table if entry["key"] == "blues0000"]

    (tmp_path / "p.png").write_bytes(encoded((30, 30, 220), 3000))  # first picture of `blues`
    more = {"label_set": "run/eval/labels/neglabel.json", "prompts": {"templates": ["{}"]}}
    settings = config("encoder", "corpus", detector=part, **more)
    assert main(["predict", *settings, "--images", "p.png", "--out", "rows.jsonl"]) == 0
    (row,) = [json.loads(line) for line in Path("rows.jsonl").read_text().splitlines()]
    assert row["score"] == pytest.approx(expected, abs=1e-4)


def test_a_prediction_without_one_picture_that_can_be_decoded_is_no_success(
    config: Any, sets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "x.png").write_bytes(b"no")
    settings = config("encoder", "corpus", label_set=mined(config, sets), detector=MASS)
    (tmp_path / "y.jpg").write_bytes(b"<html>")
    command = ["predict", *settings, "--out", "rows.csv", "--images"]
    for images, n in (("x.png", 1), (".", 2)):
        assert main([*command, images]) == 2
        assert f"error: none of the {n} pictures in {images} could be scored" in capsys.readouterr().err
        assert Path("rows.csv").read_text().count("cannot be decoded") == n

    (tmp_path / "z.png").write_bytes(encoded((9, 9, 9), 0))
    assert main([*command, "z.png"]) == 0


def test_predict_reads_every_format_and_sets_pictures_upright(
    config: Any, sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OUT", str(tmp_path))
    folder = tmp_path / "phone"
    (folder / "__MACOSX").mkdir(parents=True)
    image = Image.open(io.BytesIO(encoded((200, 0, 0), 0))).resize((40, 24))
    for ending in ("bmp", "gif", "tif", "TIFF", "avif", "jpe"):
        image.save(folder / f"a.{ending}")
    (folder / "__MACOSX/a.png").write_bytes(b"fork")
    (folder / "._a.bmp").write_bytes(b"fork")
    image.save(folder / "upright.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    image.transpose(Image.Transpose.ROTATE_90).save(folder / "said.png", exif=exif)

    settings = config("encoder", "corpus", label_set=mined(config, sets), detector=MASS)
    assert main(["predict", *settings, "--images", str(folder), "--out=$OUT/rows.JSONL"]) == 0
    rows = {
        Path(row["picture"]).name: row for row in map(json.loads, (tmp_path / "rows.JSONL").read_text().splitlines())
    }
    assert sorted(rows) == ["a.TIFF", "a.avif", "a.bmp", "a.gif", "a.jpe", "a.tif", "said.png", "upright.png"]
    assert not any(row["error"] for row in rows.values())
    assert rows["said.png"]["score"] == rows["upright.png"]["score"] == rows["a.bmp"]["score"]
