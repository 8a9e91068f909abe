"""Fake sets, a tiny random encoder, and an environment in which nothing reaches out."""

import json
import logging
import os
import socket
import sys
from pathlib import Path
from typing import TextIO

import pytest
import shard_files
import torch
import yaml
from shard_files import COLOURS, MakeSet
from tiny_model import TINY

WORDS = (
    "red,green,blue,grey,dog,cat,horse,tree,river,stone,chair,table,lamp,house,road,sky,cloud,rain,snow,wind,fire,iron"
)


class Stderr(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to what is standard error now; Lightning's handler keeps the one of its import, which pytest closes."""

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, _: TextIO) -> None:
        pass


@pytest.fixture(autouse=True)
def _lightning_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("lightning", "lightning.pytorch", "lightning.fabric"):
        if logging.getLogger(name).handlers:
            monkeypatch.setattr(logging.getLogger(name), "handlers", [Stderr()])


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No cluster, no hub, no W&B server, one thread; relative paths land in the test's folder."""
    for name in list(os.environ):
        if name.startswith(("SLURM_", "WANDB_")) or name in {"RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_PORT"}:
            monkeypatch.delenv(name)
    for name, value in {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "HF_HUB_OFFLINE": "1"}.items():
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

    folder = tmp_path_factory.mktemp("tiny_model")
    torch.manual_seed(0)
    model = CLIP(**TINY)
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, folder / "open_clip_model.safetensors")
    preprocess = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "shortest"}
    config = {"model_cfg": TINY, "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="session")
def clipn_tensors(tiny_model: Path) -> dict[str, torch.Tensor]:
    """A state dict of CLIPN's layout: the tiny model's own towers, and a random "no" tower."""
    from safetensors.torch import load_file

    own = load_file(tiny_model / "open_clip_model.safetensors")
    draw = torch.Generator().manual_seed(5)
    no = {"prompt_no": 0.3 * torch.randn(16, *own["positional_embedding"].shape, generator=draw)}
    for key, value in own.items():
        part, dot, rest = key.partition(".")
        if part not in ("visual", "logit_scale"):
            no[f"{part}_no{dot}{rest}"] = 0.3 * torch.randn(value.shape, generator=draw)
    return {**own, **no}


@pytest.fixture(scope="session")
def encoder_yaml(tiny_model: Path) -> dict[str, object]:
    """The tiny model as a config names it."""
    return {
        "class_path": "ood_lightning.encoders.openclip.OpenClip",
        "init_args": {"model": f"local-dir:{tiny_model}", "feature_dtype": "float32"},
    }


@pytest.fixture(scope="session")
def words_yaml(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """A small corpus as a config names it."""
    path = tmp_path_factory.mktemp("corpus") / "words.txt"
    path.write_text("\n".join(WORDS.split(",")) + "\n", encoding="utf-8")
    return {"class_path": "ood_lightning.corpora.words.WordFile", "init_args": {"path": str(path)}}


@pytest.fixture(scope="session")
def sets(tmp_path_factory: pytest.TempPathFactory, make_set: MakeSet) -> Path:
    """Folder with an unlabelled ID set of 48 pictures in 3 shards, an ID test set, a shifted one and two OOD sets."""
    parent = tmp_path_factory.mktemp("sets")
    make_set(parent, "train", colours=("red", "green"), shards=(20, 8, 20), labelled=False)
    make_set(parent, "id_test", colours=("red", "green"), shards=(5, 1, 6), seed=1)
    make_set(parent, "shifted", role="covariate", colours=("red", "green"), shards=(7,), seed=2)
    make_set(parent, "blues", role="ood", colours=("blue",), shards=(4, 5), seed=3)
    make_set(parent, "greys", role="ood", colours=("grey",), shards=(8,), seed=4)
    return parent


def _write(path: Path, settings: dict[str, object]) -> Path:
    path.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    return path


@pytest.fixture
def fit_yaml(tmp_path: Path, sets: Path, encoder_yaml: dict[str, object], words_yaml: dict[str, object]) -> Path:
    """A config of a small `fit` into `run/fit`; features are cached in the test's folder."""
    prompts = {"templates": ["{}", "a photo of a {}."]}
    callbacks = [
        {"class_path": "ood_lightning.callbacks.checkpoint.RunCheckpoint"},
        {
            "class_path": "ood_lightning.callbacks.label_sets.LabelSetWriter",
            "init_args": {"corpus": words_yaml, "prompts": prompts, "min_images": 2},
        },
    ]
    heads = {"n_clusters": 4, "n_heads": 2, "hidden": 16, "bottleneck": 8, "warmup_epochs": 1, "slices": 4}
    data = {"encoder": encoder_yaml, "id_shards": str(sets / "train"), "n_neighbours": 4, "batch_size": 16}
    return _write(
        tmp_path / "fit.yaml",
        {
            "trainer": {
                "default_root_dir": "run/fit",
                "max_epochs": 3,
                "accelerator": "cpu",
                "devices": 1,
                "enable_progress_bar": False,
                "enable_model_summary": False,
                "logger": {
                    "class_path": "lightning.pytorch.loggers.CSVLogger",
                    "init_args": {"save_dir": "run/fit", "name": "log"},
                },
                "callbacks": callbacks,
            },
            "model": {"class_path": "ood_lightning.modules.temi.TEMIModule", "init_args": heads},
            "data": {
                "class_path": "ood_lightning.datamodules.features.TrainFeatures",
                "init_args": {**data, "cache_dir": "cache", "num_workers": 0},
            },
        },
    )


@pytest.fixture
def eval_yaml(tmp_path: Path, sets: Path, encoder_yaml: dict[str, object], words_yaml: dict[str, object]) -> Path:
    """A config of a `test` into `run/eval` that needs no fit: true names, with and without mined negatives."""
    sources = "ood_lightning.label_sets.sources"
    names = str(sets / "id_test")
    label_sets = {
        "names": {"class_path": f"{sources}.IDNames", "init_args": {"names": names}},
        "neglabel": {"class_path": f"{sources}.MinedNegatives", "init_args": {"names": names, "count": 10}},
    }
    detectors = {
        "MCM": {"class_path": "ood_lightning.detectors.mcm.MCM"},
        "NegLabel": {"class_path": "ood_lightning.detectors.neglabel.NegLabel", "init_args": {"groups": 2}},
    }
    data = {
        "encoder": encoder_yaml,
        "id_shards": [str(sets / "id_test")],
        "covariate_shards": [str(sets / "shifted")],
        "ood_shards": {"near": [str(sets / "blues")], "far": [str(sets / "greys")]},
        "cache_dir": "cache",
        "num_workers": 0,
        "batch_size": 4,
    }
    return _write(
        tmp_path / "eval.yaml",
        {
            "trainer": {
                "default_root_dir": "run/eval",
                "accelerator": "cpu",
                "devices": 1,
                "enable_progress_bar": False,
                "logger": {
                    "class_path": "lightning.pytorch.loggers.CSVLogger",
                    "init_args": {"save_dir": "run/eval", "name": "log"},
                },
                "callbacks": [{"class_path": "ood_lightning.callbacks.results.ResultsWriter"}],
            },
            "model": {
                "class_path": "ood_lightning.modules.detect.DetectModule",
                "init_args": {
                    "corpus": words_yaml,
                    "prompts": {"templates": ["{}"]},
                    "label_sets": label_sets,
                    "detectors": detectors,
                    "cache_dir": "cache",
                },
            },
            "data": {"class_path": "ood_lightning.datamodules.features.EvalFeatures", "init_args": data},
        },
    )


@pytest.fixture
def mined_yaml(eval_yaml: Path, sets: Path, tmp_path: Path) -> Path:
    """The same with the other ways of choosing words, on nouns and adjectives that share no templates."""
    words = WORDS.split(",")
    tagged = [f"{at},{word},{'JJ' if word in COLOURS else 'NN'}" for at, word in enumerate([*words, "tall", "wide"])]
    (tmp_path / "tagged.csv").write_text("\n".join(["index,word,pos_tag", *tagged]) + "\n")
    official, names = "ood_lightning.label_sets.official_negatives", str(sets / "id_test")
    corpus: dict[str, object] = {
        "class_path": "ood_lightning.corpora.part_of_speech.PartOfSpeech",
        "init_args": {"path": "tagged.csv"},
    }
    pool = {"class_path": "ood_lightning.corpora.conjugated.Conjugated", "init_args": {"corpus": corpus}}
    prompts = {"templates": ["the {}", "a {}."], "order": "mean-then-normalise", "adjectives": ["a {} thing"]}
    made = {
        "official": (f"{official}.NegLabelNegatives", {"share": 0.5}, corpus),
        "csp": (f"{official}.CSPNegatives", {"share": 0.4, "without_names": True}, pool),
        "augmented": (f"{official}.AugmentedNames", {"count": 5}, corpus),
        "ends": ("ood_lightning.label_sets.sources.CLIPScopeNegatives", {"farthest": 6, "nearest": 4}, corpus),
    }
    settings = yaml.safe_load(eval_yaml.read_text())
    for name, (path, given, words_of) in made.items():
        source = {"class_path": path, "init_args": {"names": names, **given}}
        settings["model"]["init_args"]["label_sets"][name] = {
            "class_path": "ood_lightning.label_sets.sources.WithCorpus",
            "init_args": {"source": source, "corpus": words_of, "prompts": prompts},
        }
        settings["model"]["init_args"]["detectors"][f"mass of {name}"] = {
            "class_path": "ood_lightning.detectors.label_mass.LabelMass",
            "init_args": {"labels": name},
        }
    return _write(eval_yaml, settings)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub's client works offline, and whatever looks up a host fails."""
    import huggingface_hub

    def refuse(*args: object, **options: object) -> None:
        raise AssertionError("something tried to reach the network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)  # the variable is read once, at import
