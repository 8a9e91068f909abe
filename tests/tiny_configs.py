"""Settings of small runs on the tiny model and on sets of coloured images, as YAML holds them."""

from pathlib import Path
from typing import Any

import yaml
from shard_files import COLOURS

Settings = dict[str, Any]

WORDS = (
    "red,green,blue,grey,dog,cat,horse,tree,river,stone,chair,table,lamp,house,road,sky,cloud,rain,snow,wind,fire,iron"
)


def write(path: Path, settings: Settings) -> Path:
    """Write settings as YAML; returns the path."""
    path.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    return path


def trainer(folder: str, callbacks: list[Settings], **more: Any) -> Settings:
    """A Trainer on one CPU that writes into a folder."""
    logger = {"class_path": "lightning.pytorch.loggers.CSVLogger", "init_args": {"save_dir": folder, "name": "log"}}
    quiet = {"enable_progress_bar": False, "enable_model_summary": False}
    return {
        "default_root_dir": folder,
        "accelerator": "cpu",
        "devices": 1,
        "logger": logger,
        "callbacks": callbacks,
        **quiet,
        **more,
    }


def fit(sets: Path, encoder: Settings, corpus: Settings) -> Settings:
    """A small `fit` into `run/fit`; features are cached in `cache`."""
    label_sets = {
        "labels": {"class_path": "ood_lightning.label_sets.clustermine.ClusterMine"},
        "posmine": {"class_path": "ood_lightning.label_sets.posmine.PosMine", "init_args": {"min_images": 2}},
    }
    writer = {"corpus": corpus, "prompts": {"templates": ["{}", "a photo of a {}."]}, "label_sets": label_sets}
    callbacks = [
        {"class_path": "ood_lightning.callbacks.checkpoint.RunCheckpoint"},
        {"class_path": "ood_lightning.callbacks.label_sets.LabelSetWriter", "init_args": writer},
    ]

    heads = {"n_clusters": 4, "n_heads": 2, "hidden": 16, "bottleneck": 8, "warmup_epochs": 1, "slices": 4}
    data = {
        "encoder": encoder,
        "id_shards": str(sets / "train"),
        "n_neighbours": 4,
        "batch_size": 16,
        "cache_dir": "cache",
        "num_workers": 0,
    }

    return {
        "trainer": trainer("run/fit", callbacks, max_epochs=3),
        "model": {"class_path": "ood_lightning.modules.temi.TEMIModule", "init_args": heads},
        "data": {"class_path": "ood_lightning.datamodules.features.TrainFeatures", "init_args": data},
    }


def evaluation(sets: Path, encoder: Settings, corpus: Settings) -> Settings:
    """A `test` into `run/eval` that needs no fit: true names, with and without mined negatives."""
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
    model = {
        "corpus": corpus,
        "prompts": {"templates": ["{}"]},
        "label_sets": label_sets,
        "detectors": detectors,
        "cache_dir": "cache",
    }

    data = {
        "encoder": encoder,
        "id_shards": [names],
        "covariate_shards": [str(sets / "shifted")],
        "ood_shards": {"near": [str(sets / "blues")], "far": [str(sets / "greys")]},
        "cache_dir": "cache",
        "num_workers": 0,
        "batch_size": 4,
    }

    results = {"class_path": "ood_lightning.callbacks.results.ResultsWriter"}
    return {
        "trainer": trainer("run/eval", [results]),
        "model": {"class_path": "ood_lightning.modules.detect.DetectModule", "init_args": model},
        "data": {"class_path": "ood_lightning.datamodules.features.EvalFeatures", "init_args": data},
    }


def tagged_words() -> str:
    """A table of the corpus with parts of speech: colours are adjectives, two more of them are added."""
    rows = [*WORDS.split(","), "tall", "wide"]
    tagged = [f"{row},{word},{'JJ' if word in COLOURS else 'NN'}" for row, word in enumerate(rows)]
    return "\n".join(["index,word,pos_tag", *tagged]) + "\n"


def add_mined(settings: Settings, names: str, table: str) -> None:
    """Add the other ways of choosing words to an evaluation, with a detector for each.

    Args:
        settings: of the evaluation; changed in place.
        names: set with the true names.
        table: file of `tagged_words`; its nouns and adjectives share no templates.
    """
    official = "ood_lightning.label_sets.official_negatives"
    corpus = {"class_path": "ood_lightning.corpora.part_of_speech.PartOfSpeech", "init_args": {"path": table}}
    pool = {"class_path": "ood_lightning.corpora.conjugated.Conjugated", "init_args": {"corpus": corpus}}
    prompts = {"templates": ["the {}", "a {}."], "order": "mean-then-normalise", "adjectives": ["a {} thing"]}
    sources = {
        "official": (f"{official}.NegLabelNegatives", {"share": 0.5}, corpus),
        "csp": (f"{official}.CSPNegatives", {"share": 0.4, "without_names": True}, pool),
        "augmented": (f"{official}.AugmentedNames", {"count": 5}, corpus),
        "ends": ("ood_lightning.label_sets.sources.CLIPScopeNegatives", {"farthest": 6, "nearest": 4}, corpus),
    }

    model = settings["model"]["init_args"]
    for name, (class_path, options, words) in sources.items():
        source = {"class_path": class_path, "init_args": {"names": names, **options}}
        model["label_sets"][name] = {
            "class_path": "ood_lightning.label_sets.sources.WithCorpus",
            "init_args": {"source": source, "corpus": words, "prompts": prompts},
        }
        model["detectors"][f"mass of {name}"] = {
            "class_path": "ood_lightning.detectors.label_mass.LabelMass",
            "init_args": {"labels": name},
        }
