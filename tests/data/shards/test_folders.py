"""A folder of pictures as a set: its shards, its name, what changes its fingerprint, and what it is read as."""

import os
import shutil
from collections import Counter
from pathlib import Path

import picture_folders
import pytest
import torch
from noise_images import noise_image
from PIL import ExifTags, Image
from plain_encoder import PlainEncoder
from shard_files import MakeSet, encoded
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor

from ood_lightning.cli.main import main
from ood_lightning.data.shards.decode import decode
from ood_lightning.data.shards.folders import PER_SHARD, folder_set
from ood_lightning.data.shards.manifest import Manifest, plan
from ood_lightning.data.shards.pixels import split
from ood_lightning.data.shards.read_manifest import read_manifest
from ood_lightning.data.shards.reader import ShardParts, loader
from ood_lightning.data.shards.samples import read_samples
from ood_lightning.datamodules.embedding import embed
from ood_lightning.errors import ShardContentError, SourceError
from ood_lightning.file_names import name_fault


def size_of(data: bytes) -> Tensor:
    """The decoded image's size, as an image of one pixel."""
    width, height = decode(data).size
    return torch.tensor([width, height, 0]).view(3, 1, 1)


def keys_in(manifest: Manifest) -> list[str]:
    return [sample.key for shard in manifest.shards for sample in read_samples(manifest.container(shard))]


def read(manifest: Manifest, max_bad_samples: int = 0) -> tuple[list[str], list[str]]:
    """Keys that were read, and what could not be read."""
    parts = list(ShardParts(manifest, list(manifest.shards), size_of, 64, max_bad_samples))
    return [key for part in parts for key in part["keys"]], [line for part in parts for line in part["bad"]]


@pytest.mark.parametrize(("n", "sizes"), [(1, [1]), (256, [256]), (257, [256, 1]), (600, [256, 256, 88])])
def test_sorted_files_are_cut_into_parts(tmp_path: Path, n: int, sizes: list[int]):
    folder = tmp_path / "photos"
    for i in range(n):
        picture_folders.write(folder, f"{i % 3}/{i:04d}.png", b"x" * (i % 7))
    manifest = read_manifest(str(folder))
    assert [shard.samples for shard in manifest.shards] == sizes
    assert max(sizes) <= PER_SHARD
    assert [shard.path for shard in manifest.shards] == [f"pictures-{i:06d}" for i in range(len(sizes))]
    assert sum(shard.bytes for shard in manifest.shards) == sum(i % 7 for i in range(n))
    assert keys_in(manifest) == sorted(f"{i % 3}/{i:04d}.png" for i in range(n))
    assert (manifest.name, manifest.role, manifest.upright) == ("photos", "id", True)
    assert len({shard.members for shard in manifest.shards}) == len(sizes)


def test_both_ways_of_naming_it_are_one_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = picture_folders.coloured(tmp_path / "mine", 3)
    monkeypatch.chdir(folder)
    sources = [str(folder), f"folder:{folder}", "folder:.", ".", "../mine/", "folder:../mine"]
    manifests = [read_manifest(source) for source in sources]
    assert {manifest.fingerprint for manifest in manifests} == {manifests[0].fingerprint}
    assert {manifest.name for manifest in manifests} == {"mine"}
    assert read_manifest(str(folder), "ood").role == "ood"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Üb 1", "Üb 1"),
        ("a\nb", "a-b"),
        ("\x1b[2Jx", "-[2Jx"),
        ("...", "pictures"),
        (" . .x", "x"),
        ("\udcff", "-"),
        ("x" * 200, "x" * 150),
        ("a\\b", "a-b"),
    ],
)
def test_a_set_is_called_as_its_folder_in_a_safe_spelling(tmp_path: Path, name: str, expected: str):
    picture_folders.write(tmp_path / name, "x.png", b"-")
    assert folder_set(f"{tmp_path}/{name}").name == expected
    assert not name_fault(expected)


def test_what_changes_the_fingerprint_and_what_does_not(tmp_path: Path):
    folder = picture_folders.coloured(tmp_path / "x", 4)
    before = read_manifest(str(folder)).fingerprint

    picture_folders.write(folder, "notes.txt", b"no picture")
    shutil.copytree(folder, tmp_path / "copy" / "x")  # with the times
    assert read_manifest(str(folder)).fingerprint == before
    assert read_manifest(str(tmp_path / "copy" / "x")).fingerprint == before

    def after(change: str) -> str:
        copy = tmp_path / change
        shutil.copytree(folder, copy)
        file = copy / "0" / "0001.png"

        if change == "renamed":
            file.rename(file.with_name("0009.png"))
        elif change == "removed":
            file.unlink()
        elif change == "added":
            shutil.copy2(file, copy / "z.png")
        elif change == "touched":
            os.utime(file)
        else:
            status = file.stat()
            file.write_bytes(file.read_bytes() + b"-")
            os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))

        return read_manifest(str(copy)).fingerprint

    fingerprints = {after(change) for change in ("renamed", "removed", "added", "touched", "longer")}
    assert len(fingerprints | {before}) == 6


def test_what_is_no_picture_is_counted(tmp_path: Path):
    manifest = read_manifest(str(picture_folders.mixed(tmp_path / "mixed")))
    assert manifest.n_samples == 6
    assert manifest.passed_over["no plain file"] == 2
    assert manifest.passed_over["hidden folders"] == 2
    assert read(manifest) == (["B/c.JPEG", "B/d.webp", "a.jpg", "e.tiff", "f/g/h.bmp", "named_jpg.jpg"], [])


def test_hostile_names_are_read_once_each(tmp_path: Path):
    manifest = read_manifest(str(picture_folders.hostile(tmp_path / "hostile")))
    keys, bad = read(manifest)
    assert len(set(keys)) == len(keys) == len(picture_folders.HOSTILE)
    assert not bad


@pytest.mark.parametrize("source", ["{}", "folder:{}"])
def test_a_folder_without_pictures_says_what_lies_there_and_what_to_do(tmp_path: Path, source: str):
    folder = tmp_path / "empty"
    folder.mkdir()
    with pytest.raises(SourceError, match=r"no tars and no pictures: name a folder with pictures"):
        read_manifest(source.format(folder))
    for name in ("a.txt", "b.txt", "c/d.pdf", ".x.png"):
        picture_folders.write(folder, name, b"-")
    with pytest.raises(SourceError, match=r"no pictures, only 1 \.pdf, 2 \.txt, 1 hidden file: name") as error:
        read_manifest(source.format(folder))
    assert "\n" not in str(error.value)


def test_tars_beside_pictures_are_one_or_the_other(tmp_path: Path, make_set: MakeSet):
    folder = make_set(tmp_path, "both", shards=(2,))
    picture_folders.write(folder, "deep/a.png", noise_image())
    assert read_manifest(str(folder)).n_samples == 2  # the manifest says
    assert read_manifest(f"folder:{folder}").n_samples == 1

    (folder / "manifest.json").unlink()
    with pytest.raises(SourceError, match=r"tars and pictures.*shard-\{000\.\.009\}\.tar, or the pictures by fol"):
        read_manifest(str(folder))
    assert keys_in(read_manifest(f"folder:{folder}")) == ["deep/a.png"]


def test_no_folder_is_named_in_one_line(tmp_path: Path):
    picture_folders.write(tmp_path, "x.png", b"-")
    with pytest.raises(SourceError, match=r"there is no folder .*none"):
        read_manifest(f"folder:{tmp_path}/none")
    with pytest.raises(SourceError, match=r"x\.png is no folder"):
        read_manifest(f"folder:{tmp_path}/x.png")


def test_files_that_cannot_be_read_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = picture_folders.coloured(tmp_path / "x", 4)
    picture_folders.write(folder, "bad.jpg", b"no picture")
    picture_folders.write(folder, "empty.jpg", b"")
    picture_folders.forbid(monkeypatch, "0001.png")
    manifest = read_manifest(str(folder))
    with pytest.raises(ShardContentError, match=r"set 'x', .*x: the picture '0/0001\.png' cannot be read \(Permission"):
        read(manifest)

    keys, bad = read(manifest, max_bad_samples=3)
    assert keys == ["0/0000.png", "0/0002.png", "0/0003.png"]
    assert [line.split(":")[0] for line in bad] == ["0/0001.png", "bad.jpg", "empty.jpg"]
    assert bad[0] == "0/0001.png: Permission denied"


def test_a_file_that_was_changed_since_the_listing_stops_whatever_is_allowed(tmp_path: Path):
    folder = picture_folders.coloured(tmp_path / "x", 3)
    manifest = read_manifest(str(folder))
    (folder / "0" / "0001.png").unlink()
    with pytest.raises(ShardContentError, match=r"'0/0001\.png' was there when the folder was listed"):
        read(manifest, max_bad_samples=9)


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("workers", [0, 2])
def test_two_ranks_read_every_file_once(tmp_path: Path, workers: int):
    manifest = read_manifest(str(picture_folders.coloured(tmp_path / "x", 600)))
    seen: Counter[str] = Counter()
    for share in plan(manifest.shards, 2):
        for part in loader(ShardParts(manifest, share, size_of, 50), workers):
            seen.update(part["keys"])
    assert seen == Counter(f"{i // 100}/{i:04d}.png" for i in range(600))


def test_pictures_are_read_upright(tmp_path: Path):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # a camera that was turned
    (tmp_path / "x").mkdir()
    Image.new("RGB", (20, 10)).save(tmp_path / "x" / "turned.jpg", exif=exif)
    manifest = read_manifest(str(tmp_path / "x"))
    first = split(pil_to_tensor, upright=manifest.upright).first
    (part,) = ShardParts(manifest, list(manifest.shards), first, 2)
    assert part["image"].shape == (1, 3, 20, 10)


def test_features_are_those_of_the_packed_folder(tmp_path: Path):
    folder = tmp_path / "x"
    for i in range(20):
        picture_folders.write(folder, f"{i % 3}/{i:02d} ü.png", encoded((8 * i, 90, 200), i, size=6))
    picture_folders.write(folder, "jpeg.JPG", noise_image("JPEG", (6, 6)))
    pack = ["data", "pack", str(folder), "--out", "packed", "--name", "x", "--role", "id", "--labels", "none"]
    assert main([*pack, "--workers", "1"]) == 0

    def features(source: str) -> Tensor:
        stored = embed(PlainEncoder(), read_manifest(source), "cache", device=torch.device("cpu"), num_workers=0)
        return stored.read().image[0:99]

    of_folder = features(str(folder))
    assert len(of_folder) == 21
    torch.testing.assert_close(of_folder, features("packed"), rtol=0, atol=0)
