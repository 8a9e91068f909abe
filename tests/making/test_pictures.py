"""Pictures of several sources as one set, and parts of them."""

from pathlib import Path

import pytest
import torch
from picture_folders import coloured
from random_features import random_unit

from ood_lightning.data.artifacts.features import Features, FeatureSet
from ood_lightning.data.shards.manifest import Manifest, Shard
from ood_lightning.data.shards.read_manifest import read_manifest
from ood_lightning.making import pictures as pictures_module
from ood_lightning.making.pictures import as_one, pictures

CPU = torch.device("cpu")


def set_of(name: str, n: int, seed: int) -> FeatureSet:
    image = random_unit(n, 8, seed=seed).half()
    keys = [f"{name}{i}" for i in range(n)]
    features = Features(name, image, torch.full((n,), -1), keys, [f"{name}.tar {name}: cut"])
    return FeatureSet(Manifest(name, "id", (Shard(f"{name}.tar", n + 1, 10, "aa"),)), features)


def test_one_source_stays_what_it_is():
    one = set_of("a", 4, 0)
    assert as_one([one]) is one


def test_several_sources_stand_behind_each_other():
    a, b = set_of("a", 4, 0), set_of("b", 3, 1)
    both = as_one([a, b])
    assert both.manifest.name == "a+b"
    assert both.manifest.n_samples == 9
    assert both.manifest.fingerprint not in (a.manifest.fingerprint, b.manifest.fingerprint)
    assert both.features.keys == [*a.features.keys, *b.features.keys]
    assert torch.equal(both.features.image[4:], b.features.image)
    assert as_one([b, a]).manifest.fingerprint != both.manifest.fingerprint


def test_near_ones_share_a_group_and_a_part_has_a_fingerprint_of_its_own():
    a, b = set_of("a", 4, 0), set_of("b", 3, 1)
    b.features.image[2] = a.features.image[1]
    everything = pictures([a, b], CPU)
    assert everything.groups[6] == everything.groups[1]
    assert everything.n_different == 6
    assert everything.unreadable == ["a.tar a: cut", "b.tar b: cut"]
    assert everything.files == [f"a: a{i}" for i in range(4)] + [f"b: b{i}" for i in range(3)]

    rows = torch.tensor([0, 5])
    part = everything.part(rows, "mining")
    assert part.manifest.name == "a+b-mining"
    assert part.features.keys == ["a0", "b1"]
    assert torch.equal(part.features.image, everything.images.features.image[rows])
    others = {everything.part(torch.tensor(rows), "mining").manifest.fingerprint for rows in ([0, 4], [5, 0], [0])}
    assert len(others | {part.manifest.fingerprint}) == 4


def test_very_many_are_grouped_by_equal_features_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pictures_module, "MOST_COMPARED", 3)
    a = set_of("a", 4, 0)
    a.features.image[3] = a.features.image[0]
    assert pictures([a], CPU).n_different == 3


def test_a_file_of_a_folder_is_called_by_its_path(tmp_path: Path):
    manifest = read_manifest(str(coloured(tmp_path / "mine", 3)))
    keys = ["0/0000.png", "0/0001.png", "0/0002.png"]
    features = Features("mine", random_unit(3, 8, seed=0), torch.full((3,), -1), keys, [])
    assert pictures([FeatureSet(manifest, features)], CPU).files[0] == str(tmp_path / "mine" / "0" / "0000.png")
