"""Which concept each cluster elects, how ties fall, and how good the clusters are.

Source: ClusterMine and PosMine, https://arxiv.org/abs/2511.07068.
"""

from typing import NamedTuple

import torch
from torch import Tensor

_GRID = 2.0**36  # cosines are summed as integers, in units of 1 / _GRID: exact, so the same in any order


class Election(NamedTuple):
    """One entry per non-empty cluster, in ascending order of cluster.

    Attributes:
        cluster: cluster number, int64, shape ``(E,)``.
        winner: elected concept, a row of the corpus, int64.
        votes: images of the cluster whose nearest concept is the winner, int64.
        size: images of the cluster, int64.
        cosine_sum: summed cosine of those votes, float64.
    """

    cluster: Tensor
    winner: Tensor
    votes: Tensor
    size: Tensor
    cosine_sum: Tensor


class Quality(NamedTuple):
    """How pure the clusters are and how much their labels repeat.

    Attributes:
        purity: mean over clusters of the winner's share of the votes, in (0, 1].
        weighted_purity: the same weighted by cluster size.
        entropy: mean over clusters of the entropy of the votes, nats.
        label_ratio: number of different labels / number of clusters, the empty ones included, in (0, 1].
        redundancy: labels that two or more clusters elect, **percent** of the different labels.
    """

    purity: float
    weighted_purity: float
    entropy: float
    label_ratio: float
    redundancy: float


def elect(assignments: Tensor, top1: Tensor, cosines: Tensor) -> Election:
    """Let every image vote for its nearest concept; the concept with most votes names the cluster.

    A tie goes to the concept of larger summed cosine inside the cluster, then to the lowest row of the corpus. Cosines
    are rounded to multiples of 2^-36 before they are summed, which changes no float32 cosine of 2^-12 or more: the
    result does not depend on the order of the images, the device or the number of threads.

    Args:
        assignments: cluster of each image, int64, shape ``(N,)``.
        top1: nearest concept of each image, a row of the corpus, int64, shape ``(N,)``.
        cosines: cosine to that concept, shape ``(N,)``.

    Returns:
        The winners, see :class:`Election`.

    Raises:
        ValueError: if there are no images, shapes differ, an index is negative, or a cosine lies outside [-1, 1].

    Differs: the paper leaves ties open.

    Example:
        >>> elect(torch.tensor([0, 0, 2]), torch.tensor([5, 4, 5]), torch.tensor([0.25, 0.5, 0.5])).winner
        tensor([4, 5])
    """
    _check_votes(assignments, top1)
    if cosines.shape != assignments.shape or not (cosines.abs() <= 1.001).all():  # float32 unit vectors pass 1 a little
        raise ValueError(f"cosines must be {tuple(assignments.shape)} finite values in [-1, 1]")

    # A ballot is a pair (cluster, concept) that occurs; there are M of them. Images are sorted by ballot.
    cluster, concept, votes, order = _ballots(assignments, top1)
    last = votes.cumsum(0) - 1  # the last image of each ballot
    running = (cosines.double()[order] * _GRID).round().long().cumsum(0)[last]
    sums = torch.cat([running[:1], running.diff()])  # (M,)

    # Stable sorts from the least important key to the most important; ballots come in order of cluster, then concept.
    rank = sums.argsort(descending=True, stable=True)
    rank = rank[votes[rank].argsort(descending=True, stable=True)]
    rank = rank[cluster[rank].argsort(stable=True)]

    clusters, n_ballots = cluster.unique_consecutive(return_counts=True)  # (E,)
    won = rank[n_ballots.cumsum(0) - n_ballots]  # the first ballot of each cluster
    size = assignments.sort().values.unique_consecutive(return_counts=True)[1]
    return Election(clusters, concept[won], votes[won], size, sums[won].double() / _GRID)


def counts(top1: Tensor, vocabulary: int) -> Tensor:
    """How many images each concept is nearest to.

    Args:
        top1: nearest concept of each image, a row of the corpus, int64, shape ``(N,)``.
        vocabulary: concepts in the corpus, V.

    Returns:
        Images per concept, int64, shape ``(V,)``.

    Raises:
        ValueError: if an index lies outside the corpus.

    Example:
        >>> counts(torch.tensor([2, 0, 2]), 4)
        tensor([1, 0, 2, 0])
    """
    if top1.numel() and (top1.min() < 0 or top1.max() >= vocabulary):
        raise ValueError(f"concepts {int(top1.min())} to {int(top1.max())} do not fit a corpus of {vocabulary}")

    return torch.bincount(top1, minlength=vocabulary)


def quality(assignments: Tensor, top1: Tensor, election: Election, n_clusters: int) -> Quality:
    """Cluster quality over the non-empty clusters.

    Args:
        assignments: cluster of each image, int64, shape ``(N,)``.
        top1: nearest concept of each image, int64, shape ``(N,)``.
        election: the result of :func:`elect` on these images.
        n_clusters: C, the empty clusters included.

    Returns:
        See :class:`Quality`; all but ``redundancy`` are fractions or nats.

    Raises:
        ValueError: if the election is of other images, or a cluster is not below ``n_clusters``.

    Example:
        >>> asg, top1 = torch.tensor([0, 0, 1, 1]), torch.tensor([7, 7, 7, 8])
        >>> quality(asg, top1, elect(asg, top1, torch.ones(4)), 4)._asdict()["redundancy"]
        100.0
    """
    _check_votes(assignments, top1)
    if int(election.size.sum()) != len(assignments) or int(election.cluster.max()) >= n_clusters:
        raise ValueError(
            f"the election counts {int(election.size.sum())} images and clusters up to {int(election.cluster.max())}; "
            f"given were {len(assignments)} images and {n_clusters} clusters"
        )

    cluster, _, votes, _ = _ballots(assignments, top1)
    share = votes.double() / election.size[torch.searchsorted(election.cluster, cluster)]  # of each ballot
    entropies = -(share * share.log()).sum()  # of all clusters together

    labels, elected_by = election.winner.unique(return_counts=True)
    return Quality(
        purity=float((election.votes.double() / election.size).mean()),
        weighted_purity=float(election.votes.sum().double() / len(assignments)),
        entropy=float(entropies / len(election.cluster)) + 0.0,  # + 0.0: no "-0.0" in tables
        label_ratio=len(labels) / n_clusters,
        redundancy=100.0 * int((elected_by > 1).sum()) / len(labels),
    )


def _ballots(assignments: Tensor, top1: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Each pair (cluster, concept) that occurs, ascending: cluster, concept, votes; and the images in that order."""
    width = int(top1.max()) + 1
    key, order = (assignments.long() * width + top1).sort()  # one integer for each pair
    key, votes = key.unique_consecutive(return_counts=True)
    return key // width, key % width, votes, order


def _check_votes(assignments: Tensor, top1: Tensor) -> None:
    if assignments.ndim != 1 or assignments.shape != top1.shape or not len(assignments):
        raise ValueError(
            f"assignments {tuple(assignments.shape)} and top1 {tuple(top1.shape)} must be one cluster and one concept "
            f"per image, of at least one image"
        )
    if assignments.min() < 0 or top1.min() < 0:
        raise ValueError("a cluster or concept is negative: drop images that were not assigned before they vote")
