"""KMeansModule in a fit: everything that a fit with TEMI writes, the same bytes again, and by two processes."""

from pathlib import Path
from typing import Any

import pytest
import tiny_configs
import torch
import yaml
from safetensors.torch import load_file
from tiny_configs import Settings

from ood_lightning.cli.main import main
from ood_lightning.clustering.kmeans import cluster
from ood_lightning.data.artifacts.features import FeatureFolder
from ood_lightning.data.artifacts.label_set import LabelSet
from ood_lightning.data.artifacts.quality import read_quality
from ood_lightning.data.shards.read_manifest import read_manifest
from ood_lightning.modules.kmeans import KMeansModule

WRITTEN = ("labels.json", "posmine.json", "votes.safetensors")
TWO = ("--trainer.devices=2", "--trainer.accelerator=cpu", "--trainer.strategy=ddp_fork")


def as_kmeans(settings: Settings, **model: Any) -> Settings:
    """The settings of a fit with TEMI, with k-means in its place."""
    data = {name: settings["data"]["init_args"][name] for name in ("encoder", "id_shards", "cache_dir", "num_workers")}
    settings["model"] = {"class_path": "ood_lightning.modules.kmeans.KMeansModule", "init_args": {"n_clusters": 4}}
    settings["model"]["init_args"] |= model
    settings["data"] = {"class_path": "ood_lightning.datamodules.unlabelled.UnlabelledFeatures", "init_args": data}
    settings["trainer"]["max_epochs"] = 1
    return settings


@pytest.fixture
def kmeans_yaml(fit_yaml: Path) -> Path:
    return tiny_configs.write(fit_yaml, as_kmeans(yaml.safe_load(fit_yaml.read_text())))


@pytest.mark.slow
@pytest.mark.parametrize("method", ["spherical", "standardised"])
def test_a_fit_writes_what_a_fit_with_temi_does(method: Any, kmeans_yaml: Path, sets: Path):
    assert main(["fit", "--config", str(kmeans_yaml), "--model.method", method]) == 0
    run = Path("run/fit")
    labels = LabelSet.read(run / "labels.json")
    assert labels.recipe["kmeans"] == {"n_clusters": 4, "method": method, "starts": 2, "most_rounds": 100}
    assert labels.recipe["seed"] == 0
    assert "temi" not in labels.recipe
    assert read_quality(run)["clusters"]["asked"] == 4
    assert "fit/inertia" in (run / "log/version_0/metrics.csv").read_text()

    (of_encoder,) = Path("cache").iterdir()
    image = FeatureFolder("cache", read_manifest(str(sets / "train")), of_encoder.name).read().image
    votes = load_file(run / "votes.safetensors")
    assert torch.equal(votes["cluster"], cluster(image, method, 4, seed=0))


@pytest.mark.slow
def test_a_finished_fit_goes_on_from_its_checkpoint_and_writes_the_same_bytes(
    kmeans_yaml: Path, monkeypatch: pytest.MonkeyPatch
):
    assert main(["fit", "--config", str(kmeans_yaml)]) == 0
    before = {name: Path("run/fit", name).read_bytes() for name in WRITTEN}
    for name in WRITTEN:
        Path("run/fit", name).unlink()

    monkeypatch.setattr("ood_lightning.modules.kmeans.clusters", None)  # nothing is clustered again
    assert main(["fit", "--config", str(kmeans_yaml)]) == 0
    assert {name: Path("run/fit", name).read_bytes() for name in WRITTEN} == before


@pytest.mark.slow
def test_two_processes_write_the_same_bytes(kmeans_yaml: Path, capfd: pytest.CaptureFixture[str]):
    assert main(["fit", "--config", str(kmeans_yaml)]) == 0
    folders = ["--trainer.default_root_dir=run/two", "--data.cache_dir=cache_of_two"]
    assert main(["fit", "--config", str(kmeans_yaml), *TWO, *folders]) == 0
    assert "MEMBER: 2/2" in "".join(capfd.readouterr())
    for name in WRITTEN:
        assert Path("run/two", name).read_bytes() == Path("run/fit", name).read_bytes(), name


@pytest.mark.slow
def test_what_cannot_be_is_refused_in_one_line(kmeans_yaml: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["fit", "--config", str(kmeans_yaml), "--model.n_clusters", "49"]) == 2
    assert "set 'train' has 48 pictures, fewer than model.n_clusters 49: ask for fewer" in capsys.readouterr().err
    assert not Path("cache").exists()
    assert main(["fit", "--config", str(kmeans_yaml), "--trainer.max_epochs", "3"]) == 2
    assert "trainer.max_epochs is 3: set it to 1" in capsys.readouterr().err


def test_centres_assign_images_they_have_not_seen():
    module = KMeansModule(n_clusters=2)
    state = {"centres": torch.tensor([[1.0, 0.0], [0.0, 1.0]]), "shift": torch.zeros(2), "scale": torch.ones(2)}
    module.on_load_checkpoint({"state_dict": state})
    module.load_state_dict(state)
    image = torch.tensor([[0.1, 5.0], [3.0, 1.0]]).half()
    assert module.assign(image).tolist() == [1, 0]


def test_a_number_out_of_range_is_refused():
    with pytest.raises(ValueError, match="KMeansModule: n_clusters is 0, expected 1 to 1,000,000"):
        KMeansModule(n_clusters=0)
