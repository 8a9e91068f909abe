"""Images in tars and zips: the bytes of their folders, and nothing escapes from a hostile one."""

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from packed_sets import PIXEL, packed, run, two_classes

from ood_lightning.cli.main import main
from ood_lightning.data.shards.read_manifest import read_manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return two_classes(tmp_path / "pictures")


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


def test_members_of_one_name_keep_their_order(tmp_path: Path):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for i in (1, 2, 3):
            member = tarfile.TarInfo("b.png")
            member.size = len(PIXEL) + i
            tar.addfile(member, io.BytesIO(PIXEL + b"x" * i))
    assert run(tmp_path / "a.tar", tmp_path / "out") == 0
    assert [len(data) - len(PIXEL) for _, data, _ in packed(tmp_path / "out")] == [1, 2, 3]


def test_backslashes_in_a_zip_are_folders(folder: Path, tmp_path: Path):
    assert run(folder, tmp_path / "loose") == 0
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as opened:
        opened.writestr(zipfile.ZipInfo("2\\sub\\"), b"")
        for path in folder.rglob("*.*"):
            member = zipfile.ZipInfo("x")
            member.filename = str(path.relative_to(folder)).replace("/", "\\")  # as PowerShell 5 writes it
            opened.writestr(member, path.read_bytes())

    assert run(tmp_path / "a.zip", tmp_path / "out") == 0
    assert read_manifest(str(tmp_path / "out")).class_names == ("2", "10")
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
            member.type = kind
            member.linkname = link
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


@pytest.mark.slow
@pytest.mark.parametrize(("make", "kind"), [(hostile_tar, "tar"), (hostile_zip, "zip")])
def test_a_hostile_archive_writes_nothing_anywhere_else(
    make: Callable[[Path], None], kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    work = tmp_path / "a/b"
    work.mkdir(parents=True)
    source = work / f"x.{kind}"
    make(source)
    before = set(tmp_path.rglob("*")) | set(Path("/tmp").glob("absolute.png"))

    assert run(source, work / "out", "--labels=none") == 2
    assert "6 pictures cannot be stored" in capsys.readouterr().err
    assert run(source, work / "out", "--labels=none", "--max_bad_samples=6") == 1
    said = capsys.readouterr().out
    assert "its name leads out of the archive" in said
    assert "no plain member" in said
    assert ("larger than 256 MiB" in said) == (kind == "zip")

    assert [(key, data) for key, data, _ in packed(work / "out")] == [("fine", PIXEL)]
    after = {path for path in tmp_path.rglob("*") if work / "out" not in (path, *path.parents)}
    assert after | set(Path("/tmp").glob("absolute.png")) == before


def test_archives_that_cannot_be_read_say_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    hostile_tar(tmp_path / "whole.tar")
    (tmp_path / "cut.tar").write_bytes((tmp_path / "whole.tar").read_bytes()[:1024])
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
    expected = "expected hf:OWNER/DATASET, with @REVISION and /FOLDER behind it if wanted; --split chooses"
    assert expected in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("kind", "tool"), [("gz", "gunzip"), ("bz2", "bunzip2"), ("xz", "unxz")])
def test_a_compressed_tar_is_called_one_whatever_its_name(
    kind: str, tool: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    with tarfile.open(tmp_path / "s.tar", f"w:{kind}") as tar:
        tar.add(folder, "s")
    assert run(tmp_path / "s.tar", tmp_path / "out") == 2
    assert f"s.tar is a compressed tar: uncompress it first (`{tool}`)" in capsys.readouterr().err


def test_a_zip_that_lies_about_its_member_is_a_bad_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as opened:
        opened.writestr("a.png", PIXEL)
        opened.writestr("b.png", PIXEL)
    data = bytearray((tmp_path / "x.zip").read_bytes())
    data[data.index(PIXEL) + 40] ^= 255  # the checksum no longer fits
    (tmp_path / "x.zip").write_bytes(data)
    assert run(tmp_path / "x.zip", tmp_path / "out", "--max_bad_samples=1") == 1
    assert "left out: 'a.png': Bad CRC-32" in capsys.readouterr().out
