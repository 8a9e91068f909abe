"""`predict` in-process: a row for every image, in every form, and a summary of all."""

import csv
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from command_line import detector_folder, said
from PIL import Image
from shard_files import encoded

from ood_lightning.calibration.calibration import Calibration
from ood_lightning.cli.main import main
from ood_lightning.data.artifacts.label_set import LabelSet
from ood_lightning.detector_folder.save import set_calibration
from ood_lightning.encoders.openclip import OpenClip

MASS = {"class_path": "ood_lightning.detectors.label_mass.LabelMass", "init_args": {"sharpness": 1.0}}
POSMINE = {"class_path": "ood_lightning.label_sets.posmine.PosMine", "init_args": {"min_images": 1}}


@pytest.fixture
def detector(config: Any, sets: Path) -> list[str]:
    """A detector folder whose words are mined from the training images; the option that names it."""
    mine = config("encoder", "corpus", id_shards=str(sets / "train"), source=POSMINE)
    assert main(["mine", *mine, "--out", "l.json"]) == 0
    return detector_folder(config("encoder", "corpus", label_set="l.json", score=MASS))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Three pictures, of which one is broken and one lies deeper."""
    folder = tmp_path / "mine"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.png").write_bytes(encoded((200, 0, 0), 0))
    (folder / "b.jpg").write_bytes(b"broken")
    (folder / "deep" / "été.png").write_bytes(encoded((0, 0, 200), 1))
    return folder


def rows_of(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def calibrated(scores: list[float]) -> None:
    """Give the detector a calibration by scores, of which a twentieth is rejected."""
    calibration = Calibration(tuple(sorted(scores)), n_images=len(scores), source="held-out images")
    set_calibration("detector", calibration)


@pytest.mark.slow
@pytest.mark.parametrize("options", [["--batch_size", "1", "--num_workers", "1"], ["--batch_size", "64"]])
def test_predict_keeps_a_row_for_every_picture_also_a_broken_one(
    detector: list[str], pictures: Path, options: list[str], capsys: pytest.CaptureFixture[str]
):
    command = ["predict", str(pictures), *detector, "--concepts", "2", *options]
    for name in ("c.doc", "d.doc", "e.PDF", "._a.png"):
        (pictures / name).write_bytes(b"not looked at")
    assert main([*command, "--out", "new/rows.jsonl"]) == 1  # done, but one of them cannot be read
    output = capsys.readouterr().out
    assert "no pictures by name: 2 .doc, 1 .pdf, 1 resource forks of macOS\n" in output
    assert "3 images: 2 scored, none accepted or rejected, since the detector is not calibrated, 1 could not" in output

    rows = rows_of("new/rows.jsonl")
    assert [Path(row["path"]).name for row in rows] == ["a.png", "b.jpg", "été.png"]
    good, broken, deep = rows
    assert broken["score"] is None
    assert broken["error"] == "cannot be read: its 6 bytes are none of JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF"
    assert broken["concepts"] == []

    positives = LabelSet.read("l.json").words
    for row in (good, deep):
        assert isinstance(row["score"], float)
        assert row["p_value"] is row["accepted"] is None
        assert row["error"] == ""
        assert len(row["concepts"]) == min(2, len(positives))
        assert set(row["concepts"]) <= set(positives)
        assert row["nearest_negative"] not in positives

    assert main([*command, "--out", "rows.csv"]) == 1
    with Path("rows.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["score"] for row in table] == [str(good["score"]), "", str(deep["score"])]
    assert table[0]["concepts"] == "|".join(good["concepts"])

    assert main([*command, "--out", "rows.parquet"]) == 1
    assert pq.read_table("rows.parquet").to_pylist() == rows
    assert "higher score = more in-distribution" in " ".join(capsys.readouterr().out.split())


@pytest.mark.slow
def test_a_calibrated_detector_decides_and_the_status_says_so_where_it_is_asked_for(
    detector: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    for i in range(3):
        (tmp_path / f"p{i}.png").write_bytes(encoded((80 * i, 0, 200 - 80 * i), i))
    names = ["p0.png", "p1.png", "p2.png"]
    command = ["predict", *names, *detector, "--out", "rows.csv"]
    assert main(["predict", *names, *detector, "--out", "rows.jsonl"]) == 0
    scores = {row["path"]: row["score"] for row in rows_of("rows.jsonl")}
    lowest = min(scores.values())

    calibrated([lowest + 1e-9] * 99)
    assert main([*command, "--exit-code"]) == 3
    assert main([*command, "--exit_code", "false"]) == main(command) == 0
    output = capsys.readouterr().out
    assert "3 images: 2 accepted (score of " in output
    assert "1 rejected" in output
    with Path("rows.csv").open(newline="") as file:
        table = {row["path"]: row for row in csv.DictReader(file)}
    assert {path: row["accepted"] for path, row in table.items()} == {
        path: "true" if score > lowest else "false" for path, score in scores.items()
    }
    assert min(float(row["p_value"]) for row in table.values()) == 0.01

    (tmp_path / "p3.png").write_bytes(b"no picture")
    assert main(["predict", *names, "p3.png", *detector, "--exit-code"]) == 1  # which wins


@pytest.mark.slow
def test_predict_gives_no_score_to_features_without_a_direction(
    detector: list[str], pictures: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(OpenClip, "_projected", lambda _, image, **__: torch.full((len(image), 4), torch.inf))
    assert main(["predict", str(pictures), *detector, "--out", "rows.csv"]) == 2
    assert "the features are no unit vectors (row 0 of 2 " in capsys.readouterr().err
    assert not Path("rows.csv").exists()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["neglabel.NegLabel", "negrefine.NegRefine"])  # the latter encodes further texts
def test_predict_gives_the_scores_of_test(config: Any, sets: Path, eval_yaml: Path, tmp_path: Path, kind: str):
    """The same picture, in a shard and as a file."""
    part = {"class_path": f"ood_lightning.detectors.{kind}", "init_args": {"groups": 2}}
    assert main(["test", "--config", str(eval_yaml), f"--model.detectors={json.dumps({'X': part})}"]) == 0
    table = pq.read_table("run/eval/scores.parquet").to_pylist()
    (expected,) = [entry["X"] for entry in table if entry["key"] == "blues0000"]

    (tmp_path / "p.png").write_bytes(encoded((30, 30, 220), 3000))  # first picture of `blues`
    more = {"label_set": "run/eval/labels/neglabel.json", "prompts": {"templates": ["{}"]}}
    folder = detector_folder(config("encoder", "corpus", score=part, **more))
    assert main(["predict", "p.png", *folder, "--out", "rows.jsonl"]) == 0
    (row,) = rows_of("rows.jsonl")
    assert row["score"] == pytest.approx(expected, abs=1e-4)


def test_a_prediction_without_one_picture_that_can_be_decoded_is_no_success(
    detector: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "x.png").write_bytes(b"no")
    (folder / "y.jpg").write_bytes(b"<html>")
    for images, n in (("broken/x.png", 1), ("broken", 2)):
        assert main(["predict", images, *detector, "--out", "rows.csv"]) == 2
        assert f"error: none of the {n} pictures could be scored" in capsys.readouterr().err
        assert Path("rows.csv").read_text().count("cannot be read") == n

    (folder / "z.png").write_bytes(encoded((9, 9, 9), 0))
    assert main(["predict", "broken/z.png", *detector]) == 0


def test_predict_reads_every_format_and_sets_pictures_upright(
    detector: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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

    assert main(["predict", str(folder), *detector, "--out=$OUT/rows.JSONL"]) == 0
    rows = {Path(row["path"]).name: row for row in rows_of(str(tmp_path / "rows.JSONL"))}
    assert list(rows) == ["a.TIFF", "a.avif", "a.bmp", "a.gif", "a.jpe", "a.tif", "said.png", "upright.png"]
    assert not any(row["error"] for row in rows.values())
    assert rows["said.png"]["score"] == rows["upright.png"]["score"] == rows["a.bmp"]["score"]


def test_the_summary_of_many_pictures_is_short_and_names_the_most_foreign(
    detector: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    for i in range(300):
        (tmp_path / f"p{i:03}.png").write_bytes(encoded((i % 250, 90, i % 7), i))
    for i in range(30):
        (tmp_path / f"q{i:03}.png").write_bytes(b"broken")
    assert main(["predict", str(tmp_path), *detector, "--out", "out/rows.jsonl"]) == 1
    output = capsys.readouterr().out
    assert len(output.splitlines()) < 40
    assert "the 10 most foreign of 300" in output
    assert "... and 20 more that could not be read" in output

    rows = sorted((row for row in rows_of("out/rows.jsonl") if row["score"] is not None), key=lambda row: row["score"])
    in_table = [line.split()[0] for line in output.splitlines() if ".png" in line and "cannot be" not in line]
    assert in_table == [row["path"] for row in rows[:10]]


class Input:
    """Standard input of these bytes."""

    def __init__(self, data: bytes) -> None:
        self.buffer = io.BytesIO(data)


@pytest.mark.slow
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\0"])
def test_paths_from_standard_input_and_rows_to_standard_output(
    end: bytes, detector: list[str], pictures: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    paths = [str(pictures / "deep" / "été.png"), str(pictures / "gone.png"), str(pictures / "a.png")]
    monkeypatch.setattr(sys, "stdin", Input(end.join(path.encode() for path in paths)))
    assert main(["predict", "-", *detector, "--out", "-", "--num_workers", "0"]) == 1

    output, error = capsys.readouterr()
    rows = [json.loads(line) for line in output.splitlines()]
    assert [row["path"] for row in rows] == paths
    assert [row["error"] for row in rows] == ["", "cannot be read: No such file or directory", ""]
    assert output.isascii()
    assert "3 images: 2 scored" in error


@pytest.mark.slow
def test_tasks_of_an_array_share_the_images(
    detector: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    folder = tmp_path / "many"
    folder.mkdir()
    for i in range(600):
        (folder / f"{i:03}.png").write_bytes(encoded((i % 250, 90, i % 7), 0))
    assert main(["predict", "many", *detector, "--out", "all.jsonl"]) == 0

    for task in range(2):
        for name, value in {"ID": task, "MIN": 0, "MAX": 1, "COUNT": 2}.items():
            monkeypatch.setenv(f"SLURM_ARRAY_TASK_{name}", str(value))
        assert main(["predict", "many", *detector, "--out", "part.jsonl"]) == 0
    parts = [rows_of(f"part-000{task}-of-0002.jsonl") for task in range(2)]
    assert [len(part) for part in parts] == [344, 256]
    assert sorted(row["path"] for part in parts for row in part) == [row["path"] for row in rows_of("all.jsonl")]
    assert "share 2 of 2" in capsys.readouterr().out


def test_a_detector_that_was_edited_says_that_its_calibration_is_void(
    detector: list[str], pictures: Path, capsys: pytest.CaptureFixture[str]
):
    calibrated([0.0] * 60)
    file = Path("detector/labels.json")
    content = json.loads(file.read_text())
    content["positives"] = [{"label": "violet"}]
    file.write_text(json.dumps(content))
    assert main(["predict", str(pictures / "a.png"), *detector, "--out", "rows.jsonl"]) == 0
    assert "its calibration is void" in capsys.readouterr().err
    (row,) = rows_of("rows.jsonl")
    assert (row["accepted"], row["concepts"]) == (None, ["violet"])


def test_a_run_that_was_interrupted_is_not_finished_with_other_settings(
    detector: list[str], pictures: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    from ood_lightning.data.rows.growing_file import GrowingFile

    command = ["predict", str(pictures), *detector, "--out", "rows.csv", "--batch_size", "1", "--num_workers", "0"]
    append: Callable[..., None] = GrowingFile.append

    def interrupted(self: GrowingFile, *args: Any) -> None:
        if self.journal.images == 2:
            raise KeyboardInterrupt
        append(self, *args)

    with monkeypatch.context() as patched:
        patched.setattr(GrowingFile, "append", interrupted)
        assert main(command) == 130
    capsys.readouterr()
    assert main([*command, "--concepts", "1"]) == 2
    assert "rows.csv was begun with another detector or other settings (2 images are done)" in said(capsys)
    (pictures / "0.png").write_bytes(b"")
    assert main(command) == 2
    assert "rows.csv was begun with other images, of which 2 are done" in said(capsys)
    (pictures / "0.png").unlink()
    assert main(command) == 1
    assert Path("rows.csv").read_bytes().count(b"\r\n") == 4
