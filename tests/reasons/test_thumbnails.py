"""Pictures are found by the rows of their features, also behind bad samples; what is gone keeps no other one away."""

import base64
import io
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from shard_files import encoded, write_tar

from ood_lightning.data.shards.manifest import Manifest, Shard
from ood_lightning.data.shards.read_manifest import read_manifest
from ood_lightning.errors import ShardContentError
from ood_lightning.reasons.thumbnails import SIDE, images_at, pictures_of_rows, thumbnail

BAD = ["s-0.tar k1: its 2 bytes are no picture", "s-1.tar k0: its 2 bytes are no picture"]


def grey(value: int) -> bytes:
    return encoded((value, value, value), 0)


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    """Two shards of pictures 40, 80, 120, 160, with a bad sample in each."""
    rows = []
    for i, contents in enumerate(([grey(40), b"no", grey(80)], [b"no", grey(120), grey(160)])):
        path = tmp_path / f"s-{i}.tar"
        write_tar(path, [(f"k{j}.png", data) for j, data in enumerate(contents)])
        rows.append(Shard(path.name, 3, path.stat().st_size))
    return Manifest("s", "id", tuple(rows), root=tmp_path)


@pytest.mark.parametrize("rows", [{0, 1, 2, 3}, {3}, {1, 2}, {0}, set()])
def test_a_row_of_features_is_its_picture_also_behind_bad_samples(manifest: Manifest, rows: set[int]):
    images = images_at(manifest, rows, BAD)
    assert images.keys() == rows
    for row, image in images.items():
        mean = sum(image.resize((1, 1)).getpixel((0, 0))) / 3
        assert abs(mean - 40 * (row + 1)) < 12


def test_a_shard_that_is_gone_takes_its_own_pictures_alone(manifest: Manifest):
    gone = replace(manifest, shards=(Shard("gone.tar", 3, 1), manifest.shards[1]))
    opened = list(pictures_of_rows(gone, {0, 2, 3}, BAD[1:]))
    assert [(one.row, one.image is None) for one in opened] == [(0, True), (2, True), (3, False)]
    assert "gone.tar" in opened[0].error

    assert images_at(gone, {3}, BAD[1:]).keys() == {3}  # the shard that is gone is not read
    with pytest.raises(ShardContentError, match=r"set 's': .*gone\.tar"):
        images_at(gone, {0, 3}, BAD[1:])


def test_a_file_that_is_gone_takes_no_other_one_with_it(tmp_path: Path):
    for i in range(3):
        (tmp_path / f"{i}.png").write_bytes(grey(50 * (i + 1)))
    manifest = read_manifest(str(tmp_path), "id")
    (tmp_path / "1.png").unlink()
    opened = {one.row: one for one in pictures_of_rows(manifest, {0, 1, 2}, [])}
    assert opened[0].image is not None
    assert opened[2].image is not None
    assert opened[1].image is None
    assert "now not" in opened[1].error


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA"])
def test_a_small_copy_is_a_webp_of_bounded_size_without_metadata(mode: str):
    image = Image.new(mode, (900, 300))
    image.info["comment"] = b"a place"
    with Image.open(io.BytesIO(base64.b64decode(thumbnail(image)))) as small:
        assert small.format == "WEBP"
        assert max(small.size) == SIDE
        assert not small.getexif()
