"""`predict` on everything that `run` accepts: tars, sets with a manifest, brace lists, and remote sources."""

import io
import json
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import detector_folder, write_label_set
from faulty_server import FaultyServer
from shard_files import encoded, write_tar

from ood_lightning.cli.main import main
from ood_lightning.data.artifacts.sheets import csv_rows
from ood_lightning.data.remote import download
from ood_lightning.data.rows.growing_file import GrowingFile
from ood_lightning.data.shards.manifest import Manifest, Shard
from ood_lightning.encoders.openclip import OpenClip
from ood_lightning.hashes import sha256_of

MASS = {"class_path": "ood_lightning.detectors.label_mass.LabelMass", "init_args": {"sharpness": 1.0}}
KEYS = [f"k{i:02}" for i in range(7)]
SHARDS = (3, 0, 4)  # images in each of the tars
Scored = dict[str, float | None]


@pytest.fixture
def detector(config: Any, tmp_path: Path) -> list[str]:
    label_set = write_label_set(tmp_path / "labels.json")
    return detector_folder(config("encoder", "corpus", label_set=label_set, score=MASS))


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Seven pictures, of which the fifth is broken, as files, in a tar and as a set; no tar may be unpacked."""
    folder = tmp_path / "files"
    folder.mkdir()
    members = []
    for i, key in enumerate(KEYS):
        data = b"broken" if i == 4 else encoded((30 * i, 90, 200 - 20 * i), i)
        (folder / f"{key}.png").write_bytes(data)
        members.append((f"{key}.png", data))

    write_tar(tmp_path / "all.tar", members)
    rows, start = [], 0
    (tmp_path / "set").mkdir()
    for number, n in enumerate(SHARDS):
        path = tmp_path / "set" / f"part-{number:02}.tar"
        write_tar(path, members[start : start + n])
        rows.append(Shard(path.name, n, path.stat().st_size, sha256_of(path)))
        start += n
    Manifest("mine", "id", tuple(rows)).write(tmp_path / "set")
    monkeypatch.setattr(tarfile.TarFile, "extractall", None)
    monkeypatch.setattr(tarfile.TarFile, "extract", None)
    return folder


@pytest.fixture
def server(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyServer]:
    """The same on a web server of this machine."""
    monkeypatch.setattr(download, "FIRST_WAIT_S", 0.001)
    with FaultyServer() as running:
        for path in (pictures.parent / "set").iterdir():
            running.files[f"/set/{path.name}"] = path.read_bytes()
        yield running


def scored(command: list[str], status: int = 1) -> Scored:
    """Score of each row by its path, in the order of the rows, all of which are there once."""
    Path("rows.jsonl").unlink(missing_ok=True)
    assert main(["predict", *command, "--out", "rows.jsonl"]) == status
    rows = [json.loads(line) for line in Path("rows.jsonl").read_text(encoding="utf-8").splitlines()]
    by_path = {row["path"]: row["score"] for row in rows}
    assert len(by_path) == len(rows)
    assert all((row["score"] is None) == bool(row["error"]) for row in rows)
    return by_path


SOURCES: dict[str, tuple[str, str]] = {  # what is given -> what its rows have before a key, and behind it
    "a tar": ("all.tar", "all: {}"),
    "a set": ("set", "mine: {}"),
    "its manifest": ("set/manifest.json", "mine: {}"),
    "a brace list": ("set/part-{00..02}.tar", "part: {}"),
    "a folder by its word": ("folder:files", "files/{}.png"),
    "a pipe": ("pipe:cat all.tar", "all: {}"),
    "a set on a server": ("{url}/set", "mine: {}"),
    "tars on a server": ("{url}/set/part-{00..02}.tar", "part: {}"),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", SOURCES)
def test_every_source_gives_the_scores_of_the_files(
    kind: str, detector: list[str], pictures: Path, server: FaultyServer, capsys: pytest.CaptureFixture[str]
):
    of_files = scored(["files", *detector, "--num_workers", "0"])
    source, name = SOURCES[kind]
    workers = "1" if kind in ("a tar", "a set") else "0"
    options = ["--num_workers", workers, "--batch_size", "2"]
    by_path = scored([source.replace("{url}", server.url), *detector, *options])

    assert list(by_path) == [name.format(key) for key in KEYS]
    assert [score is None for score in by_path.values()] == [i == 4 for i in range(7)]
    for of_file, of_member in zip(of_files.values(), by_path.values(), strict=True):
        assert of_member == (None if of_file is None else pytest.approx(of_file, abs=1e-5))
    assert "7 images: 6 scored" in capsys.readouterr().out


def test_the_same_batches_give_the_same_bits(detector: list[str], pictures: Path):
    of_files = scored(["files", *detector, "--num_workers", "0"])
    assert [*scored(["all.tar", *detector, "--num_workers", "0"]).values()] == [*of_files.values()]


def test_the_hub_is_read_too(detector: list[str], pictures: Path, monkeypatch: pytest.MonkeyPatch):
    from ood_lightning.data.remote import fetch

    monkeypatch.setattr(fetch, "hub_file", lambda source: pictures.parent / source.removeprefix("hf:me/data/"))
    assert list(scored(["hf:me/data/set", *detector])) == [f"mine: {key}" for key in KEYS]


def test_sources_of_all_kinds_side_by_side(detector: list[str], pictures: Path):
    (pictures.parent / "{0..3}.tar").write_bytes((pictures.parent / "all.tar").read_bytes())  # what is there is meant
    Path("k.png").write_bytes(encoded((9, 9, 9), 0))
    by_path = list(scored(["k.png", "set", "{0..3}.tar", "files", *detector]))
    assert by_path[:2] == ["k.png", "mine: k00"]
    assert by_path[8] == "{0..3}: k00"
    assert len(by_path) == 1 + 7 + 7 + 7


def test_sets_of_one_name_are_told_apart(detector: list[str], pictures: Path, refused: Callable[..., None]):
    for folder in ("a", "b"):
        Path(folder).mkdir()
        shutil.copy("all.tar", f"{folder}/all.tar")
    by_path = scored(["a/all.tar", "b/all.tar", *detector])
    assert list(by_path) == [f"{folder}/all.tar: {key}" for folder in "ab" for key in KEYS]
    commands = ["pipe:cat a/all.tar", "pipe:cat b/all.tar"]
    refused(["predict", *commands, *detector], "two sets are called pipe:cat ..., and rows would not tell which")


def test_samples_that_are_no_plain_pictures_are_rows(detector: list[str], pictures: Path):
    with tarfile.open("odd.tar", "w") as tar:
        for name, data in (("a.png", encoded((9, 9, 9), 0)), ("b.jpg", b"no"), ("b.png", encoded((9, 9, 9), 1))):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("c.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)

    assert main(["predict", "odd.tar", *detector, "--out", "rows.csv"]) == 1
    rows = csv_rows(Path("rows.csv").read_text(encoding="utf-8"))
    errors = {row["path"]: row["error"] for row in rows if row["error"]}
    assert "several pictures" in errors["odd: b"]
    assert "is a link" in errors["odd: c.png"]
    assert sorted(row["path"] for row in rows) == ["odd: a", "odd: b", "odd: c.png"]
    assert next(row["path"] for row in rows if row["score"]) == "odd: a"


def test_a_shard_with_another_number_of_pictures_is_refused(
    detector: list[str], pictures: Path, capsys: pytest.CaptureFixture[str]
):
    path = pictures.parent / "set" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["shards"][2] |= {"samples": 5, "sha256": ""}
    path.write_text(json.dumps(manifest))

    assert main(["predict", str(path.parent), *detector, "--out", "rows.jsonl"]) != 0
    said = capsys.readouterr().err
    assert "part-02.tar" in said
    assert "5" in said
    assert "Traceback" not in said


def test_what_is_no_source_is_one_line(detector: list[str], pictures: Path, refused: Callable[..., None]):
    def refuse(source: str, words: str) -> None:
        refused(["predict", source, *detector], words)

    refuse("none.tar", "there is no file or folder none.tar")
    refuse("none-{0..2}.tar", "no such shard: none-0.tar")
    Path("x.tgz").write_bytes(b"\x1f\x8b" + bytes(100))
    refuse("x.tgz", "is a compressed tar: uncompress it first")
    Path("cut.tar").write_bytes(Path("all.tar").read_bytes()[:3000])
    refuse("cut.tar", "is no sound tar|damaged or cut")
    Path("files/more.tar").write_bytes(b"")
    refuse("files", "holds tars and pictures, and no manifest.json")
    assert len(scored(["folder:files", *detector])) == 7

    tar = Path("set/part-02.tar")
    data = bytearray(tar.read_bytes())
    data[700] ^= 1
    tar.write_bytes(data)
    refuse("set", "the bytes of set/part-02.tar are not those that the manifest describes")


@pytest.mark.slow
@pytest.mark.parametrize("remote", [False, True])
def test_an_interrupted_run_goes_on_without_doing_work_again(
    remote: bool, detector: list[str], pictures: Path, server: FaultyServer, monkeypatch: pytest.MonkeyPatch
):
    command = [f"{server.url}/set" if remote else "set", *detector, "--batch_size", "1", "--num_workers", "0"]
    expected = list(scored(command).items())
    append, encode = GrowingFile.append, OpenClip.encode_columns
    n_encoded = 0

    def interrupted(self: GrowingFile, *args: Any) -> None:
        append(self, *args)
        if self.journal.images == 5:  # in the midst of the third shard
            raise KeyboardInterrupt

    def counted(self: OpenClip, image: Any, *args: Any) -> Any:
        nonlocal n_encoded
        n_encoded += len(image)
        return encode(self, image, *args)

    monkeypatch.setattr(OpenClip, "encode_columns", counted)
    with monkeypatch.context() as patched:
        patched.setattr(GrowingFile, "append", interrupted)
        assert main(["predict", *command, "--out", "again.jsonl"]) == 130
    assert main(["predict", *command, "--out", "again.jsonl"]) == 1
    assert n_encoded == 6
    rows = [json.loads(line) for line in Path("again.jsonl").read_text().splitlines()]
    assert [(row["path"], row["score"]) for row in rows] == expected


def test_another_set_does_not_go_on_with_rows(
    detector: list[str], pictures: Path, monkeypatch: pytest.MonkeyPatch, refused: Callable[..., None]
):
    command = ["predict", "all.tar", *detector, "--out", "rows.csv", "--batch_size", "1", "--num_workers", "0"]

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(GrowingFile, "finish", interrupted)
        assert main(command) == 130
    write_tar(Path("all.tar"), [(f"{key}.png", encoded((1, 2, 3), 50 + i)) for i, key in enumerate(KEYS)])
    refused(command, "rows.csv was begun with other images, of which 7 are done")


def test_tasks_of_an_array_take_whole_shards(
    detector: list[str], pictures: Path, server: FaultyServer, monkeypatch: pytest.MonkeyPatch
):
    everything = scored([f"{server.url}/set", "files", *detector])
    shutil.rmtree(".cache")
    by_path: Scored = {}

    for task in range(2):
        for name, value in {"ID": task, "MIN": 0, "MAX": 1, "COUNT": 2}.items():
            monkeypatch.setenv(f"SLURM_ARRAY_TASK_{name}", str(value))
        server.seen.clear()
        assert main(["predict", f"{server.url}/set", "files", *detector, "--out", "part.jsonl"]) in (0, 1)
        fetched = {path for path, _ in server.seen if path.endswith(".tar")}
        assert len(fetched) < 3  # not those of the other task
        lines = Path(f"part-000{task}-of-0002.jsonl").read_text().splitlines()
        by_path |= {row["path"]: row["score"] for row in map(json.loads, lines)}
        shutil.rmtree(".cache")

    assert by_path.keys() == everything.keys()
    for path, score in everything.items():
        assert by_path[path] == (None if score is None else pytest.approx(score, abs=1e-5))
