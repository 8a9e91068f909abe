"""Columns beside the image features: stored apart, read a few rows at a time."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from damaged_stores import rewrite
from shard_files import encoded, write_tar
from torch import Tensor

from ood_lightning.data.artifacts.columns import StoredColumn
from ood_lightning.data.artifacts.features import FeatureFolder
from ood_lightning.data.shards.decode import decode
from ood_lightning.data.shards.manifest import Manifest, Shard
from ood_lightning.data.shards.read_manifest import read_manifest
from ood_lightning.data.shards.samples import read_samples
from ood_lightning.datamodules.blocks import Blocks
from ood_lightning.datamodules.embedding import embed
from ood_lightning.encoders.openclip import OpenClip
from ood_lightning.errors import EncoderError, FeatureError
from ood_lightning.hashes import sha256_of

CPU = torch.device("cpu")
BOTH = ("patches", "tower")


@pytest.fixture(scope="module")
def encoder(tiny_model: Path) -> OpenClip:
    return OpenClip(f"local-dir:{tiny_model}", extra_features=BOTH)


@pytest.fixture
def train(sets: Path) -> Manifest:
    return read_manifest(str(sets / "train"))


def run(encoder: OpenClip, manifest: Manifest, **options: Any) -> FeatureFolder:
    return embed(encoder, manifest, "cache", device=CPU, num_workers=0, **options)


def test_a_folder_says_which_columns_it_holds_and_is_never_taken_for_another(encoder: OpenClip, train: Manifest):
    plain = run(encoder, train)
    assert plain.path == Path("cache") / encoder.fingerprint / f"train-{train.fingerprint}"  # as it always was

    names = set()
    for extra_features in (("tower",), ("patches",), BOTH, ("tower", "patches")):
        folder = FeatureFolder("cache", train, encoder.fingerprint, extra_features)
        names.add(folder.path)
        assert folder.path.parent == plain.path.parent

    assert {path.name.partition("+")[2] for path in names} == {"tower", "patches", "patches+tower"}
    assert len(FeatureFolder("cache", train, encoder.fingerprint, BOTH).missing()) == 3
    assert plain.missing() == []
    assert plain.read().columns == {}


def test_columns_are_stored_beside_the_same_image_features(encoder: OpenClip, train: Manifest):
    plain, both = (
        run(encoder, train, batch_size=7).read(),
        run(encoder, train, batch_size=7, extra_features=BOTH).read(),
    )
    torch.testing.assert_close(plain.image.to("cpu"), both.image.to("cpu"), atol=0, rtol=0)
    patches, tower = (both.columns[name].rows(0, 48) for name in BOTH)
    assert (patches.dtype, tuple(patches.shape)) == (torch.float16, (48, 4, 16))
    assert (tower.dtype, tuple(tower.shape)) == (torch.float32, (48, 32))
    images = [encoder.transform(decode(s.data)) for shard in train.shards for s in read_samples(train.path(shard))]
    expected = encoder.encode_columns(torch.stack(images), BOTH)
    torch.testing.assert_close(patches.float(), expected["patches"], atol=1e-3, rtol=0)
    torch.testing.assert_close(tower, expected["tower"], atol=1e-5, rtol=1e-5)


def test_any_rows_are_those_of_the_whole_over_shards_of_20_8_and_20(encoder: OpenClip, train: Manifest):
    column = run(encoder, train, extra_features=BOTH).read().columns["patches"]
    whole = column.rows(0, 48)
    for start in range(48):
        for stop in (start + 1, min(start + 9, 48), min(start + 30, 48)):
            assert torch.equal(column.rows(start, stop), whole[start:stop]), (start, stop)


def test_blocks_read_a_column_only_where_it_is_wanted_and_only_their_rows(
    encoder: OpenClip, train: Manifest, monkeypatch: pytest.MonkeyPatch
):
    features = run(encoder, train, extra_features=BOTH).read()
    reads: list[tuple[str, int, int]] = []
    original = StoredColumn.rows

    def spy(self: StoredColumn, start: int, stop: int) -> Tensor:
        reads.append((self.name, start, stop))
        return original(self, start, stop)

    monkeypatch.setattr(StoredColumn, "rows", spy)

    for part in (Blocks(features, 10, 0, 1)[i] for i in range(5)):
        assert set(part) == {"image", "id"}
    assert reads == []

    whole = original(features.columns["patches"], 0, 48)
    for rank in range(2):
        blocks = Blocks(features, 10, rank, 2, ("patches",))
        assert len(blocks) in (2, 3)
        for part in (blocks[i] for i in range(len(blocks))):
            assert set(part) == {"image", "id", "patches"}
            assert torch.equal(part["patches"], whole[part["id"]])
    assert reads == [("patches", start, min(start + 10, 48)) for start in range(0, 48, 10)]


def test_a_shard_of_bad_pictures_alone_does_not_spoil_the_columns(encoder: OpenClip, tmp_path: Path):
    rows = []
    for i, good in enumerate((False, True, False, True)):
        path = tmp_path / f"bad-{i}.tar"
        write_tar(path, [(f"{i}{j}.png", encoded((9, 9, 9), 2 * i + j) if good else b"broken") for j in range(2)])
        rows.append(Shard(path.name, 2, path.stat().st_size, sha256_of(path)))
    features = run(
        encoder, Manifest("bad", "ood", tuple(rows), root=tmp_path), max_bad_samples=4, extra_features=BOTH
    ).read(4)
    assert features.columns["patches"].rows(0, 4).shape == (4, 4, 16)
    assert features.columns["tower"].rows(1, 3).shape == (2, 32)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda patches: patches[:19], "holds 19 rows of patches, 20 of images"),
        (lambda patches: None, "is missing or damaged"),
    ],
    ids=["short", "absent"],
)
def test_a_file_that_lacks_rows_of_a_column_is_named(
    encoder: OpenClip, train: Manifest, change: Callable[[Tensor], Tensor | None], words: str
):
    folder = run(encoder, train, extra_features=BOTH)
    file = folder.file(train.shards[0])
    column = folder.read().columns["patches"]
    rewrite(file, "patches", change)

    with pytest.raises(FeatureError, match=rf"train-000000\.tar\.safetensors {words}.*embed again"):
        column.rows(0, 5)
    assert column.rows(20, 22).shape == (2, 4, 16)  # another file
    file.unlink()
    with pytest.raises(FeatureError, match="is missing or damaged"):
        column.rows(19, 22)


def test_columns_that_are_not_finite_are_never_stored(train: Manifest):
    folder = FeatureFolder("cache", train, "e", ("tower",))
    bad = {"tower": torch.tensor([[torch.inf]])}
    with pytest.raises(FeatureError, match="not finite"):
        folder.write(train.shards[0], torch.ones(1, 1), torch.zeros(1).long(), ["a"], [], bad)
    assert len(folder.missing()) == 3


def test_a_tower_that_has_no_such_column_is_refused_in_its_own_words(
    encoder: OpenClip, train: Manifest, monkeypatch: pytest.MonkeyPatch
):
    encoder.load(CPU)
    monkeypatch.setattr(encoder._towers[0].visual, "attn_pool", torch.nn.Identity())
    with pytest.raises(EncoderError, match="Leave `patches` out of `extra_features`"):
        run(encoder, train, extra_features=["patches"])
