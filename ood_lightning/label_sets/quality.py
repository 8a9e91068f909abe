"""Measures of mined label sets as plain data. True names and labels are only measured with, never mined with.

Source: ClusterMine, https://arxiv.org/abs/2511.07068, Figures 5 and 7 and Table 3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

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

if TYPE_CHECKING:
    from torch import Tensor

    from ood_lightning.data.artifacts.label_set import LabelSet


SIZES = ("min", "median", "max")


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
    found = quality(votes["cluster"], votes["nearest"], election, n_clusters)
    size = election.size.double()
    sizes = zip(SIZES, (size.min(), size.median(), size.max()), strict=True)
    about = {"asked": n_clusters, "in_use": len(size), "positives": len(election.winner.unique())}
    return {**about, **{f"size_{name}": float(value) for name, value in sizes}, **found._asdict()}


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
    about: dict[str, Any] = {
        "method": labels.recipe.get("method"),
        "sha256": labels.sha256,
        "positives": len(labels.positives),
    }
    if true is None:
        return about
    found = overlap(labels.words, true.names)
    near = top_k(features, true.features, 1)
    cosines, rows = near.values[:, 0], near.indices[:, 0].tolist()
    pairs = zip(labels.words, rows, cosines.tolist(), strict=True)
    far = noun_hops(labels.words, true.names)
    return about | {
        "names": {"source": true.source, "names": found.names, "hits": found.hits}
        | {"overlap": found.overlap, "precision": found.precision, "f1": found.f1},
        "similarity": {"mean": float(cosines.mean()), "bins": cosine_histogram(cosines).tolist()},
        "hops": {"names_in_wordnet": far.known, "mean": far.mean, "bins": list(far.bins)}
        | {"unreachable": far.unreachable},
        "nearest_name": {word: [true.names[row], round(cosine, 6)] for word, row, cosine in pairs},
    }


def logged(found: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of `quality.json` that a curve can show, under names for loggers."""
    of_clusters = dict(found["clusters"])
    del of_clusters["asked"]
    renamed = {"in_use": "clusters_in_use"} | {
        f"size_{what}": f"cluster_size_{what}" for what in ("min", "median", "max")
    }
    values = {renamed.get(name, name): value for name, value in of_clusters.items()}
    values |= {name: found["truth"][name] for name in ("nmi", "ari", "accuracy")} if found["truth"] else {}
    first = next(iter(found["label_sets"].values()))
    if "names" in first:
        values |= {name: first["names"][name] for name in ("overlap", "precision", "f1")}
        values["name_similarity"] = first["similarity"]["mean"]
        values |= {"name_hops": first["hops"]["mean"]} if first["hops"]["bins"] else {}
    return {f"mined/{name}": float(value) for name, value in values.items()}
