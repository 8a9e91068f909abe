"""`embed`, `mine` and `predict`, in-process."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from shard_files import encoded, write_tar

from ood_lightning.cli.embed import share
from ood_lightning.cli.main import main
from ood_lightning.data.artifacts.label_set import LabelSet
from ood_lightning.encoders.openclip import OpenClip

MASS = {"class_path": "ood_lightning.detectors.label_mass.LabelMass", "init_args": {"sharpness": 1.0}}
POSMINE = {"class_path": "ood_lightning.label_sets.posmine.PosMine", "init_args": {"min_images": 1}}


@pytest.fixture
def config(tmp_path: Path, encoder_yaml: dict[str, Any], words_yaml: dict[str, Any]) -> Any:
    """Writer of a step's YAML."""

    def write(*keys: str, **more: Any) -> list[str]:
        known = {"encoder": encoder_yaml, "corpus": words_yaml, "prompts": {"templates": ["{}", "a photo of a {}."]}}
        path = tmp_path / "step.yaml"
        path.write_text(yaml.safe_dump({**{key: known[key] for key in keys}, "cache_dir": "cache", **more}))
        return ["--config", str(path)]

    return write


def test_embed_twice_repeats_nothing(config: Any, sets: Path, capsys: pytest.CaptureFixture[str]):
    settings = config("encoder", shards=[str(sets / "train"), str(sets / "blues")], num_workers=0)
    assert main(["embed", *settings]) == 0
    first = {path: path.stat().st_mtime_ns for path in Path("cache").rglob("*.safetensors")}
    assert len(first) == 5
    out = capsys.readouterr()
    assert "train: 48 pictures, complete: cache" in out.out
    assert "embed train" in out.err

    assert main(["embed", *settings]) == 0
    assert {path: path.stat().st_mtime_ns for path in Path("cache").rglob("*.safetensors")} == first
    out = capsys.readouterr()
    assert "blues: 9 pictures, complete: cache" in out.out
    assert "embed train" not in out.err  # no bar: nothing to do


def test_embed_shares_the_work_by_slurms_variables(
    config: Any, sets: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    settings = config("encoder", shards=[str(sets / "train")], num_workers=0)
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
    for rank, state in (("1", "2 of 3 shards are with other processes"), ("0", "complete")):
        monkeypatch.setenv("SLURM_PROCID", rank)
        assert main(["embed", *settings]) == 0
        assert state in capsys.readouterr().out


def array(number: int, lowest: int, highest: int, count: int) -> dict[str, str]:
    """Variables of a task of an array."""
    values = {"ID": number, "MIN": lowest, "MAX": highest, "COUNT": count}
    return {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in values.items()}


STEP = {"SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "4"}


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, (0, 1)),
        (STEP, (3, 4)),
        ({"RANK": "1", "WORLD_SIZE": "2"}, (1, 2)),
        ({"RANK": "1"}, (0, 1)),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}, (0, 1)),  # a job without srun: nobody starts the other three
        ({"RANK": "5", "WORLD_SIZE": "8", "SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2"}, (5, 8)),  # srun torchrun
        (array(2, 0, 3, 4), (2, 4)),
        (array(9, 1, 9, 3), (2, 3)),  # --array=1,5,9
        (array(5, 2, 8, 3), (1, 3)),  # --array=2-8:3
        (array(7, 3, 7, 2), (1, 2)),
        (array(6, 6, 6, 1), (0, 1)),
        (array(1, 0, 2, 3) | STEP, (7, 12)),
        (array(1, 0, 2, 3) | {"RANK": "1", "WORLD_SIZE": "2"}, (3, 6)),
    ],
)
def test_the_share_of_a_process(variables: dict[str, str], expected: tuple[int, int], monkeypatch: pytest.MonkeyPatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert share() == expected


@pytest.mark.parametrize("number", [1, 2, 9])
def test_an_array_of_uneven_numbers_has_no_shares(
    number: int, config: Any, sets: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Of --array=1,2,9 a task learns the lowest, the highest and how many: how many come before it is unknown."""
    for name, value in array(number, 1, 9, 3).items():
        monkeypatch.setenv(name, value)

    if number == 2:
        assert main(["embed", *config("encoder", shards=[str(sets / "train")], num_workers=0)]) == 2
        assert "array of 3 numbers from 1 to 9: they are not evenly spaced" in capsys.readouterr().err
    else:
        assert share() == ({1: 0, 9: 2}[number], 3)


def test_embed_says_at_once_that_it_cannot_store_or_has_nothing_to_do(
    config: Any, sets: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(OpenClip, "load", lambda self, device: pytest.fail("the weights are loaded in vain"))
    Path("cache").write_text("a file")
    assert main(["embed", *config("encoder", shards=[str(sets / "train")], num_workers=0)]) == 2
    assert "cannot be written: Not a directory. Make room, or name another place" in capsys.readouterr().err
    assert main(["embed", *config("encoder", shards=[])]) == 2
    assert "shards names no set" in capsys.readouterr().err


def test_embed_holds_the_whole_set_to_its_limit(config: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for i in range(2):
        members = [(f"{i}good.png", encoded((1, 1, 1), i)), (f"{i}bad.png", b"no")]
        write_tar(tmp_path / f"bad-{i}.tar", members)
    settings = config("encoder", shards=[str(tmp_path / "bad-{0..1}.tar")], num_workers=0)
    assert main(["embed", *settings, "--max_bad_samples", "1"]) == 2
    assert "2 pictures cannot be decoded, 1 allowed" in capsys.readouterr().err
    assert main(["embed", *settings, "--max_bad_samples", "2"]) == 0
    assert "bad: 4 pictures (2 cannot be decoded), complete" in capsys.readouterr().out


def test_mine_asks_the_source_for_its_set(config: Any, sets: Path, capsys: pytest.CaptureFixture[str]):
    given = config("encoder", "corpus", "prompts", id_shards=str(sets / "train"), source=POSMINE)
    assert main(["mine", *given, "--out", "l/pos.json"]) == 0
    found = LabelSet.read("l/pos.json")
    assert found.recipe["method"] == "PosMine"
    assert sum(p.images or 0 for p in found.positives) == 48
    first = Path("l/pos.json").read_bytes()
    assert main(["mine", *given, "--out", "l/again.json"]) == 0  # all from the cache now
    assert Path("l/again.json").read_bytes() == first
    assert "positives: " in capsys.readouterr().out


def test_mine_with_the_votes_of_a_fit_elects_what_the_fit_elected(fit_yaml: Path, config: Any, sets: Path):
    assert main(["fit", "--config", str(fit_yaml)]) == 0
    clustermine = {"class_path": "ood_lightning.label_sets.clustermine.ClusterMine"}
    given = config("encoder", "corpus", "prompts", id_shards=str(sets / "train"), source=clustermine)
    assert main(["mine", *given, "--votes", "run/fit/votes.safetensors", "--out", "again.json"]) == 0
    fitted, again = LabelSet.read("run/fit/labels.json"), LabelSet.read("again.json")
    assert again.positives == fitted.positives
    assert again.recipe["method"] == fitted.recipe["method"] == "ClusterMine"
    (Path("nouns.txt")).write_text("snow\nwind\nfire\niron\n")
    assert main([
        "mine", *given, "--votes", "run/fit/votes.safetensors", "--out", "few.json",
        "--corpus", "ood_lightning.corpora.words.WordFile", "--corpus.init_args.path", "nouns.txt",
    ]) == 0  # fmt: skip
    assert set(LabelSet.read("few.json").words) <= {"snow", "wind", "fire", "iron"}


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Three pictures, of which one is broken and one lies deeper."""
    folder = tmp_path / "mine"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.png").write_bytes(encoded((200, 0, 0), 0))
    (folder / "b.jpg").write_bytes(b"broken")
    (folder / "deep" / "été.png").write_bytes(encoded((0, 0, 200), 1))
    return folder


@pytest.mark.parametrize("batch_size", ["1", "64"])
def test_predict_keeps_a_row_for_every_picture_also_a_broken_one(
    config: Any, sets: Path, pictures: Path, batch_size: str, capsys: pytest.CaptureFixture[str]
):
    given = config("encoder", "corpus", id_shards=str(sets / "train"), source=POSMINE)
    assert main(["mine", *given, "--out", "l.json"]) == 0
    given = config("encoder", "corpus", label_set="l.json", detector=MASS, concepts=2)
    command = ["predict", *given, "--images", str(pictures), "--batch_size", batch_size]
    for name in ("c.gif", "d.gif", "e.TIF"):
        (pictures / name).write_bytes(b"not looked at")
    assert main([*command, "--out", "new/rows.jsonl"]) == 0
    assert "no pictures by name: 2 .gif, 1 .tif\n" in capsys.readouterr().out
    rows = [json.loads(line) for line in Path("new/rows.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [Path(row["picture"]).name for row in rows] == ["a.png", "b.jpg", "été.png"]
    good, broken, deep = rows
    assert broken["score"] is None
    assert broken["error"] == "cannot be decoded: its 6 bytes are no JPEG, PNG or WebP"
    assert broken["concepts"] == []
    positives = LabelSet.read("l.json").words
    for row in (good, deep):
        assert isinstance(row["score"], float)
        assert row["error"] == ""
        assert len(row["concepts"]) == min(2, len(positives))
        assert set(row["concepts"]) <= set(positives)
        assert row["nearest_negative"] not in positives
    assert main([*command, "--out", "rows.csv"]) == 0
    with Path("rows.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["score"] for row in table] == [str(good["score"]), "", str(deep["score"])]
    assert table[0]["concepts"] == "|".join(good["concepts"])
    assert "higher score = more in-distribution" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("detector", ["neglabel.NegLabel", "negrefine.NegRefine"])  # the latter encodes further texts
def test_predict_gives_the_scores_of_test(config: Any, sets: Path, eval_yaml: Path, tmp_path: Path, detector: str):
    """The same picture, in a shard and as a file."""
    import pyarrow.parquet as pq

    given_detector = {"class_path": f"ood_lightning.detectors.{detector}", "init_args": {"groups": 2}}
    assert main(["test", "--config", str(eval_yaml), f"--model.detectors={json.dumps({'X': given_detector})}"]) == 0
    table = pq.read_table("run/eval/scores.parquet").to_pylist()
    (tmp_path / "p.png").write_bytes(encoded((30, 30, 220), 3000))  # first picture of `blues`
    more = {"label_set": "run/eval/labels/neglabel.json", "prompts": {"templates": ["{}"]}}
    given = config("encoder", "corpus", detector=given_detector, **more)
    assert main(["predict", *given, "--images", "p.png", "--out", "rows.jsonl"]) == 0
    (row,) = [json.loads(line) for line in Path("rows.jsonl").read_text().splitlines()]
    (expected,) = [entry["X"] for entry in table if entry["key"] == "blues0000"]
    assert row["score"] == pytest.approx(expected, abs=1e-4)


def test_predict_when_no_picture_can_be_decoded(config: Any, sets: Path, tmp_path: Path):
    (tmp_path / "x.png").write_bytes(b"no")
    given = config("encoder", "corpus", id_shards=str(sets / "train"), source=POSMINE)
    assert main(["mine", *given, "--out", "l.json"]) == 0
    given = config("encoder", "corpus", label_set="l.json", detector=MASS)
    assert main(["predict", *given, "--images", "x.png", "--out", "rows.csv"]) == 0
    assert "cannot be decoded" in Path("rows.csv").read_text()
