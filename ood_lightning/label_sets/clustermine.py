"""ClusterMine: every cluster elects its concept.

Source: Adaloglou et al., WACV 2026, https://arxiv.org/abs/2511.07068, section 3. Each image names its nearest word of
the corpus; the most frequent word of a cluster becomes a positive; words elected twice merge; the rest is negative.
Differs: ties, which the paper leaves open, go to the larger summed cosine inside the cluster, then to the earlier word.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ood_lightning.data.artifacts.label_set import LabelSet, Positive
from ood_lightning.functional.votes import elect


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
    support: dict[int, tuple[int, int, int]] = {}
    for winner, votes, size in zip(
        election.winner.tolist(), election.votes.tolist(), election.size.tolist(), strict=True
    ):
        clusters, images, agreeing = support.get(winner, (0, 0, 0))
        support[winner] = (clusters + 1, images + size, agreeing + votes)
    positives = [
        Positive(words[word], clusters, images, round(agreeing / images, 4))
        for word, (clusters, images, agreeing) in sorted(support.items(), key=lambda entry: (-entry[1][1], entry[0]))
    ]
    return LabelSet(tuple(positives), None, {"method": "ClusterMine", **recipe, "supervision": ["id_images"]})
