"""Packing: every picture once, bytes kept, keys unique, and the same shards whatever happened in between."""

import io
import json
import os
import random
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from shard_files import COLOURS, encoded

from ood_lightning.cli.main import main
from ood_lightning.data.artifacts.features import FeatureFolder
from ood_lightning.data.class_names import read_folders, read_names
from ood_lightning.data.pack.classes import in_order, numbered
from ood_lightning.data.pack.keys import keys_of
from ood_lightning.data.shards.decode import decode, suffix_of
from ood_lightning.data.shards.read_manifest import index, read_manifest
from ood_lightning.data.shards.samples import read_samples
from ood_lightning.errors import LabelSetError, SourceError

PIXEL = encoded((9, 9, 9), 0, size=1)


def run(source: Path, out: Path, *more: str, role: str = "id") -> int:
    return main(["data", "pack", str(source), "--out", str(out), "--name", "s", "--role", role, "--workers=1", *more])


def packed(out: Path) -> list[tuple[str, bytes, int]]:
    manifest = read_manifest(str(out))
    found = [sample for shard in manifest.shards for sample in read_samples(manifest.path(shard))]
    assert [sum(1 for _ in read_samples(manifest.path(s))) for s in manifest.shards] == [
        s.samples for s in manifest.shards
    ]
    assert index([manifest.path(s) for s in manifest.shards]).n_samples == manifest.n_samples
    return [(sample.key, sample.data, sample.label) for sample in found]


def content(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.iterdir()) if path.is_file()}


def origins(out: Path) -> dict[str, str]:
    """Path by key, of samples whose key does not show it."""
    found = {}
    for tar in out.glob("*.tar"):
        with tarfile.open(tar) as opened:
            for member in opened:
                if member.name.endswith(".json"):
                    file = opened.extractfile(member)
                    assert file is not None
                    found[member.name.removesuffix(".json")] = json.loads(file.read())["path"]
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes with three and four pictures, and notes."""
    for i, name in enumerate(["2/a.png", "2/b.PNG", "2/sub/c.jpeg", "10/a.png", "10/b.png", "10/c.png", "10/d.png"]):
        path = tmp_path / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(COLOURS["red"], i))
    (tmp_path / "pictures/10/notes.txt").write_text("x")
    return tmp_path / "pictures"


NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
    lambda name: not name.startswith("._") and name not in (".", "..", "__MACOSX")
)
TREES = st.sets(st.tuples(st.lists(NAMES, max_size=2), NAMES, st.sampled_from(["png", "JPG", "gif"])).map(
    lambda t: "/".join([*t[0], f"{t[1]}.{t[2]}"])
), min_size=1, max_size=12)  # fmt: skip


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(tree=TREES, size=st.integers(1, 5))
def test_any_tree_is_packed_once_with_its_bytes(tree: set[str], size: int):
    with tempfile.TemporaryDirectory() as place:
        source, expected = Path(place) / "in", {}
        for i, name in enumerate(sorted(tree)):
            try:
                (source / name).parent.mkdir(parents=True, exist_ok=True)
                (source / name).write_bytes(encoded((9, 9, 9), i, size=1) + str(i).encode())
            except OSError:  # a file and a folder of one name, or names of more bytes than allowed
                continue
            expected[name] = (source / name).read_bytes()
        if not expected:
            return
        out = Path(place) / "out"
        assert run(source, out, "--labels=none", f"--samples_per_shard={size}") == 0
        found = packed(out)
        keys = [key for key, _, _ in found]
        assert len({key.casefold() for key in keys}) == len(keys) == len(expected)
        assert all(set(key) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-/") for key in keys)
        told = origins(out)
        by_stem = {key: data for key, data, _ in found if key not in told}
        assert {told[key]: data for key, data, _ in found if key in told} | {
            name: by_stem[name.rpartition(".")[0]] for name in expected if name not in told.values()
        } == expected


def test_classes_of_numbered_folders_are_numbers_in_order(folder: Path, tmp_path: Path):
    assert run(folder, tmp_path / "out") == 0
    manifest = read_manifest(str(tmp_path / "out"))
    assert manifest.class_names == ("2", "10")
    assert [(key, label) for key, _, label in packed(tmp_path / "out")] == [
        *((f"10/{name}", 1) for name in "abcd"), ("2/a", 0), ("2/b", 0), ("2/sub/c", 0),
    ]  # fmt: skip
    assert run(folder, tmp_path / "text", "--class_order=name") == 0
    assert read_manifest(str(tmp_path / "text")).class_names == ("10", "2")


def test_an_order_of_classes_that_would_change_nothing_is_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "list.txt").write_text("10/a.png 3\n2/a.png 1\n")
    (tmp_path / "none.txt").write_text("10/a.png -1\n")
    (tmp_path / "names.txt").write_text("10\tten\n2\ttwo\n")
    for source, more, words in (
        (tmp_path / "list.txt", [f"--root={folder}"], "class_order is 'number', but the source itself numbers"),
        (tmp_path / "none.txt", [f"--root={folder}"], "class_order is 'number', but the pictures have no classes"),
        (folder, ["--labels=none"], "class_order is 'number', but the pictures have no classes"),
        (folder, [f"--class_names={tmp_path}/names.txt"], "but the lines of class_names number the folders"),
    ):
        assert run(source, tmp_path / "out", "--class_order=number", *more) == 2
        assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("kind", "tool"), [("gz", "gunzip"), ("bz2", "bunzip2"), ("xz", "unxz")])
def test_a_compressed_tar_is_called_one_whatever_its_name(
    kind: str, tool: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    with tarfile.open(tmp_path / "s.tar", f"w:{kind}") as tar:
        tar.add(folder, "s")
    assert run(tmp_path / "s.tar", tmp_path / "out") == 2
    assert f"s.tar is a compressed tar: uncompress it first (`{tool}`)" in capsys.readouterr().err


def test_a_shard_carries_no_time_owner_or_rights(folder: Path, tmp_path: Path):
    assert run(folder, tmp_path / "out") == 0
    with tarfile.open(tmp_path / "out/s-000000.tar") as tar:
        about = {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode) for m in tar}
    assert about == {(0, 0, 0, "", "", 0o644)}


def test_any_number_of_workers_and_a_second_run_give_the_same_bytes(folder: Path, tmp_path: Path):
    assert run(folder, tmp_path / "one", "--samples_per_shard=2") == 0
    first = content(tmp_path / "one")
    assert len(first) == 4 + 2
    assert run(folder, tmp_path / "four", "--samples_per_shard=2", "--workers=4") == 0
    assert content(tmp_path / "four") == first
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "one").glob("*.tar")}
    assert run(folder, tmp_path / "one", "--samples_per_shard=2") == 0
    assert {path: path.stat().st_mtime_ns for path in times} == times  # nothing was made again
    assert content(tmp_path / "one") == first


def test_only_the_shard_of_a_changed_picture_is_made_again(folder: Path, tmp_path: Path):
    out = tmp_path / "out"
    assert run(folder, out, "--samples_per_shard=2") == 0
    times = {path.name: path.stat().st_mtime_ns for path in out.glob("*.tar")}
    (folder / "10/c.png").write_bytes(encoded(COLOURS["blue"], 99))
    assert run(folder, out, "--samples_per_shard=2") == 0
    changed = [p.name for p in out.glob("*.tar") if p.stat().st_mtime_ns != times[p.name]]
    assert changed == ["s-000001.tar"]
    assert run(folder, out, "--samples_per_shard=4") == 0  # a shorter list leaves nothing of the longer one
    assert sorted(p.name for p in out.glob("*.tar")) == ["s-000000.tar", "s-000001.tar"]
    assert len(packed(out)) == 7


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 3])
def test_killed_at_any_moment_it_goes_on_to_the_same_bytes(tmp_path: Path, workers: int):
    source, draw = tmp_path / "in", random.Random(workers)
    source.mkdir()
    for i in range(60):
        (source / f"{i:02d}.png").write_bytes(encoded(COLOURS["green"], i, size=400))
    assert run(source, tmp_path / "whole", "--samples_per_shard=3") == 0
    expected, out = content(tmp_path / "whole"), tmp_path / "out"
    command = [sys.executable, "-m", "ood_lightning", "data", "pack", str(source), f"--out={out}", "--name=s"]
    command += ["--role=id", "--samples_per_shard=3", f"--workers={workers}"]
    kills = 0
    for _ in range(40):
        finished = len([*out.glob("*.tar")]) + draw.randrange(3)
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        while process.poll() is None and len([*out.glob("*.tar")]) <= finished:  # by work done, on any machine
            time.sleep(0.001)
        if process.poll() is not None:
            assert process.returncode == 0
            break
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
        for path in out.glob("*.tar"):  # whatever has its final name is whole
            assert path.read_bytes() == expected[path.name]
        assert not (out / "manifest.json").exists() or content(out) == expected
    assert kills >= 2
    assert run(source, out, "--samples_per_shard=3") == 0
    assert content(out) == expected


def test_a_folder_of_something_else_is_left_alone(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/s-000000.tar").write_bytes(b"mine")
    assert run(folder, tmp_path / "mine") == 2
    assert "is not empty" in capsys.readouterr().err
    assert (tmp_path / "mine/s-000000.tar").read_bytes() == b"mine"
    assert run(folder, tmp_path / "out") == 0
    assert run(folder / "10", tmp_path / "out") == 2
    assert "holds the set 's' from another source" in capsys.readouterr().err
    assert main(["data", "pack", str(folder), "--out", "o", "--name", "../s", "--role", "id"]) == 2
    assert "name is '../s'" in capsys.readouterr().err
    assert run(folder, folder / "10/a.png") == 2
    assert "is a file" in capsys.readouterr().err


def picture(form: str, mode: str = "RGB", size: tuple[int, int] = (40, 30), **how: Any) -> bytes:
    buffer = io.BytesIO()
    Image.radial_gradient("L").resize(size).convert(mode).save(buffer, form, **how)
    return buffer.getvalue()


def rotated() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return picture("JPEG", exif=exif)


def animated(form: str) -> bytes:
    buffer = io.BytesIO()
    frames = [Image.new("RGB", (8, 8), (i, 0, 0)) for i in (0, 90, 250)]
    frames[0].save(buffer, form, save_all=True, append_images=frames[1:])
    return buffer.getvalue()


ODD = {
    "one_pixel.png": PIXEL, "one_pixel.jpg": picture("JPEG", size=(1, 1)),
    "cmyk.jpg": picture("JPEG", "CMYK"), "grey.jpg": picture("JPEG", "L"),
    "sixteen_bit.png": picture("PNG", "I;16"), "palette.png": picture("PNG", "P"), "one_bit.png": picture("PNG", "1"),
    "alpha.webp": picture("WEBP", "RGBA"), "rotated.jpg": rotated(), "animated.webp": animated("WEBP"),
    "animated.png": animated("PNG"), "png_in_disguise.jpg": picture("PNG"), "progressive.jfif": picture("JPEG"),
    "two_views.jpg": animated("MPO"),  # a JPEG with another one behind it, as some cameras write
}  # fmt: skip
BAD = {
    "cut.jpg": picture("JPEG", size=(300, 200))[:-900], "cut.png": picture("PNG", size=(300, 200))[:-900],
    "empty.jpg": b"", "words.png": b"no picture", "drawing.svg": b"<svg/>", "moving.gif": animated("GIF"),
    "bitmap.bmp": picture("BMP"), "bomb.png": picture("PNG", "1", (14_000, 14_000)),
}  # fmt: skip


def test_odd_pictures_are_kept_as_they_are_and_bad_ones_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for name, data in {**ODD, **BAD}.items():
        (source / name).write_bytes(data)
    assert run(source, out, "--max_bad_samples=7", role="ood") == 2
    said = capsys.readouterr().err
    assert "8 pictures cannot be stored, 7 allowed by max_bad_samples" in said
    assert not (out / "manifest.json").exists()
    assert {line.split("'")[1] for line in (out / ".pack/bad.txt").read_text().splitlines()} == set(BAD)
    assert run(source, out, "--max_bad_samples=8", role="ood") == 0
    said = capsys.readouterr().out
    assert all(f"left out: {name!r}: " in said for name in BAD)
    assert "14 pictures in 1 shard, no class names, 8 left out" in said
    assert "exceeds limit" in said  # the bomb
    assert [b["path"] for b in json.loads((out / "pack.json").read_text())["left_out"]] == sorted(BAD)
    found = packed(out)
    assert sorted(data for _, data, _ in found) == sorted(ODD.values())
    assert all(decode(data).mode == "RGB" for _, data, _ in found)
    with tarfile.open(out / "s-000000.tar") as tar:
        assert "png_in_disguise.png" in tar.getnames()


def test_without_verifying_a_cut_picture_is_not_noticed_but_its_header_is_read(tmp_path: Path):
    (tmp_path / "in").mkdir()
    for name in ("cut.jpg", "words.png", "bomb.png"):
        (tmp_path / "in" / name).write_bytes(BAD[name])
    assert run(tmp_path / "in", tmp_path / "out", "--verify=false", "--max_bad_samples=2") == 0
    assert [key for key, _, _ in packed(tmp_path / "out")] == ["cut"]


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_the_quick_check_refuses_what_decoding_refuses(mode: str, progressive: bool):
    whole = picture("JPEG", mode, (70, 50), progressive=progressive)

    def refused(look: Any, data: bytes) -> bool:
        try:
            look(data)
        except ValueError:
            return True
        return False

    cuts = [whole[:n] for n in range(0, len(whole), 13)]
    assert [refused(suffix_of, cut) for cut in cuts] == [refused(decode, cut) for cut in cuts]
    assert any(refused(decode, cut) for cut in cuts)
    assert not refused(suffix_of, whole)


def test_names_that_no_tar_likes(tmp_path: Path):
    names = ["a b.png", "a.b.png", "new\nline.png", "ünï.png", "日本.png", "A.PNG", "a.png", "-x.png", ".png.png"]
    names += ["__x__/1.png", "日本語日/1.png", os.fsdecode(b"\xff\xfe.png"), "x" * 200 + ".png"]
    for i, name in enumerate(names):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded((9, 9, 9), i, size=2))
    assert run(tmp_path / "in", tmp_path / "out", "--labels=none") == 0
    told = origins(tmp_path / "out")
    assert len(packed(tmp_path / "out")) == len(names)
    assert set(names) - set(told.values()) == {"-x.png"}


def test_class_folders_need_not_be_utf8_nor_files_plain(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for folder in (b"\xff", "ünï".encode()):
        path = tmp_path / "in" / os.fsdecode(folder)
        path.mkdir(parents=True)
        (path / "a.png").write_bytes(PIXEL)
    os.mkfifo(path / "pipe.png")
    (path / "broken.png").symlink_to("nowhere")
    assert run(tmp_path / "in", tmp_path / "out", "--max_bad_samples=2") == 0
    said = capsys.readouterr().out
    assert "pipe.png': a device, pipe or folder" in said
    assert "broken.png': No such file" in said
    assert read_manifest(str(tmp_path / "out")).class_names == ("ünï", "\\udcff")


def test_what_a_killed_run_left_is_cleared_away(folder: Path, tmp_path: Path):
    out = tmp_path / "out"
    out.mkdir()
    (out / ".pack.json.ab12").write_text("{")  # killed in its first moment
    assert run(folder, out) == 0
    expected = content(out)
    (out / ".manifest.json.ab12").write_text("{")
    (out / ".pack/.s-000000.tar.ab12").write_text("x")
    assert run(folder, out) == 0
    assert content(out) == expected
    assert sorted(path.name for path in out.rglob("*")) == [
        ".pack", "manifest.json", "pack.json", "s-000000.tar", "s-000000.tar.json",
    ]  # fmt: skip


def test_a_full_disk_is_said_to_be_one(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        assert run(folder, tmp_path / "out") == 2
    assert "out cannot be written: [Errno 28] No space left on device" in capsys.readouterr().err
    assert run(folder, tmp_path / "out") == 0


def test_keys_do_not_depend_on_what_else_is_there_but_for_clashes():
    assert keys_of(["n01/x.JPEG", "n02/x.JPEG"]) == ["n01/x", "n02/x"]
    twice = keys_of(["x.png", "x.png", "X.png"])
    assert len({key.casefold() for key in twice}) == 3


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_an_archive_gives_the_bytes_of_its_folder(folder: Path, tmp_path: Path, kind: str):
    assert run(folder, tmp_path / "loose") == 0
    if kind == "tar":
        with tarfile.open(tmp_path / "a.tar", "w") as tar:
            tar.add(folder, arcname=".")
    else:
        with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as opened:
            for path in sorted(folder.rglob("*"), reverse=True):
                opened.write(path, path.relative_to(folder))
    assert run(tmp_path / f"a.{kind}", tmp_path / "out") == 0
    assert (tmp_path / "out/s-000000.tar").read_bytes() == (tmp_path / "loose/s-000000.tar").read_bytes()


def hostile_tar(path: Path) -> None:
    with tarfile.open(path, "w") as tar:
        for name in ("../../out.png", "/tmp/absolute.png", "fine.png"):
            member = tarfile.TarInfo(name)
            member.size = len(PIXEL)
            tar.addfile(member, io.BytesIO(PIXEL))
        for name, kind, link in (
            ("link.png", tarfile.SYMTYPE, "/etc/passwd"), ("hard.png", tarfile.LNKTYPE, "fine.png"),
            ("device.png", tarfile.CHRTYPE, ""), ("pipe.png", tarfile.FIFOTYPE, ""),
        ):  # fmt: skip
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, link
            tar.addfile(member)


def hostile_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name in ("../../out.png", "/tmp/absolute.png", "..\\back.png", "C:\\disk.png", "fine.png"):
            opened.writestr(zipfile.ZipInfo(name), PIXEL)
        link = zipfile.ZipInfo("link.png")
        link.external_attr = 0o120777 << 16
        opened.writestr(link, "/etc/passwd")
        with opened.open("large.png", "w", force_zip64=True) as member:
            for _ in range(257):
                member.write(bytes(2**20))


@pytest.mark.parametrize(("make", "bad"), [(hostile_tar, 6), (hostile_zip, 6)])
def test_a_hostile_archive_writes_nothing_anywhere_else(
    make: Any, bad: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    place = tmp_path / "a/b"
    place.mkdir(parents=True)
    source = place / ("x.tar" if make is hostile_tar else "x.zip")
    make(source)
    before = set(tmp_path.rglob("*")) | set(Path("/tmp").glob("absolute.png"))
    assert run(source, place / "out", "--labels=none") == 2
    assert f"{bad} pictures cannot be stored" in capsys.readouterr().err
    assert run(source, place / "out", "--labels=none", f"--max_bad_samples={bad}") == 0
    said = capsys.readouterr().out
    assert "its name leads out of the archive" in said
    assert "no plain member" in said
    assert ("larger than 256 MiB" in said) == (make is hostile_zip)
    assert [(key, data) for key, data, _ in packed(place / "out")] == [("fine", PIXEL)]
    after = {p for p in tmp_path.rglob("*") if place / "out" not in (p, *p.parents)}
    assert after | set(Path("/tmp").glob("absolute.png")) == before


def test_archives_that_cannot_be_read_say_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    hostile_tar(tmp_path / "whole.tar")
    data = (tmp_path / "whole.tar").read_bytes()
    (tmp_path / "cut.tar").write_bytes(data[:1024])
    (tmp_path / "x.tar.gz").write_bytes(b"\x1f\x8b")
    (tmp_path / "x.zip").write_bytes(b"PK")
    (tmp_path / "x.rar").write_bytes(b"Rar!")
    (tmp_path / "empty").mkdir()
    for name, words in {
        "cut.tar": "damaged or cut after", "x.tar.gz": "uncompress it first", "x.zip": "is no sound zip",
        "x.rar": "is no source of pictures: expected a folder", "empty": "holds no pictures", "no": "there is no file",
    }.items():  # fmt: skip
        assert run(tmp_path / name, tmp_path / "out") == 2
        assert words in capsys.readouterr().err
    assert main(["data", "pack", "hf:org/name?split=test", "--out=o", "--name=s", "--role=id"]) == 2
    assert (
        "expected hf:OWNER/DATASET, with @REVISION and /FOLDER behind it if wanted; --split chooses"
        in capsys.readouterr().err
    )
    assert not (tmp_path / "out").exists()


def test_a_zip_that_lies_about_its_member_is_a_bad_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as opened:
        opened.writestr("a.png", PIXEL)
        opened.writestr("b.png", PIXEL)
    data = bytearray((tmp_path / "x.zip").read_bytes())
    data[data.index(PIXEL) + 40] ^= 255  # the checksum no longer fits
    (tmp_path / "x.zip").write_bytes(data)
    assert run(tmp_path / "x.zip", tmp_path / "out", "--max_bad_samples=1") == 0
    assert "left out: 'a.png': Bad CRC-32" in capsys.readouterr().out


def test_lists_as_openood_has_them_keep_their_order(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (folder / "10/with space.png").write_bytes(PIXEL)
    lines = ["10/with space.png 7", "2/a.png -1", "10/a.png 3"]
    (tmp_path / "list.txt").write_text("\n".join(lines) + "\n")
    assert run(tmp_path / "list.txt", tmp_path / "out", f"--root={folder}", "--samples_per_shard=2") == 0
    assert [label for _, _, label in packed(tmp_path / "out")] == [7, -1, 3]
    assert packed(tmp_path / "out")[1][0] == "2/a"
    assert read_manifest(str(tmp_path / "out")).class_names == ()
    for bad, words in {
        "../x.png 1": "line 1: '../x.png' does not lie below", "/etc/passwd 1": "does not lie below",
        "a.png": "is not `path label`", "a.png cat": "is not `path label` with an integer",
    }.items():  # fmt: skip
        (tmp_path / "list.txt").write_text(bad)
        assert run(tmp_path / "list.txt", tmp_path / "o2") == 2
        assert words in capsys.readouterr().err
    (tmp_path / "list.txt").write_text("10/gone.png 0\n10/a.png 0\n")
    assert run(tmp_path / "list.txt", tmp_path / "o3", f"--root={folder}") == 2
    assert "'10/gone.png': No such file" in capsys.readouterr().err
    assert run(tmp_path / "list.txt", tmp_path / "o4") == 2
    said = capsys.readouterr().err
    assert f"names 2 files and none can be read, such as {tmp_path}/10/gone.png: No such file" in said
    assert "--root names another folder" in said
    assert not (tmp_path / "o4").exists()


def test_tables_have_labels_by_number_or_name(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "t.csv").write_text('label,path\nsea,"2/a.png"\nair,10/a.png\n')
    assert run(tmp_path / "t.csv", tmp_path / "out", f"--root={folder}") == 0
    assert [label for _, _, label in packed(tmp_path / "out")] == [1, 0]
    assert read_manifest(str(tmp_path / "out")).class_names == ("air", "sea")
    (folder / "t.tsv").write_text("path\tlabel\n2/a.png\t5\n")
    assert run(folder / "t.tsv", tmp_path / "o2") == 0
    assert packed(tmp_path / "o2")[0][2] == 5
    capsys.readouterr()
    (tmp_path / "t.csv").write_text("path, label , width\r\n\r\n2/a.png, 3, 640\r\n10/a.png,11,7\r\n")  # as Excel does
    assert run(tmp_path / "t.csv", tmp_path / "o4", f"--root={folder}") == 0
    assert [label for _, _, label in packed(tmp_path / "o4")] == [3, 11]
    assert "columns not read: width\n" in capsys.readouterr().out
    for text, words in {
        "file\nx": "expected path and",
        "": "has the columns none in its first line",
        "path,label,label\na,1,2": "has the columns path, label, label in its first line",
        "path,label\na": "line 2: has 1 value, the first line 2 columns",
        "path,label\n\na,b.png,3": "line 3: has 3 values, the first line 2 columns; what holds a sep",
        "path,label\na,2.0\nb,10.0": "line 2: the label 2.0 is a number but no integer",  # 10.0 would come before 2.0
        "path,label\na,": "has no label",
        "path,label\nx\0,1": "embedded null byte",
        "path\n" + "x" * 200_000: "field larger than field limit",
    }.items():
        (tmp_path / "t.csv").write_text(text)
        assert run(tmp_path / "t.csv", tmp_path / "o3") == 2
        assert words in capsys.readouterr().err


def test_parquet_as_hugging_face_exports_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    import pyarrow as pa
    import pyarrow.parquet as pq

    data = [encoded(COLOURS["red"], i) for i in range(5)]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    cells = pa.array([{"bytes": d, "path": None} for d in data], kind)
    about = {"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}
    table = pa.table({"image": cells, "label": [0, 1, 1, 0, 1]}).replace_schema_metadata(
        {"huggingface": json.dumps(about)}
    )
    (tmp_path / "hf").mkdir()
    pq.write_table(table, tmp_path / "hf/test-00000.parquet", row_group_size=2)
    for source in (tmp_path / "hf", tmp_path / "hf/test-00000.parquet"):
        assert run(source, tmp_path / f"out{source.suffix}") == 0
        found = packed(tmp_path / f"out{source.suffix}")
        assert [d for _, d, _ in found] == data
        assert [label for _, _, label in found] == [0, 1, 1, 0, 1]
        assert read_manifest(str(tmp_path / f"out{source.suffix}")).class_names == ("cat", "dog")
    pq.write_table(pa.table({"x": [1]}), tmp_path / "x.parquet")
    assert run(tmp_path / "x.parquet", tmp_path / "o2") == 2
    assert f"error: {tmp_path}/x.parquet has the columns x, and none of encoded pictures" in capsys.readouterr().err
    pq.write_table(table.rename_columns(["image", "fine_label"]), tmp_path / "fine.parquet")
    assert run(tmp_path / "fine.parquet", tmp_path / "o3") == 0
    assert "columns not read: fine_label\n" in capsys.readouterr().out


def test_exclusions_leave_out_paths_and_folders_and_must_exist(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "no.txt").write_text("10/\n2/a.png\n")
    assert run(folder, tmp_path / "out", f"--exclude={tmp_path / 'no.txt'}", "--labels=none") == 0
    assert [key for key, _, _ in packed(tmp_path / "out")] == ["2/b", "2/sub/c"]
    assert "5 excluded" in capsys.readouterr().out
    (tmp_path / "no.txt").write_text("10/\n2/z.png\n")
    assert run(folder, tmp_path / "o2", f"--exclude={tmp_path / 'no.txt'}") == 2
    assert "excludes '2/z.png'" in capsys.readouterr().err
    assert run(folder, tmp_path / "o2", "--exclude=nowhere.txt") == 2
    assert "list of exclusions nowhere.txt cannot be read" in capsys.readouterr().err


def test_class_names_number_the_folders_where_they_name_them(folder: Path, tmp_path: Path):
    (tmp_path / "names.txt").write_text("7\tseven\n10\tten\n2\ttwo\n")
    assert run(folder, tmp_path / "out", f"--class_names={tmp_path / 'names.txt'}") == 0
    assert read_manifest(str(tmp_path / "out")).class_names == ("seven", "ten", "two")
    assert {key[:2]: label for key, _, label in packed(tmp_path / "out")} == {"10": 1, "2/": 2}
    assert numbered(["b", "a"], ("first", "second")) == ([1, 0], ("first", "second"))
    with pytest.raises(SourceError, match=r"3 names, the source has 2 classes"):
        numbered(["b", "a"], ("x", "y", "z"))
    with pytest.raises(SourceError, match="no line for 1 of 2 classes, such as 'b'; its first line is for 'a'"):
        numbered(["b", "a"], ("x", "y"), folders=("a", "c"))
    with pytest.raises(SourceError, match="two lines for the folder 'a'"):
        numbered(["b", "a"], ("x", "y", "z"), folders=("a", "b", "a"))
    with pytest.raises(SourceError, match="from 0 to 3, class_names holds 2"):
        numbered([0, 3], ("x", "y"))
    with pytest.raises(SourceError, match="is no whole number"):
        in_order(["1", "x"], "number")


def test_names_with_folders_serve_labels_that_are_numbers_too(folder: Path, tmp_path: Path):
    (tmp_path / "names.txt").write_text("7\tseven\n10\tten\n\n")
    (tmp_path / "list.txt").write_text("2/a.png 1\n")
    more = (f"--root={folder}", f"--class_names={tmp_path / 'names.txt'}")
    assert run(tmp_path / "list.txt", tmp_path / "out", *more) == 0
    assert read_manifest(str(tmp_path / "out")).class_names == ("seven", "ten")
    assert read_names(str(tmp_path / "names.txt")) == ["seven", "ten"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("7\tseven\n10 ten\n", r"line 2: '10 ten' is not `folder<TAB>name`"),
        ("7\tseven\n10\t\n", r"line 2: '10' is not `folder<TAB>name`"),
        ("7\t7\tseven\n", r"line 1: '7\\t7\\tseven' is not"),
        ("seven\n\nten\n", r"line 2 is empty: a line's place is the number of its class"),
    ],
)
def test_a_line_that_would_shift_or_garble_names_is_refused(tmp_path: Path, text: str, words: str):
    (tmp_path / "names.txt").write_text(text)
    with pytest.raises(LabelSetError, match=words):
        read_folders(str(tmp_path / "names.txt"))


def test_a_protocol_that_looks_like_a_misspelt_card_is_told(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    for protocol, words in {"imagenet-vall": "did you mean --protocol imagenet-val?", "imagenet-val": ""}.items():
        assert run(folder, tmp_path / "out", f"--protocol={protocol}") == 0
        said = capsys.readouterr().out
        assert words in said
        assert bool(words) == ("worth a look" in said)
    assert run(folder, tmp_path / "o2", "--protocol=imagenet-val@opnood") == 2
    assert "has no protocol 'opnood'" in capsys.readouterr().err


def test_pictures_beside_class_folders_are_a_question(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (folder / "loose.png").write_bytes(PIXEL)
    assert run(folder, tmp_path / "out") == 2
    assert "1 picture beside class folders, such as 'loose.png', and 7 in them" in capsys.readouterr().err


def test_a_packed_set_has_the_features_of_its_loose_files(folder: Path, tmp_path: Path, encoder_yaml: dict[str, Any]):
    from ood_lightning.encoders.openclip import OpenClip

    assert run(folder, tmp_path / "out", "--samples_per_shard=3", "--workers=2") == 0
    encoder = OpenClip(**encoder_yaml["init_args"])
    given = [f"--encoder={json.dumps(encoder_yaml)}", f"--shards=[{tmp_path / 'out'}]", "--num_workers=0"]
    assert main(["embed", *given, "--cache_dir=cache"]) == 0
    found = FeatureFolder("cache", read_manifest(str(tmp_path / "out")), encoder.fingerprint).read()
    files = {str(p.relative_to(folder).with_suffix("")): p for p in folder.rglob("*") if p.suffix != ".txt"}
    encoder.load(torch.device("cpu"))
    loose = [encoder.transform(decode(files[key].read_bytes())) for key in found.keys]
    torch.testing.assert_close(found.image, encoder.encode_columns(torch.stack(loose), ())["image"].cpu())
    assert found.label.tolist() == [1, 1, 1, 1, 0, 0, 0]


def test_pack_needs_no_torch():
    modules = ("cli.data_pack", "data.pack.sources", "data.pack.packing", "data.class_names")
    code = f"import sys, {', '.join(f'ood_lightning.{module}' for module in modules)}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
