"""`concepts.png`: the pictures on it are those of the concepts, also where samples of the set are bad."""

from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image

from ood_lightning.callbacks.sheet import _nearest_images
from ood_lightning.cli.main import main
from ood_lightning.functional.votes import elect


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
