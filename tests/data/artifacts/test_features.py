"""Stored features: atomic, resumable, never taken for those of another encoder or set."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from damaged_stores import rewrite
from shard_files import encoded, write_tar
from torch import Tensor

from ood_lightning.data.artifacts.features import FeatureFolder
from ood_lightning.data.shards.manifest import Manifest, Shard, plan
from ood_lightning.data.shards.read_manifest import read_manifest
from ood_lightning.datamodules.embedding import embed
from ood_lightning.encoders.openclip import OpenClip
from ood_lightning.errors import FeatureError, ShardContentError
from ood_lightning.functional.rows import JoinedRows
from ood_lightning.hashes import sha256_of

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def encoder(tiny_model: Path) -> OpenClip:
    return OpenClip(f"local-dir:{tiny_model}")


@pytest.fixture
def train(sets: Path) -> Manifest:
    return read_manifest(str(sets / "train"))


@pytest.fixture
def encodings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the batches that an encoder has seen."""
    seen: list[int] = []
    original = OpenClip.encode_columns

    def spy(self: OpenClip, image: Tensor, extra_features: Sequence[str] = ()) -> dict[str, Tensor]:
        seen.append(len(image))
        return original(self, image, extra_features)

    monkeypatch.setattr(OpenClip, "encode_columns", spy)
    return seen


def run(encoder: Any, manifest: Manifest, **options: Any) -> FeatureFolder:
    return embed(encoder, manifest, "cache", device=CPU, num_workers=0, **options)


def with_bad(tmp_path: Path, shards: list[str]) -> Manifest:
    """A set of which `x` marks pictures that cannot be read: `["..x", "xx"]` are two shards."""
    rows, n = [], 0
    for i, marks in enumerate(shards):
        path = tmp_path / f"bad-{i:03d}.tar"
        members = []
        for mark in marks:
            members.append((f"{n:03d}.png", b"broken" if mark == "x" else encoded((9, 9, 9), n)))
            n += 1
        write_tar(path, members)
        rows.append(Shard(path.name, len(marks), path.stat().st_size, sha256_of(path)))
    return Manifest("bad", "ood", tuple(rows), root=tmp_path)


def test_features_are_unit_vectors_in_the_order_of_the_shards(encoder: OpenClip, train: Manifest):
    features = run(encoder, train, batch_size=7).read()
    assert features.image.dtype == torch.float16
    torch.testing.assert_close(features.image.to("cpu").float().norm(dim=1), torch.ones(48), atol=2e-3, rtol=0)
    assert features.keys == [f"train{i:04d}" for i in range(48)]
    assert features.label.tolist() == [-1] * 48
    assert (features.name, features.bad, len(features)) == ("train", [], 48)


def test_labels_travel_with_their_pictures(encoder: OpenClip, sets: Path):
    features = run(encoder, read_manifest(str(sets / "id_test")), batch_size=2).read()
    assert features.label.tolist() == [int(key[-4:]) % 2 for key in features.keys]


@pytest.mark.parametrize("world", [1, 2, 3, 4])
def test_any_number_of_processes_fills_one_folder_and_none_repeats(
    encoder: OpenClip, train: Manifest, encodings: list[int], world: int
):
    for rank in reversed(range(world)):
        folder = run(encoder, train, rank=rank, world_size=world, batch_size=7)
        left = {shard.path for share in plan(train.shards, world)[:rank] for shard in share}
        assert {shard.path for shard in folder.missing()} == left
    assert sum(encodings) == 48
    assert folder.read().keys == [f"train{i:04d}" for i in range(48)]


def test_a_second_run_encodes_only_the_shard_that_is_missing(encoder: OpenClip, train: Manifest, encodings: list[int]):
    folder = run(encoder, train)
    first = folder.read()
    encodings.clear()
    run(encoder, train)
    assert encodings == []
    folder.file(train.shards[1]).unlink()
    with pytest.raises(FeatureError, match=r"train-000001\.tar\.safetensors is missing or damaged.*embed again"):
        folder.read()
    run(encoder, train)
    assert encodings == [8]
    torch.testing.assert_close(folder.read().image.to("cpu"), first.image.to("cpu"), atol=0, rtol=0)


def test_an_interrupted_run_keeps_finished_shards_and_leaves_no_half_file(
    encoder: OpenClip, train: Manifest, monkeypatch: pytest.MonkeyPatch
):
    calls = 0
    original = OpenClip.encode_columns

    def interrupted(self: OpenClip, image: Tensor, extra_features: Sequence[str]) -> dict[str, Tensor]:
        nonlocal calls
        calls += 1
        if calls == 6:  # the second shard, 20 pictures in four batches, is under way
            raise KeyboardInterrupt
        return original(self, image, extra_features)

    monkeypatch.setattr(OpenClip, "encode_columns", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(encoder, train, batch_size=5)
    folder = FeatureFolder("cache", train, encoder.fingerprint)
    assert len(folder.missing()) == 2
    assert len(list(folder.path.iterdir())) == 1
    run(encoder, train, batch_size=5)
    assert calls == 6 + 4 + 2  # nothing of the finished shard again


def test_features_of_another_encoder_or_set_are_not_reused(
    encoder: OpenClip, train: Manifest, tiny_model: Path, encodings: list[int]
):
    folders = [run(encoder, train), run(OpenClip(encoder.model, feature_dtype="float32"), train)]
    changed = replace(train, shards=(replace(train.shards[0], sha256=""), *train.shards[1:]))
    folders.append(run(encoder, changed))
    assert len({folder.path for folder in folders}) == 3
    assert sum(encodings) == 3 * 48
    assert folders[1].read().image.dtype == torch.float32


def test_shards_of_like_paths_have_files_of_their_own(train: Manifest):
    folder = FeatureFolder("cache", train, "e")
    names = {folder.file(Shard(path, 1, 1)).name for path in ("a/b.tar", "a__b.tar", "a%2Fb.tar", "/a/b.tar")}
    assert len(names) == 4
    assert all(folder.file(Shard(path, 1, 1)).parent == folder.path for path in ("../x.tar", "/x.tar"))


@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 64, b"garbage" * 100, None], ids=["empty", "zeros", "garbage", "cut"]
)
def test_a_damaged_file_is_named(encoder: OpenClip, train: Manifest, content: bytes | None):
    folder = run(encoder, train)
    file = folder.file(train.shards[0])
    file.write_bytes(file.read_bytes()[:-9] if content is None else content)
    with pytest.raises(FeatureError, match=r"train-000000\.tar\.safetensors is missing or damaged"):
        folder.read()


def test_a_file_with_too_few_rows_is_named(encoder: OpenClip, train: Manifest):
    folder = run(encoder, train)
    folder.write(train.shards[0], torch.ones(19, 16).half(), torch.zeros(19).long(), ["k"] * 19, [])
    with pytest.raises(FeatureError, match="holds 19 samples, the manifest says 20"):
        folder.read()


def test_features_that_are_not_finite_are_never_stored(train: Manifest):
    folder = FeatureFolder("cache", train, "e")
    with pytest.raises(FeatureError, match=r"not finite: use another precision"):
        folder.write(train.shards[0], torch.tensor([[torch.inf]]), torch.zeros(1).long(), ["a"], [])
    assert len(folder.missing()) == 3


def test_a_tower_that_overflows_is_an_error_that_names_the_set(
    encoder: OpenClip, train: Manifest, monkeypatch: pytest.MonkeyPatch
):
    encoder.load(CPU)
    monkeypatch.setattr(encoder._towers[0], "encode_image", lambda image: torch.full((len(image), 4), torch.nan))
    with pytest.raises(FeatureError, match=r"'train'.*row 0 of 20 is zero, or holds NaN or infinity; 20 are bad.*fp32"):
        run(encoder, train)


def test_bad_samples_are_listed_and_limited_over_the_whole_set(encoder: OpenClip, tmp_path: Path):
    manifest = with_bad(tmp_path, [".x.", "x..", "..."])
    with pytest.raises(ShardContentError, match="'001' cannot be read"):
        run(encoder, manifest)
    folder = run(encoder, manifest, max_bad_samples=1)  # one a shard, two in the set
    for read in (folder.read, folder.bad):
        with pytest.raises(FeatureError, match=r"2 pictures cannot be read, 1 allowed by max_bad_samples: bad-000"):
            read(1)
    features = folder.read(2)
    assert features.keys == ["000", "002", "004", "005", "006", "007", "008"]
    assert features.bad == folder.bad(2)
    assert [why.split(":")[0] for why in features.bad] == ["bad-000.tar 001", "bad-001.tar 003"]


def test_each_bad_sample_is_listed_once_however_a_shard_falls_into_batches(encoder: OpenClip, tmp_path: Path):
    manifest = with_bad(tmp_path, ["x..x.x..", "..x"])
    features = run(encoder, manifest, batch_size=2, max_bad_samples=4).read(4)
    assert features.keys == ["001", "002", "004", "006", "007", "008", "009"]
    assert [why.split(":")[0].split(" ")[1] for why in features.bad] == ["000", "003", "005", "010"]


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_a_shard_of_bad_pictures_alone_does_not_spoil_the_others(tiny_model: Path, tmp_path: Path, dtype: Any):
    manifest = with_bad(tmp_path, ["xx", "..", "x"])
    folder = run(OpenClip(f"local-dir:{tiny_model}", feature_dtype=dtype), manifest, max_bad_samples=3)
    features = folder.read(3)
    assert features.image.shape == (2, 16)
    assert (features.keys, len(features.bad)) == (["002", "003"], 3)


def test_a_set_of_bad_pictures_alone_says_so(encoder: OpenClip, tmp_path: Path):
    folder = run(encoder, with_bad(tmp_path, ["xx", "x"]), max_bad_samples=3)
    with pytest.raises(FeatureError, match=r"set 'bad' holds no pictures that can be read \(3 cannot, such as "):
        folder.read(3)


def test_an_empty_set_says_so(encoder: OpenClip, tmp_path: Path):
    with pytest.raises(FeatureError, match=r"set 'none' holds no pictures$"):
        run(encoder, Manifest("none", "id", (), root=tmp_path)).read()


def test_keys_with_newlines_and_unicode_survive(train: Manifest):
    manifest = replace(train, shards=(Shard("s.tar", 3, 1),))
    folder = FeatureFolder("cache", manifest, "e")
    keys = ["a\nb", "été/猫", '"quoted"']
    folder.write(manifest.shards[0], torch.eye(3), torch.tensor([3, -1, 5]), keys, [])
    features = folder.read()
    assert features.keys == keys
    assert features.label.tolist() == [3, -1, 5]


def test_features_of_several_shards_stay_in_their_files_and_are_read_as_one(train: Manifest):
    folder = FeatureFolder("cache", train, "e")
    whole = torch.nn.functional.normalize(torch.randn(train.n_samples, 4), dim=1).half()
    parts = whole.split([shard.samples for shard in train.shards])
    for shard, part in zip(train.shards, parts, strict=True):
        keys = [f"{shard.path}{i}" for i in range(len(part))]
        folder.write(shard, part, torch.zeros(len(part), dtype=torch.int64), keys, [])

    image = folder.read().image
    assert isinstance(image, JoinedRows)
    assert torch.equal(image.to("cpu"), whole)
    rows = torch.randperm(len(whole))
    assert torch.equal(image[rows], whole[rows])


def test_shards_of_two_precisions_are_named(train: Manifest):
    folder = FeatureFolder("cache", train, "e")
    for shard, dtype in zip(train.shards, [torch.float16, *[torch.float32] * 9], strict=False):
        n = shard.samples
        image = torch.eye(4, dtype=dtype)[torch.arange(n) % 4]
        folder.write(shard, image, torch.zeros(n, dtype=torch.int64), [str(i) for i in range(n)], [])
    with pytest.raises(FeatureError, match=r"holds torch\.float32 features, the shards before it torch\.float16"):
        folder.read()


def test_more_shards_than_a_process_can_map_are_refused_before_any_is_read(train: Manifest):
    folder = FeatureFolder("cache", replace(train, shards=train.shards[:1] * 60_001), "e")
    with pytest.raises(FeatureError, match="60,001 shards: a process can map the files of 60,000"):
        folder.read()


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("image", lambda rows: rows * torch.nan, r"feature of 'a' is not finite \(3 of 3 are bad\)"),
        ("image", torch.zeros_like, "feature of 'a' is zero"),
        ("image", lambda rows: 7 * rows, "feature of 'a' is of length 7"),
        ("image", lambda rows: rows[1:], r"image is float32 \[2, 3\], expected float16 or float32 \[3, 'any'\]"),
        ("image", Tensor.double, "image is float64"),
        ("label", Tensor.float, "label is float32"),
        ("label", lambda label: label - 1, "holds the label -2, expected -1 or more"),
        ("keys", lambda keys: keys.where(keys != ord("b"), ord("a")), "holds the key 'a' twice"),
        ("keys", lambda keys: keys[:-1], "keys is not readable as JSON"),
    ],
)
def test_what_no_shard_can_hold_is_named_also_where_checksums_fit(
    train: Manifest, name: str, change: Callable[[Tensor], Tensor], words: str
):
    manifest = replace(train, shards=(Shard("s.tar", 3, 1),))
    folder = FeatureFolder("cache", manifest, "e")
    folder.write(manifest.shards[0], torch.eye(3), torch.tensor([3, -1, 5]), ["a", "b", "c"], [])
    assert len(folder.read()) == 3

    rewrite(folder.file(manifest.shards[0]), name, change)
    with pytest.raises(FeatureError, match=rf"s\.tar\.safetensors.*{words}.*[Rr]emove (it|the file) and embed again"):
        folder.read()


def test_what_another_process_is_writing_is_not_swept_up(train: Manifest):
    folder = FeatureFolder("cache", train, "e")
    half = folder.path / f".{folder.file(train.shards[0]).name}.01234567"
    folder.path.mkdir(parents=True)
    half.write_bytes(b"half")
    for shard in train.shards[1:]:
        folder.file(shard).write_bytes(b"")
    folder.sweep()
    assert half.is_file()
    folder.file(train.shards[0]).write_bytes(b"")
    folder.sweep()
    assert not half.exists()
