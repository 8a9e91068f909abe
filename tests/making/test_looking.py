"""A `run` leaves its page; a part of its pictures is read from the sources that it comes from."""

from pathlib import Path

import torch
from shard_files import make_set

from ood_lightning.data.artifacts.features import Features, FeatureSet
from ood_lightning.data.shards.read_manifest import read_manifest
from ood_lightning.making.kept import RESULTS
from ood_lightning.making.looking import part_of
from ood_lightning.making.pictures import Pictures, as_one
from ood_lightning.page.write import PAGE
from ood_lightning.reasons.stored import FILE


def embedded(folder: Path) -> FeatureSet:
    manifest = read_manifest(str(folder), "id")
    n = manifest.n_samples
    image = torch.nn.functional.normalize(torch.ones(n, 4), dim=1)
    return FeatureSet(manifest, Features(manifest.name, image, torch.full((n,), -1), [str(i) for i in range(n)], []))


def test_a_part_of_several_sources_is_read_from_them(tmp_path: Path):
    folders = [make_set(tmp_path, name, colours=[name], shards=(3, 2)) for name in ("red", "blue")]
    sets = [embedded(folder) for folder in folders]
    everything = Pictures(sets, as_one(sets), torch.arange(10), [""] * 10, [], {})
    rows = torch.tensor([9, 0, 4, 5])
    part = part_of(everything, rows, everything.part(rows, "part"))

    hues = {}
    for one in part.opened({0, 1, 2, 3}):
        red, _, blue = one.image.resize((1, 1)).getpixel((0, 0))
        hues[one.row] = "red" if red > blue else "blue"
    assert hues == {0: "blue", 1: "red", 2: "red", 3: "blue"}


def test_the_page_is_moved_away_with_the_results_of_other_inputs():
    assert {FILE, PAGE} <= set(RESULTS)
