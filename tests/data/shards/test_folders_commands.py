"""Commands take a folder of pictures wherever they take a set."""

import json
from pathlib import Path
from typing import Any

import picture_folders
import pyarrow.parquet as pq
import pytest
import tiny_configs
import yaml
from command_line import said
from shard_files import COLOURS, encoded

from ood_lightning.cli.main import main

Settings = dict[str, Any]


def of_colours(folder: Path, colours: list[str], n: int, seed: int) -> Path:
    """A folder of n pictures with a subfolder for each colour, as classes have."""
    for i in range(n):
        colour = colours[i % len(colours)]
        picture_folders.write(folder, f"{colour}/{i:02d} ü.png", encoded(COLOURS[colour], 1000 * seed + i))
    return folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return of_colours(tmp_path / "my photos", ["red", "green"], 40, 7)


@pytest.mark.slow
def test_fit_embeds_a_folder_and_mines_it(fit_yaml: Path, photos: Path, capsys: pytest.CaptureFixture[str]):
    settings = yaml.safe_load(fit_yaml.read_text())
    sheet = {"class_path": "ood_lightning.callbacks.sheet.ConceptSheet", "init_args": {"concepts": 2}}
    settings["trainer"]["callbacks"].append(sheet)
    settings["data"]["init_args"]["id_shards"] = str(photos)
    tiny_configs.write(fit_yaml, settings)

    assert main(["validate", "fit", "--config", str(fit_yaml)]) == 0
    assert "40 pictures in 1 shard, called 'my photos'" in capsys.readouterr().out
    assert main(["fit", "--config", str(fit_yaml)]) == 0
    assert json.loads(Path("run/fit/labels.json").read_text())["positives"]
    assert Path("run/fit/concepts.png").is_file()


@pytest.mark.slow
def test_test_scores_folders_as_any_other_sets(
    eval_yaml: Path, photos: Path, tmp_path: Path, sets: Path, capsys: pytest.CaptureFixture[str]
):
    picture_folders.write(photos, "broken.jpg", b"no picture")
    settings = yaml.safe_load(eval_yaml.read_text())
    data = settings["data"]["init_args"]
    data["id_shards"] = [f"folder:{photos}"]
    data["ood_shards"] = {"near": [str(sets / "blues")], "far": [str(of_colours(tmp_path / "far", ["grey"], 9, 8))]}
    data["id_train_shards"] = str(of_colours(tmp_path / "train", ["red", "green"], 12, 9))
    data["max_bad_samples"] = 1
    tiny_configs.write(eval_yaml, settings)

    assert main(["test", "--config", str(eval_yaml)]) == 1  # done, but one picture cannot be read
    rows = pq.read_table("run/eval/scores.parquet").to_pylist()
    keys = [row["key"] for row in rows if row["dataset"] == "my photos"]
    assert len(keys) == 40
    assert keys[0] == "green/01 ü.png"
    assert sum(row["dataset"] == "far" for row in rows) == 9

    data["ood_shards"] = {"near": [str(photos / "red")]}
    tiny_configs.write(eval_yaml, settings)
    capsys.readouterr()
    assert main(["test", "--config", str(eval_yaml)]) == 2
    assert "which is another set: its pictures would count on both sides" in said(capsys)


@pytest.mark.slow
def test_embed_and_check_say_what_was_passed_over(
    photos: Path, tmp_path: Path, encoder_yaml: Settings, capsys: pytest.CaptureFixture[str]
):
    picture_folders.hostile(photos)
    picture_folders.write(photos, "notes.txt", b"-")
    picture_folders.write(photos, "copy.png", (photos / "red" / "00 ü.png").read_bytes())
    embed = ["embed", f"--encoder={json.dumps(encoder_yaml)}", "--num_workers=2", "--cache_dir=cache"]
    assert main([*embed, "--shards", f"folder:{photos}"]) == 0
    out = capsys.readouterr().out
    n = 41 + len(picture_folders.HOSTILE)
    assert f"my photos: {n} pictures, complete: cache" in out
    assert "my photos: no pictures by name: 1 .txt\n" in out

    assert main([*embed, "--shards", str(photos)]) == 0
    assert "embed my photos" not in capsys.readouterr().err  # nothing is repeated

    other = of_colours(tmp_path / "others", ["blue"], 3, 5)
    assert main([*embed, "--shards", str(other)]) == 0
    capsys.readouterr()
    command = ["data", "check", str(photos), "--ood", str(other), "--features=cache", "--out=r.json", "--workers=1"]
    assert main(command) == 1
    problems = json.loads(Path("r.json").read_text())["problems"]
    assert [p["where"] for p in problems if p["kind"] == "duplicate"] == ["pictures-000000 red/00 ü.png"]
    assert {p["set"] for p in problems if p["kind"] == "near"} <= {"others"}
    assert "my photos: no pictures by name: 1 .txt\n" in capsys.readouterr().out


def test_a_set_that_nobody_can_read_is_refused_in_one_line(
    tmp_path: Path, encoder_yaml: Settings, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "empty").mkdir()
    embed = ["embed", f"--encoder={json.dumps(encoder_yaml)}", "--cache_dir=cache", "--shards"]
    assert main([*embed, str(tmp_path / "empty")]) == 2
    assert "no tars and no pictures: name a folder" in said(capsys)
