"""Groups of pictures that a corpus describes badly: clusters of low purity, or of low likeness to their word.

Source: ClusterMine, https://arxiv.org/abs/2511.07068, section 5: where no corpus fits a domain, one may be made for it.
Differs: the paper says neither which clusters nor how; both measures, and their limits, are our choice.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from ood_lightning.functional.similarity import top_k, unit
from ood_lightning.functional.votes import elect

PURITY = 0.5  # of a cluster's pictures that name its word; of fewer, they do not agree
LOWEST = 0.25  # of all clusters, those least like their words: cosines have no scale that holds for all encoders
WORDS = 8  # that a group is told by
PICTURES = 9  # of a group, nearest to its middle


@dataclass(frozen=True)
class Group:
    """A cluster of pictures.

    Args:
        number: of the cluster.
        size: pictures.
        purity: share of them whose nearest word is the cluster's.
        likeness: mean cosine of the pictures to the cluster's word.
        words: nearest words, the cluster's first; each with the pictures that it is nearest to, 0 for those that are
            only near the cluster's middle.
        pictures: rows of those nearest to the middle, the nearest first.
        reason: why it is weak, in words; empty: it is not.
    """

    number: int
    size: int
    purity: float
    likeness: float
    words: tuple[tuple[str, int], ...]
    pictures: tuple[int, ...]
    reason: str


def groups_of(features: Tensor, assignments: Tensor, word_features: Tensor, words: Sequence[str]) -> list[Group]:
    """All clusters as groups, in the order of their numbers.

    Memory beside the inputs: what :func:`top_k` takes.

    Args:
        features: of the pictures, unit-norm float32, (n, D).
        assignments: cluster of each, int64, (n,).
        word_features: unit-norm, (V, D), on the same device.
        words: V of them.
    """
    nearest = top_k(features, word_features, 1)
    top1, cosine = nearest.indices[:, 0].cpu(), nearest.values[:, 0].cpu()
    election = elect(assignments, top1, cosine)

    likenesses, drafts = [], []
    for number, winner, votes, size in zip(*(column.tolist() for column in election[:4]), strict=True):
        rows = (assignments == number).nonzero()[:, 0]
        of_group = features[rows.to(features.device)]  # (size, D)
        middle = unit(of_group.mean(dim=0, keepdim=True))

        likenesses.append(float((of_group @ word_features[winner]).mean()))
        order = (of_group @ middle[0]).argsort(descending=True, stable=True)[:PICTURES].cpu()
        drafts.append(
            (number, size, votes / size, _words(top1[rows], winner, middle, word_features, words), rows[order])
        )

    n_lowest = int(LOWEST * len(drafts))
    bound = sorted(likenesses)[n_lowest] if n_lowest else float("-inf")
    return [
        Group(number, size, purity, likeness, named, tuple(rows.tolist()), _reason(purity, likeness, bound))
        for (number, size, purity, named, rows), likeness in zip(drafts, likenesses, strict=True)
    ]


def _words(
    top1: Tensor, winner: int, middle: Tensor, word_features: Tensor, words: Sequence[str]
) -> tuple[tuple[str, int], ...]:
    """Words that pictures voted for, the winner first, then others near the middle."""
    voted, counts = top1.unique(return_counts=True)
    votes = dict(zip(voted.tolist(), counts.tolist(), strict=True))
    by_votes = sorted(votes, key=lambda row: (row != winner, -votes[row], row))

    near_middle = top_k(middle, word_features, min(WORDS, len(words))).indices[0].tolist()
    rows = list(dict.fromkeys([*by_votes[:WORDS], *near_middle]))[:WORDS]
    return tuple((words[row], votes.get(row, 0)) for row in rows)


def _reason(purity: float, likeness: float, bound: float) -> str:
    """Why a group is weak, in words."""
    reasons = [f"only {100 * purity:.0f} % name its word"] if purity < PURITY else []
    if likeness < bound:
        reasons.append(f"its word is among the {100 * LOWEST:.0f} % least like their pictures (cosine {likeness:.2f})")
    return ", ".join(reasons)
