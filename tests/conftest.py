"""Fake sets, a tiny random encoder, and an environment in which nothing reaches out."""

import json
import logging
import os
import socket
import sys
from collections import Counter
from pathlib import Path
from typing import TextIO

import hypothesis
import pytest
import shard_files
import tiny_configs
import torch
import yaml
from shard_files import MakeSet
from tiny_configs import WORDS, Settings
from tiny_model import TINY
from waiting import HANG_S

WEIGHTS = {"slurm": 100, "long": 60, "slow": 3}  # seconds that a test of a kind takes, roughly

# on a busy machine inputs take long to be drawn, which says nothing of the code
hypothesis.settings.register_profile("busy", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("busy")


class Stderr(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to what is standard error now; Lightning's handler keeps the one of its import, which pytest closes."""

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, _: TextIO) -> None:
        pass


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with most to wait for begin first, so that at the end no process has minutes left and the others nothing.

    Where files are shared out among processes, that needs `--no-loadscope-reorder`.
    """
    seconds = Counter[Path]()
    for item in items:
        seconds[item.path] += sum(WEIGHTS.get(mark.name, 0) for mark in item.iter_markers())
    items.sort(key=lambda item: -seconds[item.path])


@pytest.fixture(autouse=True)
def _lightning_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("lightning", "lightning.pytorch", "lightning.fabric"):
        if logging.getLogger(name).handlers:
            monkeypatch.setattr(logging.getLogger(name), "handlers", [Stderr()])


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No cluster, no hub, no W&B server, one thread; relative paths lie in the test's folder."""
    for name in list(os.environ):
        if name.startswith(("SLURM_", "WANDB_")) or name in {"RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_PORT"}:
            monkeypatch.delenv(name)

    variables = {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "HF_HUB_OFFLINE": "1"}
    variables["WANDB__SERVICE_WAIT"] = str(HANG_S)  # its own process starts late on a busy machine
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    for name in ("WANDB_DIR", "WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path))

    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def make_set() -> MakeSet:
    """Maker of a set: shards of coloured images with a manifest; returns its folder."""
    return shard_files.make_set


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny random open_clip model, as `local-dir:` reads it."""
    from open_clip.model import CLIP
    from safetensors.torch import save_file

    torch.manual_seed(0)
    tensors = {name: tensor.contiguous() for name, tensor in CLIP(**TINY).state_dict().items()}
    folder = tmp_path_factory.mktemp("tiny_model")
    save_file(tensors, folder / "open_clip_model.safetensors")

    preprocess = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "shortest"}
    config = {"model_cfg": TINY, "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="session")
def clipn_tensors(tiny_model: Path) -> dict[str, torch.Tensor]:
    """A state dict of CLIPN's layout: the tiny model's own towers, and a random "no" tower."""
    from safetensors.torch import load_file

    towers = load_file(tiny_model / "open_clip_model.safetensors")
    draw = torch.Generator().manual_seed(5)
    no = {"prompt_no": 0.3 * torch.randn(16, *towers["positional_embedding"].shape, generator=draw)}
    for key, value in towers.items():
        part, dot, rest = key.partition(".")
        if part not in ("visual", "logit_scale"):
            no[f"{part}_no{dot}{rest}"] = 0.3 * torch.randn(value.shape, generator=draw)
    return {**towers, **no}


@pytest.fixture(scope="session")
def encoder_yaml(tiny_model: Path) -> Settings:
    """The tiny model as a config names it."""
    return {
        "class_path": "ood_lightning.encoders.openclip.OpenClip",
        "init_args": {"model": f"local-dir:{tiny_model}", "feature_dtype": "float32"},
    }


@pytest.fixture(scope="session")
def words_yaml(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A small corpus as a config names it."""
    path = tmp_path_factory.mktemp("corpus") / "words.txt"
    path.write_text("\n".join(WORDS.split(",")) + "\n", encoding="utf-8")
    return {"class_path": "ood_lightning.corpora.words.WordFile", "init_args": {"path": str(path)}}


@pytest.fixture(scope="session")
def sets(tmp_path_factory: pytest.TempPathFactory, make_set: MakeSet) -> Path:
    """Folder with an unlabelled ID set of 48 images in 3 shards, an ID test set, a shifted one and two OOD sets."""
    parent = tmp_path_factory.mktemp("sets")
    make_set(parent, "train", colours=("red", "green"), shards=(20, 8, 20), labelled=False)
    make_set(parent, "id_test", colours=("red", "green"), shards=(5, 1, 6), seed=1)
    make_set(parent, "shifted", role="covariate", colours=("red", "green"), shards=(7,), seed=2)
    make_set(parent, "blues", role="ood", colours=("blue",), shards=(4, 5), seed=3)
    make_set(parent, "greys", role="ood", colours=("grey",), shards=(8,), seed=4)
    return parent


@pytest.fixture
def fit_yaml(tmp_path: Path, sets: Path, encoder_yaml: Settings, words_yaml: Settings) -> Path:
    """A config of a small `fit` into `run/fit`; features are cached in the test's folder."""
    return tiny_configs.write(tmp_path / "fit.yaml", tiny_configs.fit(sets, encoder_yaml, words_yaml))


@pytest.fixture
def eval_yaml(tmp_path: Path, sets: Path, encoder_yaml: Settings, words_yaml: Settings) -> Path:
    """A config of a `test` into `run/eval` that needs no fit: true names, with and without mined negatives."""
    return tiny_configs.write(tmp_path / "eval.yaml", tiny_configs.evaluation(sets, encoder_yaml, words_yaml))


@pytest.fixture
def mined_yaml(eval_yaml: Path, sets: Path, tmp_path: Path) -> Path:
    """The same with the other ways of choosing words, on nouns and adjectives that share no templates."""
    (tmp_path / "tagged.csv").write_text(tiny_configs.tagged_words())
    settings = yaml.safe_load(eval_yaml.read_text())
    tiny_configs.add_mined(settings, str(sets / "id_test"), "tagged.csv")
    return tiny_configs.write(eval_yaml, settings)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub's client works offline, and whatever looks up a host fails."""
    import huggingface_hub

    def refuse(*args: object, **options: object) -> None:
        raise AssertionError("something tried to reach the network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)  # the variable is read once, at import
