"""`concepts.png`: the pictures on it are those of the concepts, also where samples of the set are bad."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image
from shard_files import encoded, write_tar

from ood_lightning.callbacks.sheet import _nearest_images, images_at
from ood_lightning.cli.main import main
from ood_lightning.data.shards.manifest import Manifest, Shard
from ood_lightning.functional.votes import elect


def grey(value: int) -> bytes:
    return encoded((value, value, value), 0)


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    """Two shards of pictures 40, 80, ... of which the second and the fourth are bad; keys come again in shard two."""
    rows = []
    for i, contents in enumerate(([grey(40), b"no", grey(80)], [b"no", grey(120), grey(160)])):
        path = tmp_path / f"s-{i}.tar"
        write_tar(path, [(f"k{j}.png", data) for j, data in enumerate(contents)])
        rows.append(Shard(path.name, 3, path.stat().st_size))
    return Manifest("s", "id", tuple(rows), root=tmp_path)


BAD = ["s-0.tar k1: its 2 bytes are no picture", "s-1.tar k0: its 2 bytes are no picture"]


@pytest.mark.parametrize("rows", [{0, 1, 2, 3}, {3}, {1, 2}, {0}, set()])
def test_a_row_of_features_is_its_picture_also_behind_bad_samples(manifest: Manifest, rows: set[int]):
    images = images_at(manifest, rows, BAD)
    assert set(images) == rows
    for row, image in images.items():
        mean = torch.tensor(list(image.resize((1, 1)).getpixel((0, 0)))).float().mean()
        assert abs(mean - 40 * (row + 1)) < 12


def test_shards_without_wanted_images_are_not_read(manifest: Manifest):
    gone = replace(manifest, shards=(manifest.shards[0], Shard("gone.tar", 3, 1)))
    assert set(images_at(gone, {0, 1}, BAD[:1])) == {0, 1}


def test_the_nearest_images_are_those_of_the_concepts_clusters_by_falling_cosine():
    votes = {
        "cluster": torch.tensor([0, 0, 0, 1, 1, 1]),
        "nearest": torch.tensor([5, 5, 7, 7, 7, 5]),
        "cosine": torch.tensor([0.1, 0.3, 0.9, 0.2, 0.4, 0.8], dtype=torch.float64),
    }
    election = elect(votes["cluster"], votes["nearest"], votes["cosine"])
    assert _nearest_images(5, votes, election) == [1, 0]  # image 5 lies in another concept's cluster
    assert _nearest_images(7, votes, election) == [4, 3]


@pytest.mark.slow
def test_a_fit_draws_its_concepts(fit_yaml: Path, capsys: pytest.CaptureFixture[str]):
    settings = yaml.safe_load(fit_yaml.read_text())
    sheet = {"class_path": "ood_lightning.callbacks.sheet.ConceptSheet", "init_args": {"concepts": 1}}
    settings["trainer"]["callbacks"].append(sheet)
    fit_yaml.write_text(yaml.safe_dump(settings, sort_keys=False))
    assert main(["fit", "--config", str(fit_yaml)]) == 0
    with Image.open("run/fit/concepts.png") as drawn:
        assert drawn.format == "PNG"
        red, green, blue = drawn.convert("RGB").crop((10, 30, 90, 110)).resize((1, 1)).getpixel((0, 0))
    assert max(red, green) > 2 * blue  # pictures of the ID set are red or green
    assert "concepts with their pictures: run/fit/concepts.png" in capsys.readouterr().out
