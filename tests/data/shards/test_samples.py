"""A tar to samples: names as they are, damage named, nothing executed and nothing written."""

import io
import pickle
import tarfile
from pathlib import Path

import pytest
from noise_images import noise_image
from shard_files import write_tar

from ood_lightning.data.shards.samples import Sample, read_samples
from ood_lightning.errors import ShardContentError

IMAGE = noise_image()


@pytest.fixture
def tar(tmp_path: Path) -> Path:
    return tmp_path / "one-000.tar"


def read(tar: Path, members: list[tuple[str, bytes]]) -> list[Sample]:
    write_tar(tar, members)
    return list(read_samples(tar))


@pytest.mark.parametrize("key", ["../../up", "/etc/passwd", "été/naïve 猫", "a b", "dir.v1/x", "x" * 90, "line\nbreak"])
def test_strange_names_pass_through_as_keys(tar: Path, key: str):
    before = set(tar.parent.parent.rglob("*"))
    samples = read(tar, [(f"{key}.png", IMAGE), (f"{key}.cls", b"7")])

    assert samples == [Sample(key, IMAGE, 7)]
    assert set(tar.parent.parent.rglob("*")) - before <= {tar}


def test_nothing_of_a_tar_is_written_to_disk(tar: Path):
    """Members are read in memory: names with `..`, absolute paths and links lead nowhere; a link is no picture."""
    names = ["../out.png", f"{tar.parent}/absolute.png", "fine.png"]
    with tarfile.open(tar, "w") as writer:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = len(IMAGE)
            writer.addfile(info, io.BytesIO(IMAGE))
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
            info = tarfile.TarInfo(f"link{kind!r}.png")
            info.type, info.linkname = kind, "/etc/passwd"
            writer.addfile(info)

    before = {path: path.stat().st_mtime_ns for path in tar.parent.rglob("*")}
    samples = read_samples(tar)
    assert [f"{next(samples).key}.png" for _ in names[:2]] == names[:2]
    with pytest.raises(ShardContentError, match="is a link, device or sparse file, no plain member"):
        next(samples)
    assert {path: path.stat().st_mtime_ns for path in tar.parent.rglob("*")} == before


def test_endings_in_capitals_and_blanks_in_classes(tar: Path):
    members = [("a.JPEG", noise_image("JPEG")), ("a.cls", b" 12\n"), ("b.PNG", IMAGE)]
    members += [("c.cls", b"9223372036854775807"), ("c.png", IMAGE)]
    samples = read(tar, members)
    assert [(sample.key, sample.label) for sample in samples] == [("a", 12), ("b", -1), ("c", 2**63 - 1)]


@pytest.mark.parametrize(
    "content", [b"cat", b"", b"1.5", b"\xff", b"-2", b"1_000", b"9223372036854775808", b"9" * 5000]
)
def test_a_class_that_is_no_integer_is_named(tar: Path, content: bytes):
    with pytest.raises(ShardContentError, match=r"one-000\.tar.*'b'.*\.cls.*expected an integer"):
        read(tar, [("a.png", IMAGE), ("b.png", IMAGE), ("b.cls", content)])


@pytest.mark.parametrize(
    "names",
    [
        ["k.png", "k.png"],
        ["k.png", "j.png", "k.png"],
        ["k.png", "j.png", "k.cls"],  # its class would be lost: members of a sample must be adjacent
        ["k.png", "K.png", "k.PNG"],
    ],
)
def test_a_key_that_comes_twice_is_refused(tar: Path, names: list[str]):
    members = [(name, b"1" if name.endswith("cls") else IMAGE) for name in names]
    with pytest.raises(ShardContentError, match=r"one-000\.tar.*'?k"):
        read(tar, members)


def test_a_picture_whose_name_has_a_second_dot_is_not_passed_over(tar: Path):
    """A key ends at the first dot: `a.v2.png` is field `v2.png` of key `a`, and would vanish."""
    with pytest.raises(ShardContentError, match=r"one-000\.tar.*'a'.*v2\.png"):
        read(tar, [("a.v2.png", IMAGE)])

    samples = read(tar, [("a.png", IMAGE), ("a.mask.png", IMAGE)])  # beside an image it is no loss
    assert [sample.key for sample in samples] == ["a"]


@pytest.mark.parametrize("content", [b"", b"<html>404</html>" * 100])
def test_a_shard_that_is_no_tar(tar: Path, content: bytes):
    tar.write_bytes(content)
    with pytest.raises(ShardContentError, match=r"one-000\.tar is no sound tar"):
        list(read_samples(tar))


def test_a_missing_shard(tar: Path):
    with pytest.raises(ShardContentError, match=r"one-000\.tar"):
        list(read_samples(tar))


class _Bomb:
    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path("executed"),)


@pytest.mark.parametrize("ending", ["pyd", "pkl", "pickle", "pth", "npy", "png"])
def test_pickles_in_a_tar_are_not_executed(tar: Path, ending: str):
    """webdataset's `.decode()` would run them."""
    bomb = pickle.dumps(_Bomb())
    key = "b" if ending == "png" else "a"
    samples = read(tar, [("a.png", IMAGE), (f"{key}.{ending}", bomb)])

    assert samples[0] == Sample("a", IMAGE, -1)
    assert samples[1:] == ([Sample("b", bomb, -1)] if ending == "png" else [])
    assert not Path("executed").exists()
    pickle.loads(bomb)
    assert Path("executed").exists()  # it would have been
