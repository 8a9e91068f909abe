"""One reader of tars: what `data check` lists is what `embed` stops at, and sound tars of any origin are read."""

import bz2
import gzip
import io
import lzma
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny_configs
import webdataset
from checked_sets import run_check
from noise_images import noise_image
from shard_files import encoded, write_tar
from tiny_configs import Settings

from ood_lightning.cli.main import main
from ood_lightning.data.shards.samples import located, read_samples
from ood_lightning.data.shards.tars import Located, examined, scanned
from ood_lightning.errors import ShardContentError

Members = list[tuple[str, bytes]]
FORK = b"\0\5\x16\7" + bytes(60)


def pictures(*names: str) -> Members:
    """Members of these names, each a picture of its own, or the class 1."""
    return [(name, b"1" if name.endswith(".cls") else encoded((9, 9, 9), i)) for i, name in enumerate(names)]


SOUND = {
    "sorted": pictures("0.cls", "0.png", "1.cls", "1.png"),
    "in folders": pictures("a.v1/0.png", "a.v1/0.cls", "b/0.png"),
    "a mask beside its picture": pictures("0.png", "0.mask.png", "0.cls"),
    "a folder that looks like a note": pictures("__x__/0.png", "__x__/1.png"),
    "endings in capitals": pictures("0.PNG", "0.cls", "1.Jpeg"),
    "of macOS": [("pics/._0.png", FORK), *pictures("pics/0.png", "__MACOSX/pics/0.png", "pics/1.png")],
    "many formats": [(f"{i}.{form}", noise_image(form, (8, 6 + i))) for i, form in enumerate(("GIF", "BMP", "TIFF"))],
    "a name that is no UTF-8": pictures("caf\udce9.png", "b.png"),
}
FAULTY = {
    "dotted names": (pictures("v1.0.png", "v1.1.png"), "v1", "has a picture under '0.png' only"),
    "a name twice": (pictures("0.png", "0.png"), "0", "has two members that end in .png"),
    "unsorted": (pictures("0.png", "1.png", "0.cls", "1.cls"), "0", "comes twice. Keys must differ"),
    "two pictures under one key": (pictures("0.png", "0.jpg"), "0", "has several pictures, .png and .jpg"),
    "no key": (pictures("0.png", "a/.png"), "a/.png", "has no key"),
}


def verdict(tar: Path) -> tuple[int, str]:
    """Exit status and problems of `data check`."""
    status, problems = run_check(tar)
    return status, " ".join(f"{p['where']}: {p['what']}" for p in problems)


def embed(tar: Path, encoder: Settings) -> int:
    settings = tiny_configs.write(Path("embed.yaml"), {"encoder": encoder, "cache_dir": "cache", "num_workers": 0})
    return main(["embed", "--config", str(settings), f"--shards={tar}"])


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_tar_is_read_and_nothing_is_found_in_it(name: str, tmp_path: Path):
    write_tar(tmp_path / "x.tar", SOUND[name])
    samples = list(read_samples(tmp_path / "x.tar"))
    assert (
        scanned(tmp_path / "x.tar")[0] == len(samples) == (1 if "mask" in name else 3 if name == "many formats" else 2)
    )
    assert verdict(tmp_path / "x.tar") == (0, "")


@pytest.mark.parametrize("name", FAULTY)
def test_a_faulty_tar_is_refused_and_listed_in_the_same_words(name: str, tmp_path: Path):
    members, where, what = FAULTY[name]
    write_tar(tmp_path / "x.tar", members)
    with pytest.raises(ShardContentError) as refusal:
        list(located(tmp_path / "x.tar"))
    assert f"x.tar: {where!r} {what}" in str(refusal.value)

    status, text = verdict(tmp_path / "x.tar")
    assert status == 1
    assert f"x.tar {where}: {what}" in text


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_a_picture_that_is_a_link_is_not_passed_over(kind: bytes, tmp_path: Path):
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for name, data in pictures("0.png"):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        link = tarfile.TarInfo("1.png")
        link.type, link.linkname = kind, "0.png"
        tar.addfile(link)

    with pytest.raises(ShardContentError, match=r"'1\.png' is a link"):
        list(located(tmp_path / "x.tar"))
    assert verdict(tmp_path / "x.tar") == (1, "x.tar 1.png: is a link, device or sparse file, no plain member")


@pytest.mark.slow
def test_embed_gives_the_verdict_of_check(encoder_yaml: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for name, members in {**SOUND, **{name: faulty[0] for name, faulty in FAULTY.items()}}.items():
        write_tar(tmp_path / "x.tar", members)
        status = embed(tmp_path / "x.tar", encoder_yaml)
        assert status == (2 if name in FAULTY else 0), name
        assert "Traceback" not in capsys.readouterr().err
        assert verdict(tmp_path / "x.tar")[0] == (1 if name in FAULTY else 0), name


def test_a_set_without_pictures_is_refused_and_listed(
    encoder_yaml: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    write_tar(tmp_path / "none.tar", [("readme.txt", b"words")])
    assert embed(tmp_path / "none.tar", encoder_yaml) == 2
    assert "set 'none' holds no pictures" in capsys.readouterr().err
    assert verdict(tmp_path / "none.tar") == (1, "set: holds no pictures")


def test_pictures_of_a_format_that_is_not_read_are_no_complete_set(
    encoder_yaml: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    write_tar(tmp_path / "x.tar", [("a.svg", b"<svg/>"), *pictures("b.png")])
    assert embed(tmp_path / "x.tar", encoder_yaml) == 2
    assert "the picture 'a' cannot be read" in capsys.readouterr().err
    assert verdict(tmp_path / "x.tar")[1].startswith("x.tar a: cannot be read: its 6 bytes are none of JPEG, PNG")


@pytest.mark.parametrize(
    ("pack", "tool"), [(gzip.compress, "gunzip"), (bz2.compress, "bunzip2"), (lzma.compress, "unxz")]
)
def test_a_compressed_tar_is_called_one_by_every_command(
    pack: Callable[[bytes], bytes],
    tool: str,
    encoder_yaml: Settings,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    write_tar(tmp_path / "x.tar", pictures("0.png"))
    data = (tmp_path / "x.tar").read_bytes()
    for name in ("y.tar", "y.tar.gz"):
        (tmp_path / name).write_bytes(pack(data))
        for command in (embed, lambda tar, _: main(["data", "check", str(tar)])):
            assert command(tmp_path / name, encoder_yaml) == 2
            assert f"{name} is a compressed tar: uncompress it first (`{tool}`)" in capsys.readouterr().err


def test_a_zip_and_a_remote_compressed_tar_are_called_what_they_are(capsys: pytest.CaptureFixture[str]):
    Path("x.zip").write_bytes(b"PK\3\4" + bytes(600))
    assert main(["data", "check", "x.zip"]) == 2
    assert "is a zip and no tar: make shards of it with `data pack`" in capsys.readouterr().err
    assert main(["data", "check", "https://example.org/x-{0..3}.tar.gz"]) == 2
    assert "is a compressed tar by its name" in capsys.readouterr().err


@pytest.mark.parametrize("text", [b"9" * 19, b"-" + b"9" * 30, b"\xff", b"1_0" * 2000])
def test_a_class_that_no_reader_can_hold_is_refused_and_listed(text: bytes, tmp_path: Path):
    write_tar(tmp_path / "x.tar", [*pictures("0.png"), ("0.cls", text)])
    with pytest.raises(
        ShardContentError, match=r"x\.tar: '0' cannot be read: its \.cls is .*: expected an integer from 0 to 9"
    ):
        list(read_samples(tmp_path / "x.tar"))
    assert "expected an integer from 0 to" in verdict(tmp_path / "x.tar")[1]


def test_what_a_damage_leaves_is_found_before_it(tmp_path: Path):
    write_tar(tmp_path / "x.tar", pictures("0.png", "0.cls", "1.png", "1.cls"))
    with tarfile.open(tmp_path / "x.tar") as tar:
        third = tar.getmembers()[2].offset
    data = bytearray((tmp_path / "x.tar").read_bytes())
    data[third] ^= 255
    (tmp_path / "x.tar").write_bytes(data)
    sample, fault = examined(tmp_path / "x.tar")
    assert isinstance(sample, Located)
    assert (sample.key, fault[0]) == ("0", "")


@pytest.mark.parametrize("name", ["sorted", "in folders", "endings in capitals", "a mask beside its picture"])
def test_samples_are_those_of_webdataset(name: str, tmp_path: Path):
    write_tar(tmp_path / "x.tar", SOUND[name])
    stream = webdataset.DataPipeline(
        webdataset.SimpleShardList([str(tmp_path / "x.tar")]), webdataset.tarfile_to_samples()
    )
    theirs = [(s["__key__"], s.get("png") or s["jpeg"], int(s.get("cls", -1))) for s in stream]
    assert [tuple(sample)[:3] for sample in read_samples(tmp_path / "x.tar")] == theirs


def test_tars_joined_by_cat_are_not_read_as_the_first_alone(tmp_path: Path):
    joined, second = tmp_path / "joined.tar", tmp_path / "second.tar"
    write_tar(joined, pictures("0.png"))
    write_tar(second, pictures("1.png"))
    with joined.open("ab") as file:
        file.write(second.read_bytes())

    with pytest.raises(ShardContentError, match=r"joined\.tar is no sound tar, .*another tar follows its end"):
        scanned(joined)
    assert "another tar follows its end" in list(examined(joined))[-1].what  # type: ignore[union-attr]

    with second.open("ab") as file:  # padding of a tape, or a signature
        file.write(b"signed by me" * 100)
    assert scanned(second)[0] == 1
