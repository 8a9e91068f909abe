"""Measures of mined label sets as plain data. True names and labels are only measured with, never mined with.

Source: ClusterMine, https://arxiv.org/abs/2511.07068, Figures 5 and 7 and Table 3.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor

from ood_lightning.data.artifacts.label_set import LabelSet
from ood_lightning.functional.overlap import overlap
from ood_lightning.functional.quality import (
    adjusted_rand_index,
    clustering_accuracy,
    contingency,
    cosine_histogram,
    normalised_mutual_information,
)
from ood_lightning.functional.similarity import top_k
from ood_lightning.functional.votes import elect, quality
from ood_lightning.wordnet.hops import noun_hops


class TrueNames(NamedTuple):
    """Names that label sets are measured with.

    Attributes:
        source: where they were read.
        names: in class order.
        features: unit-norm, (Y, D).
    """

    source: str
    names: Sequence[str]
    features: Tensor


def clusters(votes: Mapping[str, Tensor], n_clusters: int) -> dict[str, Any]:
    """Sizes of the clusters, and how far the images of one agree on a word.

    Args:
        votes: `cluster`, `nearest` and `cosine` of each image, as a fit stores them.
        n_clusters: C, the empty ones included.
    """
    election = elect(votes["cluster"], votes["nearest"], votes["cosine"])
    agreement = quality(votes["cluster"], votes["nearest"], election, n_clusters)
    size = election.size.double()
    return {
        "asked": n_clusters,
        "in_use": len(size),
        "positives": len(election.winner.unique()),
        "size_min": float(size.min()),
        "size_median": float(size.median()),
        "size_max": float(size.max()),
        **agreement._asdict(),
    }


def truth(assignments: Tensor, labels: Tensor) -> dict[str, Any] | None:
    """Agreement of the clusters with the true labels of the images that have one; None where none has.

    Args:
        assignments: cluster of each image, shape (N,).
        labels: class of each image, -1 where unknown, shape (N,).
    """
    known = labels >= 0
    if not known.any():
        return None
    table = contingency(assignments[known], labels[known])
    return {
        "images": int(known.sum()),
        "classes": table.shape[1],
        "nmi": normalised_mutual_information(table),
        "ari": adjusted_rand_index(table),
        "accuracy": clustering_accuracy(table),
    }


def label_set(labels: LabelSet, features: Tensor, true: TrueNames | None) -> dict[str, Any]:
    """One label set, and how its positives compare with the true names.

    Args:
        labels: the set.
        features: of its positives, unit-norm, (P, D).
        true: names to compare with; None leaves that out.
    """
    measures: dict[str, Any] = {
        "method": labels.recipe.get("method"),
        "sha256": labels.sha256,
        "positives": len(labels.positives),
    }
    if true is None:
        return measures

    nearest = top_k(features, true.features, 1)
    cosines, rows = nearest.values[:, 0], nearest.indices[:, 0].tolist()
    hops, shared = noun_hops(labels.words, true.names), overlap(labels.words, true.names)
    return measures | {
        "names": {
            "source": true.source,
            "names": shared.names,
            "hits": shared.hits,
            "overlap": shared.overlap,
            "precision": shared.precision,
            "f1": shared.f1,
        },
        "similarity": {"mean": float(cosines.mean()), "bins": cosine_histogram(cosines).tolist()},
        "hops": {
            "names_in_wordnet": hops.known,
            "mean": hops.mean,
            "bins": list(hops.bins),
            "unreachable": hops.unreachable,
        },
        "nearest_name": {
            word: [true.names[row], round(cosine, 6)]
            for word, row, cosine in zip(labels.words, rows, cosines.tolist(), strict=True)
        },
    }


def logged(measures: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of `quality.json` that a curve can show, under names for loggers: of the first label set."""
    renamed = {
        "in_use": "clusters_in_use",
        "size_min": "cluster_size_min",
        "size_median": "cluster_size_median",
        "size_max": "cluster_size_max",
    }
    values = {renamed.get(name, name): value for name, value in measures["clusters"].items() if name != "asked"}
    if measures["truth"]:
        values |= {name: measures["truth"][name] for name in ("nmi", "ari", "accuracy")}

    first = next(iter(measures["label_sets"].values()))
    if "names" in first:
        values |= {name: first["names"][name] for name in ("overlap", "precision", "f1")}
        values["name_similarity"] = first["similarity"]["mean"]
        if first["hops"]["bins"]:
            values["name_hops"] = first["hops"]["mean"]
    return {f"mined/{name}": float(value) for name, value in values.items()}
