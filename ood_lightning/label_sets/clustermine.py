"""ClusterMine: every cluster elects its concept.

Source: Adaloglou et al., WACV 2026, https://arxiv.org/abs/2511.07068, section 3. Each image names its nearest word of
the corpus; the most frequent word of a cluster becomes a positive; words elected twice merge; the rest is negative.
Differs: ties, which the paper leaves open, go to the larger summed cosine inside the cluster, then to the earlier word.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ood_lightning.data.artifacts.label_set import LabelSet, Positive
from ood_lightning.detectors.evidence import Input, Inputs
from ood_lightning.functional.votes import elect
from ood_lightning.label_sets.base import LabelSource
from ood_lightning.label_sets.training_images import Clusters, IDTrainingSet
from ood_lightning.label_sets.vocabulary import Vocabulary


@dataclass(frozen=True)
class ClusterMine(LabelSource):
    """Positives elected by clusters of ID training images; negatives are the rest of the corpus.

    Args:
        votes: `votes.safetensors` of a fit on the same images, for its clusters; None: the clusters of the run itself,
            which a fit has.
    """

    votes: str | None = None

    @property
    def required_inputs(self) -> frozenset[type[Input]]:
        """Images, and clusters of them unless a file is named."""
        return frozenset({IDTrainingSet} if self.votes else {IDTrainingSet, Clusters})

    def make(self, vocabulary: Vocabulary, available: Inputs) -> LabelSet:
        """Count the votes of every cluster."""
        training_set = available[IDTrainingSet]
        clusters = Clusters.read(self.votes, training_set) if self.votes else available[Clusters]

        nearest, recipe = training_set.nearest(vocabulary), training_set.recipe(vocabulary)
        return vocabulary.with_adjectives(
            clustermine(clusters.assignments, nearest.indices, nearest.values, vocabulary.words.words, recipe)
        )


def clustermine(
    assignments: Tensor, nearest: Tensor, cosines: Tensor, words: Sequence[str], recipe: dict[str, Any]
) -> LabelSet:
    """Positives elected by the clusters; negatives are the rest of the corpus.

    Args:
        assignments: cluster of each image, shape (N,).
        nearest: index of its nearest word, shape (N,).
        cosines: cosine to that word, shape (N,).
        words: the corpus.
        recipe: what made the inputs, plain data; stored in the label set.

    Returns:
        A label set, its positives by falling number of images, then in the corpus's order.
    """
    election = elect(assignments, nearest, cosines)
    elected, position, clusters = election.winner.unique(return_inverse=True, return_counts=True)
    images, agreeing = (torch.zeros_like(elected).index_add_(0, position, n) for n in (election.size, election.votes))

    order = images.argsort(descending=True, stable=True)  # of equally many, the earlier word
    columns = (column[order].tolist() for column in (elected, clusters, images, agreeing))
    positives = tuple(
        Positive(words[word], n_clusters, n_images, round(n_agreeing / n_images, 4))
        for word, n_clusters, n_images, n_agreeing in zip(*columns, strict=True)
    )
    return LabelSet(positives, None, {"method": "ClusterMine", **recipe, "supervision": ["id_images"]})
