"""Unlabelled pictures to a label set: how many clusters, which ones, and the words that they elect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from torch import Tensor

from ood_lightning.callbacks.checkpoint import LAST
from ood_lightning.clustering.choose import choose_clusters
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
from ood_lightning.making.tools import Tools
from ood_lightning.plurals import many
from ood_lightning.progress import bar

Method: TypeAlias = Literal["temi", "kmeans"]

MINED_FILES = (VOTES, LAST)  # of a run that mines
ENOUGH_FOR_TEMI = 1000  # images; of fewer, k-means finds better clusters (docs/choosing_clusters.md)
NAMES: dict[Method, str] = {
    "temi": "TEMI heads",
    "kmeans": f"k-means (fewer than {ENOUGH_FOR_TEMI:,} images are too few for TEMI)",
}


class Number(NamedTuple):
    """How many clusters, and why, in words."""

    n_clusters: int
    reason: str


@dataclass(frozen=True)
class Mined:
    """A label set and what it was mined with.

    Args:
        made: the label set.
        available: what the images offer to detectors.
        reason: why it has so many clusters, found in this way.
    """

    made: MadeLabelSet
    available: Inputs
    reason: str


def method_for(n_images: int) -> Method:
    """How to cluster a number of images."""
    return "temi" if n_images >= ENOUGH_FOR_TEMI else "kmeans"


def mined(images: FeatureSet, vocabulary: Vocabulary, n_clusters: int | None, tools: Tools) -> Mined:
    """Mine a label set from unlabelled images; what an earlier run found on the same ones is taken from its folder.

    Args:
        images: that nothing is held out from any more.
        vocabulary: words with their features.
        n_clusters: that a person wants; None: chosen from the images.
        tools: of the run.
    """
    method = method_for(len(images.features))
    number = _number(images, vocabulary, n_clusters, tools)
    reason = f"{number.reason}; clustered by {NAMES[method]}"
    tools.say(reason)

    clustering = {"method": method, "clusters": number.n_clusters, "reason": reason, "seed": tools.seed}
    available = inputs_of(images, tools.device, fit_settings={"clustering": clustering})
    clusters = _clusters(images, vocabulary, method, number.n_clusters, available, tools)
    available = available.offering(Clusters, lambda: clusters)

    label_set = ClusterMine().make(vocabulary, available)
    return Mined(MadeLabelSet(label_set, vocabulary, None), available, reason)


def _number(images: FeatureSet, vocabulary: Vocabulary, asked_for: int | None, tools: Tools) -> Number:
    """The number of clusters; the candidates are tried once."""
    if asked_for is not None:
        return Number(asked_for, f"{asked_for:,} clusters, as was asked")

    kept, made_from = Kept(tools.folder), _inputs(images, vocabulary, tools)
    if (stored := kept.get("clusters", made_from)) is not None:
        print(f"reusing the number of clusters: {stored['n_clusters']:,}, chosen before from the same pictures")
        return Number(stored["n_clusters"], stored["reason"])

    with bar(None, "choose the number of clusters", "candidate", delay_s=2) as progress_bar:
        choice = choose_clusters(
            images.features.image[:].to(tools.device),
            vocabulary.features.to(tools.device),
            seed=tools.seed,
            on_progress=lambda done, of: progress_bar.update(done - progress_bar.n),
        )
    candidates = [candidate._asdict() for candidate in choice.table]
    result = {"n_clusters": choice.n_clusters, "reason": choice.reason, "candidates": candidates}
    kept.put("clusters", made_from, result)
    return Number(choice.n_clusters, choice.reason)


def _clusters(
    images: FeatureSet, vocabulary: Vocabulary, method: Method, n_clusters: int, available: Inputs, tools: Tools
) -> Clusters:
    """Clusters of the images, which an earlier run may have found; written to `votes.safetensors`."""
    path, kept = tools.folder / VOTES, Kept(tools.folder)
    made_from = {**_inputs(images, vocabulary, tools), "method": method, "n_clusters": n_clusters}
    if path.is_file() and kept.get("votes", made_from) is not None:
        print(f"reusing the clusters of {many(len(images.features), 'picture')} in {path}")
        return Clusters(read_votes(path, images.manifest, len(images.features))["cluster"])

    path.unlink(missing_ok=True)  # of other clusters
    if kept.get("clustering", made_from) is None:
        (tools.folder / LAST).unlink(missing_ok=True)  # another training, which cannot be gone on with
        kept.put("clustering", made_from, True)
    assignments = _assigned(images, method, n_clusters, tools)
    nearest = available[IDTrainingSet].nearest(vocabulary)
    votes = {"cluster": assignments, "nearest": nearest.indices, "cosine": nearest.values}
    write_votes(path, votes, images.manifest)
    kept.put("votes", made_from, True)
    return Clusters(assignments)


def _inputs(images: FeatureSet, vocabulary: Vocabulary, tools: Tools) -> dict[str, object]:
    """What both steps depend on. The set's fingerprint is that of its files: the encoder has one of its own."""
    return {
        "images": images.manifest,
        "encoder": tools.encoder.fingerprint,
        "words": vocabulary.key,
        "seed": tools.seed,
    }


def _assigned(images: FeatureSet, method: Method, n_clusters: int, tools: Tools) -> Tensor:
    """Cluster of each image, int64 (n,)."""
    if method == "temi":
        return temi_clusters(images, n_clusters, tools)
    return cluster(images.features.image[:].to(tools.device), "spherical", n_clusters, tools.seed)
