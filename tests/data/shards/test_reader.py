"""Shards to decoded parts: every sample once, damage named, nothing executed."""

import io
import pickle
from collections import Counter
from collections.abc import Callable
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from shard_files import encoded, write_tar
from torch import Tensor

from ood_lightning.data.shards.decode import decode
from ood_lightning.data.shards.manifest import Manifest, Shard, plan, read_manifest
from ood_lightning.data.shards.reader import ShardParts, loader, read_samples
from ood_lightning.errors import ShardContentError, ShardCountError
from ood_lightning.hashes import sha256_of

SHAPE = (5, 1, 9, 3, 7, 2, 4)


def pixels(data: bytes) -> Tensor:
    return torch.from_numpy(np.asarray(decode(data)).copy()).permute(2, 0, 1)


@pytest.fixture(scope="module")
def seven(tmp_path_factory: pytest.TempPathFactory, make_set: Callable[..., Path]) -> Manifest:
    """31 samples in seven ragged shards."""
    return read_manifest(str(make_set(tmp_path_factory.mktemp("seven"), "seven", shards=SHAPE)))


@pytest.fixture
def one(tmp_path: Path) -> Callable[..., Manifest]:
    """Maker of a set of one shard; counts and hash fit its members unless said otherwise."""

    def make(members: list[tuple[str, bytes]], samples: int | None = None, hashed: bool = True) -> Manifest:
        path = tmp_path / "one-000.tar"
        write_tar(path, members)
        n = len({name for name, _ in members if name.endswith(("png", "jpg"))}) if samples is None else samples
        shard = Shard(path.name, n, path.stat().st_size, sha256_of(path) if hashed else "")
        return Manifest("one", "id", (shard,), root=tmp_path)

    return make


def read(manifest: Manifest, batch_size: int = 4, max_bad_samples: int = 0) -> list[dict]:
    return list(ShardParts(manifest, list(manifest.shards), pixels, batch_size, max_bad_samples))


def picture(ending: str = "PNG", size: tuple[int, int] = (8, 6), mode: str = "RGB", **options: object) -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(noise).convert(mode).save(buffer, format=ending, **options)
    return buffer.getvalue()


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("world", [1, 2, 3, 4])
def test_every_sample_comes_once_for_any_number_of_ranks_and_workers(seven: Manifest, world: int, workers: int):
    seen: Counter[str] = Counter()
    labels: dict[str, int] = {}
    for share in plan(seven.shards, world):
        finished = []
        for part in loader(ShardParts(seven, share, pixels, 2), workers):
            seen.update(part["keys"])
            labels |= dict(zip(part["keys"], part["label"].tolist(), strict=True))
            finished += [part["shard"]] * part["last"]
        assert sorted(finished) == sorted(shard.path for shard in share)
    assert seen == Counter(f"seven{i:04d}" for i in range(31))
    assert labels == {f"seven{i:04d}": i % 2 for i in range(31)}


@pytest.mark.parametrize("batch_size", [1, 2, 3, 4, 9, 100])
def test_parts_never_cross_shards_and_keep_the_order(seven: Manifest, batch_size: int):
    parts = read(seven, batch_size)
    assert all(len(part["keys"]) <= batch_size for part in parts)
    for shard in seven.shards:
        mine = [part for part in parts if part["shard"] == shard.path]
        keys = [key for part in mine for key in part["keys"]]
        assert keys == [sample.key for sample in read_samples(seven.path(shard))]
        assert [part["last"] for part in mine] == [False] * (len(mine) - 1) + [True]


def test_pixels_are_those_that_were_packed(seven: Manifest):
    part = read(seven)[0]
    for i in range(4):
        expected = np.asarray(Image.open(io.BytesIO(encoded([(220, 30, 30), (30, 200, 30)][i % 2], i))))
        np.testing.assert_array_equal(part["image"][i].permute(1, 2, 0).numpy(), expected)


@pytest.mark.parametrize("workers", [0, 1])
def test_more_pictures_than_the_manifest_says_are_an_error_also_where_memory_was_made_for_fewer(
    one: Callable[..., Manifest], workers: int
):
    manifest = one([(f"{key}.png", picture()) for key in "abcd"], samples=2)
    with pytest.raises(ShardCountError, match="4"):
        list(loader(ShardParts(manifest, list(manifest.shards), pixels, 3), workers))


@pytest.mark.parametrize("ending", ["JPEG", "PNG", "WEBP"])
def test_a_truncated_picture_is_named_and_not_decoded_in_part(one: Callable[..., Manifest], ending: str):
    name, data = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp"}[ending], picture(ending, (64, 64))
    for kept in (0, 1, 20, len(data) // 2, len(data) * 3 // 4):
        manifest = one([(f"a.{name}", data), (f"b.{name}", data[:kept]), (f"c.{name}", data)], samples=3)
        with pytest.raises(ShardContentError, match=r"one-000\.tar: the picture 'b' cannot be decoded"):
            read(manifest)
        parts = read(manifest, max_bad_samples=1)
        assert [key for part in parts for key in part["keys"]] == ["a", "c"]
        assert [bad[:3] for part in parts for bad in part["bad"]] == ["b: "]


@pytest.mark.parametrize("ending", ["JPEG", "PNG", "WEBP"])
def test_damaged_pictures_decode_or_raise_value_error_and_nothing_else(ending: str):
    """A byte flipped anywhere, a cut anywhere: what else a decoder may raise would end a run with a traceback."""
    data = picture(ending, (24, 24))
    for place in range(0, len(data), max(1, len(data) // 300)):
        for damaged in (data[:place], data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]):
            try:
                assert decode(damaged).mode == "RGB"
            except ValueError:
                continue


def test_a_shard_may_lose_as_many_pictures_as_allowed_and_no_more(one: Callable[..., Manifest]):
    good = picture()
    manifest = one([("a.png", b"no"), ("b.png", good), ("c.png", b"no"), ("d.png", good)])
    with pytest.raises(ShardContentError, match=r"the picture 'c' .*max_bad_samples \(now 1\)"):
        read(manifest, max_bad_samples=1)
    (part,) = read(manifest, batch_size=8, max_bad_samples=2)
    assert part["keys"] == ["b", "d"]
    assert len(part["bad"]) == 2


def test_a_shard_of_bad_pictures_alone_still_ends(one: Callable[..., Manifest]):
    (part,) = read(one([("a.png", b"no"), ("b.png", b"no")]), max_bad_samples=2)
    assert (part["keys"], len(part["bad"]), part["last"], len(part["image"])) == ([], 2, True, 0)


def test_flipped_bytes_are_caught_by_the_hash(one: Callable[..., Manifest]):
    data = picture("JPEG", (64, 64))
    manifest = one([("a.jpg", data)])
    path = manifest.path(manifest.shards[0])
    content = bytearray(path.read_bytes())
    content[512 + len(data) // 2 : 512 + len(data) // 2 + 40] = bytes(40)  # inside the scan, where JPEG sees nothing
    path.write_bytes(content)
    decode(bytes(content[512 : 512 + len(data)]))
    with pytest.raises(ShardContentError, match=r"the bytes of .*one-000\.tar are not those"):
        read(manifest)


@pytest.mark.parametrize(("said", "found"), [(3, 2), (1, 2)])
def test_a_wrong_count_is_an_error(one: Callable[..., Manifest], said: int, found: int):
    manifest = one([("a.png", picture()), ("b.png", picture())], samples=said)
    with pytest.raises(ShardCountError, match=f"yielded {found} samples, its manifest promises {said}"):
        read(manifest)


def test_a_cut_before_a_header_is_noticed_without_hash(one: Callable[..., Manifest]):
    manifest = one([("a.png", picture()), ("b.png", picture())], hashed=False)
    path = manifest.path(manifest.shards[0])
    path.write_bytes(path.read_bytes()[: 512 + 512 * -(-len(picture()) // 512)])
    with pytest.raises(ShardCountError, match="yielded 1 samples, its manifest promises 2"):
        read(manifest)


@pytest.mark.parametrize("content", [b"", b"<html>404</html>" * 100])
def test_a_shard_that_is_no_tar(one: Callable[..., Manifest], content: bytes):
    manifest = one([("a.png", picture())], hashed=False)
    manifest.path(manifest.shards[0]).write_bytes(content)
    with pytest.raises(ShardContentError, match=r"one-000\.tar cannot be read as a tar of pictures"):
        read(manifest)


def test_a_missing_shard(one: Callable[..., Manifest]):
    manifest = one([("a.png", picture())], hashed=False)
    manifest.path(manifest.shards[0]).unlink()
    with pytest.raises(ShardContentError, match=r"one-000\.tar"):
        read(manifest)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("data", "samples", "kind", "words"),
    [
        (b"no", 1, ShardContentError, "^set 'one', shard .*: the picture 'a' cannot be decoded"),
        (picture(), 2, ShardCountError, "^set 'one', shard .* yielded 1 samples"),
    ],
)
def test_errors_of_workers_are_those_of_the_reader(
    one: Callable[..., Manifest], data: bytes, samples: int, kind: type[Exception], words: str, workers: int
):
    """torch would wrap them in a traceback, and the count's would no longer be a person's error."""
    manifest = one([("a.png", data)], samples=samples)
    with pytest.raises(kind, match=words) as caught:
        list(loader(ShardParts(manifest, list(manifest.shards), pixels, 4), workers))
    assert "Traceback" not in str(caught.value)
    assert not active_children()  # though the error is still held


class _Bomb:
    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path("executed"),)


@pytest.mark.parametrize("ending", ["pyd", "pkl", "pickle", "pth", "npy", "png"])
def test_pickles_in_a_tar_are_not_executed(one: Callable[..., Manifest], ending: str):
    """webdataset's `.decode()` would run them."""
    members = [("a.png", picture()), (f"{'b' if ending == 'png' else 'a'}.{ending}", pickle.dumps(_Bomb()))]
    parts = read(one(members), max_bad_samples=1)
    assert parts[0]["keys"] == ["a"]
    assert not Path("executed").exists()
    pickle.loads(members[1][1])
    assert Path("executed").exists()  # it would have been


@pytest.mark.parametrize("key", ["../../up", "/etc/passwd", "été/naïve 猫", "a b", "dir.v1/x", "x" * 90, "line\nbreak"])
def test_strange_names_pass_through_as_keys(one: Callable[..., Manifest], key: str, tmp_path: Path):
    before = set(tmp_path.parent.rglob("*"))
    (part,) = read(one([(f"{key}.png", picture()), (f"{key}.cls", b"7")]))
    assert part["keys"] == [key]
    assert part["label"].tolist() == [7]
    assert set(tmp_path.parent.rglob("*")) - before <= {tmp_path / "one-000.tar"}


def test_endings_in_capitals_and_blanks_in_classes(one: Callable[..., Manifest]):
    (part,) = read(one([("a.JPEG", picture("JPEG")), ("a.cls", b" 12\n"), ("b.PNG", picture())], samples=2))
    assert part["label"].tolist() == [12, -1]


@pytest.mark.parametrize("content", [b"cat", b"", b"1.5", b"\xff"])
def test_a_class_that_is_no_integer_is_named(one: Callable[..., Manifest], content: bytes):
    with pytest.raises(ShardContentError, match=r"one-000\.tar.*'b'.*\.cls.*expected an integer"):
        read(one([("a.png", picture()), ("b.png", picture()), ("b.cls", content)]))


@pytest.mark.parametrize(
    "members",
    [
        ["k.png", "k.png"],
        ["k.png", "j.png", "k.png"],
        ["k.png", "j.png", "k.cls"],  # its class would be lost: members of a sample must be adjacent
        ["k.png", "K.png", "k.PNG"],
    ],
)
def test_a_key_that_comes_twice_is_refused(one: Callable[..., Manifest], members: list[str]):
    manifest = one([(name, picture() if not name.endswith("cls") else b"1") for name in members], samples=len(members))
    with pytest.raises(ShardContentError, match=r"one-000\.tar.*'?k"):
        read(manifest)


def test_a_picture_whose_name_has_a_second_dot_is_not_passed_over(one: Callable[..., Manifest]):
    """A key ends at the first dot: `a.v2.png` is field `v2.png` of key `a`, and would vanish."""
    with pytest.raises(ShardContentError, match=r"one-000\.tar.*'a'.*v2\.png"):
        read(one([("a.v2.png", picture())], samples=0))
    (part,) = read(one([("a.png", picture()), ("a.mask.png", picture())], samples=1))  # beside a picture it is no loss
    assert part["keys"] == ["a"]


def saved(image: Image.Image, ending: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=ending, **options)
    return buffer.getvalue()


def test_a_palette_becomes_its_colours():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)
    found = decode(saved(image, "PNG"))
    assert [found.getpixel((x, 0)) for x in (0, 1)] == [(10, 20, 30), (200, 100, 50)]


def test_grey_one_bit_and_transparent_pictures_become_rgb():
    assert decode(saved(Image.new("L", (1, 1), 77), "PNG")).getpixel((0, 0)) == (77, 77, 77)
    assert decode(saved(Image.new("1", (1, 1), 1), "PNG")).getpixel((0, 0)) == (255, 255, 255)
    assert decode(saved(Image.new("RGBA", (1, 1), (1, 2, 3, 0)), "PNG")).getpixel((0, 0)) == (1, 2, 3)
    assert decode(saved(Image.new("LA", (1, 1), (9, 0)), "PNG")).getpixel((0, 0)) == (9, 9, 9)


def test_cmyk_is_converted_as_pillow_does():
    image = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    red, green, blue = decode(saved(image, "JPEG", quality=100)).getpixel((8, 8))
    assert red > 245
    assert max(green, blue) < 10


def test_sixteen_bits_are_scaled_where_pillow_would_make_them_white():
    values = np.array([[0, 128, 255, 256, 40000, 65535]], dtype=np.uint16)
    data = saved(Image.fromarray(values), "PNG")
    found = decode(data)
    assert found.mode == "RGB"
    assert list(found.tobytes()[::3]) == [0, 0, 0, 1, 156, 255]
    assert list(Image.open(io.BytesIO(data)).convert("L").tobytes()) == [
        0,
        128,
        255,
        255,
        255,
        255,
    ]  # ImageFolder's way


def test_a_picture_is_not_turned_by_its_exif_orientation():
    """As in ImageFolder, under which published numbers were made."""
    exif = Image.Exif()
    exif[274] = 6
    assert decode(saved(Image.new("RGB", (6, 4)), "JPEG", exif=exif)).size == (6, 4)


@pytest.mark.parametrize("ending", ["GIF", "BMP", "TIFF", "PPM", "ICO"])
def test_other_formats_are_refused_whatever_their_name(ending: str):
    with pytest.raises(ValueError, match="no JPEG, PNG or WebP"):
        decode(saved(Image.new("RGB", (16, 16)), ending))


@pytest.mark.parametrize("limit", [100, 60])  # Pillow warns above the limit and refuses above twice the limit
def test_a_decompression_bomb_is_refused(monkeypatch: pytest.MonkeyPatch, limit: int):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    decode(picture(size=(6, 10)))
    with pytest.raises(ValueError, match="decompression bomb"):
        decode(picture(size=(11, 11)))


def test_palette_with_transparency_gives_no_warning(recwarn: pytest.WarningsRecorder):
    image = Image.new("P", (2, 2))
    image.putpalette([1, 2, 3] * 256)
    decode(saved(image, "PNG", transparency=bytes([0, 255])))
    assert not [w for w in recwarn if issubclass(w.category, UserWarning)]
