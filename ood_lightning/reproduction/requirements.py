"""What a full item takes, calculated: GPU hours, disk, and what of it is here. Needs torch for the look at weights.

Every time is work divided by a rate that is assumed below, for one H100 with 16 cores. Expect a factor of two.
"""

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from ood_lightning.data.cards.cards import find, read_group, shards
from ood_lightning.data.cards.offered import Offered, offered
from ood_lightning.places import shipped_config
from ood_lightning.reproduction.item import Item
from ood_lightning.reproduction.plan import Run

BF16, TF32, FLOAT32 = 300e12, 200e12, 50e12  # FLOP a second that large products attain
MEMORY = 2e12  # bytes a second
DECODED = 200 * 16  # images a second, by the cores beside the GPU
JPEG_BYTES = 110e3  # where no card states a set's size
IMAGE_SHARE = 0.65  # of an encoder's parameters; the rest is the text tower
TEMI = {"heads": 50, "hidden": 512, "bottleneck": 256, "batch": 1024, "epochs": 100, "slices": 2, "neighbours": 50}
CLUSTERS = 4000
WORDS = 80_000
BLOCK_LOGITS = 2**27  # of the heads that are computed together, `clustering.step.MOST_LOGITS` of an accelerator
GROUP = "group:"
MIB = 2**20


class Cost(NamedTuple):
    """What an item takes.

    Attributes:
        gpu_hours: of one GPU.
        fetched: bytes of archives, as cards state them or by the number of images.
        stored: bytes of features.
        images: that are embedded, of all sets once.
    """

    gpu_hours: float
    fetched: float
    stored: float
    images: int


def references(sets: Sequence[str]) -> list[str]:
    """Sets as cards call them, groups replaced by their sets; each once."""
    named = [read_group(name.removeprefix(GROUP)).sets if name.startswith(GROUP) else (name,) for name in sets]
    return list(dict.fromkeys(name for of_group in named for name in of_group))


def cost(item: Item, runs: Sequence[Run]) -> Cost:
    """The work of a full item by itself: nothing is finished, no other item was run.

    Args:
        item: whose sets and encoders count.
        runs: its steps.
    """
    counts = {name: find(name)[1].images or 0 for name in references(item.requires.sets)}
    sizes = {name: find(name)[0].gigabytes(find(name)[1]) for name in counts}
    encoders = [encoder for encoder in offered() if encoder.name in item.requires.encoders]
    images = sum(counts.values())

    embedding = sum(max(images / DECODED, images * _image_flop(encoder) / BF16) for encoder in encoders)
    n_train = counts.get("imagenet-train", 0)
    dim = max(encoder.dim for encoder in encoders)
    fits = [run for run in runs if run.line.steps[0].command == "fit"]
    clustering = sum(
        _temi_s(n_train, dim, _clusters(run)) + 2 * n_train**2 * dim / FLOAT32 for run in fits if _is_temi(run)
    )
    n_scored = sum(run.line.steps[0].command == "test" for run in runs)
    scoring = n_scored * 2 * (images + n_train) * WORDS * dim / FLOAT32

    hours = (embedding + clustering + scoring) / 3600 + sum(item.requires.gpu_hours.values())
    fetched = sum(counts[name] * JPEG_BYTES if size is None else size * 1e9 for name, size in sizes.items())
    return Cost(hours, fetched, 2.0 * images * sum(encoder.dim for encoder in encoders), images)


def _image_flop(encoder: Offered) -> float:
    """Of one image: twice the parameters of the image tower, for each patch."""
    patch = re.match(r"[a-z0-9]+?_[a-z]*?(\d+)(?:_|$)", encoder.name)
    tokens = (encoder.pixels / (int(patch[1]) if patch else 16)) ** 2
    return 2 * IMAGE_SHARE * encoder.params * 1e6 * tokens


def _temi_s(n: int, dim: int, clusters: int) -> float:
    """Products in TF32, ten passes of the loss over its logits, AdamW and average."""
    heads, hidden, bottleneck, batch = (TEMI[key] for key in ("heads", "hidden", "bottleneck", "batch"))
    parameters = heads * (dim * hidden + hidden * bottleneck + clusters * bottleneck)
    step = 16 * batch * parameters / TF32 + (10 * 4 * heads * 2 * batch * clusters + 36 * parameters) / MEMORY
    return TEMI["epochs"] * (n // batch) * step


def clustering_bytes(n: int, dim: int, clusters: int) -> int:
    """The most that training of TEMI's heads holds on a GPU: features and neighbours, heads, what the teacher says.

    Heads are five times there: student, teacher, gradient, and AdamW's two moments. Of the logits of a block of heads
    five live at once, at most.

    Args:
        n: training images.
        dim: of features, in half precision.
        clusters: of each head.
    """
    heads, hidden, bottleneck, batch = (TEMI[key] for key in ("heads", "hidden", "bottleneck", "batch"))
    resident = n * (2 * dim + 4 * TEMI["neighbours"])
    parameters = heads * ((dim + 1) * hidden + (hidden + 1) * bottleneck + clusters * (bottleneck + 1))
    rows = 2 * batch // TEMI["slices"]  # images of a slice, and their neighbours
    block = min(heads, max(1, BLOCK_LOGITS // (rows * clusters)))
    return resident + 4 * (5 * parameters + heads * 2 * batch * clusters + 5 * block * rows * clusters)


def scoring_bytes(words: int, dim: int, batch: int = 4096) -> int:
    """The most that scoring with a corpus holds on a GPU beside an encoder: words, images, and a block of products.

    Args:
        words: of the corpus, in float32.
        dim: of features.
        batch: images, and words of a block.
    """
    return 4 * (words * dim + batch * dim + 5 * batch**2)


def _is_temi(run: Run) -> bool:
    return any("clustermine" in word for word in run.line.steps[0].words) and not run.line.value("model.label_set")


def _clusters(run: Run) -> int:
    return int(run.line.value("model.n_clusters") or CLUSTERS)


def missing(item: Item) -> list[str]:
    """What of an item's needs is not found from the current folder.

    Shards are looked for where the cards' commands put them, corpora by the files that their configs name, weights in
    the hub's cache.
    """
    lacking = [
        name for name in references(item.requires.sets) if not Path(shards(*find(name)), "manifest.json").is_file()
    ]
    files = [*item.requires.files, *(file for corpus in item.requires.corpora for file in _files_of(corpus))]
    lacking += [file for file in dict.fromkeys(files) if not Path(file).exists()]
    lacking += [f"weights of {encoder}" for encoder in item.requires.encoders if not _has_weights(encoder)]
    return lacking + [f"weights of {judge}" for judge in item.requires.judges if not _has_judge(judge)]


@cache
def _has_weights(encoder: str) -> bool:
    """Whether an encoder's weights lie in the hub's cache, or come with its config."""
    from ood_lightning.encoders.hub import in_cache
    from ood_lightning.encoders.openclip_tags import hub_files  # open_clip, and torch with it

    settings = _settings_of(f"encoders/{encoder}.yaml")
    of_hub = hub_files(settings["model"], settings.get("pretrained"))
    return of_hub is None or in_cache(*of_hub, None, settings.get("cache_dir")) is not None


@cache
def _has_judge(judge: str) -> bool:
    """Whether a chat model lies in the hub's cache."""
    from ood_lightning.encoders.hub import in_cache

    return in_cache(_settings_of(f"judges/{judge}.yaml")["model"], ["config.json"], None, None) is not None


def _settings_of(config: str) -> dict[str, Any]:
    """`init_args` of a shipped config."""
    path = shipped_config(config)
    return yaml.safe_load(path.read_text(encoding="utf-8")).get("init_args", {}) if path else {}


def _files_of(corpus: str) -> list[str]:
    """Files that a corpus reads, which a person brings."""
    texts = [str(value) for value in _settings_of(f"corpora/{corpus}.yaml").values()]
    further = [file for text in texts if text.endswith(".yaml") for file in _files_of(Path(text).stem)]
    return further + [text for text in texts if text.endswith((".csv", ".txt"))]
