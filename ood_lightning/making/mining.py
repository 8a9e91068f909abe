"""Unlabelled pictures to a label set: how many clusters, which ones, and the words that they elect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ood_lightning.clustering.choose import Choice, Method, choose_clusters
from ood_lightning.clustering.kmeans import cluster
from ood_lightning.data.artifacts.features import FeatureSet
from ood_lightning.data.artifacts.votes import FILE as VOTES
from ood_lightning.data.artifacts.votes import read_votes, write_votes
from ood_lightning.detectors.evidence import Inputs
from ood_lightning.label_sets.clustermine import ClusterMine
from ood_lightning.label_sets.ready import MadeLabelSet
from ood_lightning.label_sets.training_images import Clusters, IDTrainingSet, inputs_of
from ood_lightning.label_sets.vocabulary import Vocabulary
from ood_lightning.making.kept import Kept
from ood_lightning.making.temi import temi_clusters
from ood_lightning.progress import bar

ENOUGH_FOR_TEMI = 1000  # images; of fewer, k-means finds better clusters (docs/choosing_clusters.md)
NAMES = {
    "temi": "TEMI heads",
    "kmeans": f"k-means (fewer than {ENOUGH_FOR_TEMI:,} images are too few for TEMI)",
}


@dataclass(frozen=True)
class Mined:
    """A label set and what it was mined with.

    Args:
        made: the label set.
        available: what the images offer to detectors.
        choice: the method, the number of clusters, and why.
    """

    made: MadeLabelSet
    available: Inputs
    choice: Choice


def method_for(n_images: int) -> Method:
    """How to cluster a number of images."""
    return "temi" if n_images >= ENOUGH_FOR_TEMI else "kmeans"


def mined(
    images: FeatureSet,
    vocabulary: Vocabulary,
    device: torch.device,
    folder: Path,
    seed: int,
    n_clusters: int | None = None,
    say: Callable[[str], object] = print,
) -> Mined:
    """Mine a label set from unlabelled images; what an earlier run found on the same ones is taken from its folder.

    Args:
        images: that nothing is held out from any more.
        vocabulary: words with their features.
        device: where it is computed.
        folder: of the run.
        seed: of everything that is drawn.
        n_clusters: that a person wants; None: chosen from the images.
        say: takes what was chosen, and why.
    """
    choice = _choice(images, vocabulary, device, folder, seed, n_clusters)
    say(choice.reason)
    available = inputs_of(images, device, fit_settings=_recipe(choice, seed))

    clusters = _clusters(images, choice, device, folder, seed, available, vocabulary)
    available = available.offering(Clusters, lambda: clusters)

    label_set = ClusterMine().make(vocabulary, available)
    return Mined(MadeLabelSet(label_set, vocabulary, None), available, choice)


def _recipe(choice: Choice, seed: int) -> dict[str, Any]:
    """What decided beside the images, for the label set's recipe."""
    return {
        "clustering": {"method": choice.method, "clusters": choice.n_clusters, "reason": choice.reason, "seed": seed}
    }


def _choice(
    images: FeatureSet, vocabulary: Vocabulary, device: torch.device, folder: Path, seed: int, n_clusters: int | None
) -> Choice:
    """Method and number of clusters; the candidates are tried once."""
    n = len(images.features)
    method = method_for(n)
    if n_clusters is not None:
        return Choice(n_clusters, None, method, (), f"{n_clusters:,} clusters, as was asked, by {NAMES[method]}")

    kept, key = Kept(folder), {"images": images.manifest, "words": vocabulary.key, "seed": seed, "method": method}
    if (stored := kept.get("clusters", key)) is not None:
        return Choice(stored["n_clusters"], None, method, (), stored["reason"])

    with bar(None, "choose the number of clusters", "candidate", delay_s=2) as progress_bar:
        choice = choose_clusters(
            images.features.image[:].to(device),
            vocabulary.features.to(device),
            method=method,
            seed=seed,
            on_progress=lambda done, of: progress_bar.update(done - progress_bar.n),
        )
    choice = choice._replace(reason=f"{choice.reason}; mined by {NAMES[method]}")
    columns = {"n_clusters": choice.n_clusters, "reason": choice.reason}
    kept.put("clusters", key, {**columns, "candidates": [one._asdict() for one in choice.table]})
    return choice


NAMES = {
    "temi": "TEMI heads",
    "kmeans": f"k-means (fewer than {ENOUGH_FOR_TEMI:,} images are too few for TEMI)",
}


def _clusters(
    images: FeatureSet,
    choice: Choice,
    device: torch.device,
    folder: Path,
    seed: int,
    available: Inputs,
    vocabulary: Vocabulary,
) -> Clusters:
    """Clusters of the images, which an earlier run may have found; written to `votes.safetensors`."""
    path, kept = folder / VOTES, Kept(folder)
    key = {
        "images": images.manifest,
        "words": vocabulary.key,
        "n": choice.n_clusters,
        "by": choice.method,
        "seed": seed,
    }
    if path.is_file() and kept.get("votes", key) is not None:
        return Clusters(read_votes(path, images.manifest, len(images.features))["cluster"])

    assert choice.n_clusters is not None
    if choice.method == "temi":
        assignments = temi_clusters(images, choice.n_clusters, seed, folder, device)
    else:
        assignments = cluster(images.features.image[:].to(device), "spherical", choice.n_clusters, seed)

    nearest = available[IDTrainingSet].nearest(vocabulary)
    votes = {"cluster": assignments, "nearest": nearest.indices, "cosine": nearest.values}
    write_votes(path, votes, images.manifest)
    kept.put("votes", key, True)
    return Clusters(assignments)
