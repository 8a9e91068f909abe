"""The positives of a label set as a person looks at them: neighbours, maps, the pictures they stand for, doubts."""

from collections.abc import Iterable, Sequence
from statistics import median
from typing import NamedTuple

import torch
from torch import Tensor

from ood_lightning.data.artifacts.features import Features
from ood_lightning.data.artifacts.label_set import Positive
from ood_lightning.detectors.evidence import ReadyLabelSet
from ood_lightning.functional.plane import Plane, principal_plane
from ood_lightning.functional.similarity import top_k, unit
from ood_lightning.plain_output import one_line
from ood_lightning.reasons.stored import Neighbour, Word

NEIGHBOURS = 4  # words beside a word
MAX_IMAGES = 20_000  # that are compared with the positives; of more, evenly spaced ones
ROWS = 2048  # features at once
FEW_VOTES = 0.25  # of the median number of votes
SPLIT = 0.5  # agreement below it: most pictures of its clusters are nearer to other words
FAR = 3.0  # deviations below the median cosine, each 1.4826 times the median absolute deviation


class Looks(NamedTuple):
    """ID pictures and their nearest positives.

    Attributes:
        rows: of the features, int64, shape (m,).
        nearest: position of the nearest positive of each, int64, shape (m,).
        cosine: to it, float64, shape (m,).
        centres: mean unit feature of each positive's pictures, float64, shape (P, D); zero where it has none.
    """

    rows: Tensor
    nearest: Tensor
    cosine: Tensor
    centres: Tensor

    def of_word(self, position: int) -> list[int]:
        """Rows of the pictures whose nearest positive it is, by falling cosine."""
        members = (self.nearest == position).nonzero()[:, 0]
        order = self.cosine[members].argsort(descending=True, stable=True)
        return self.rows[members[order]].tolist()


def looked_at(images: Features, positives: Tensor) -> Looks:
    """The nearest positive of each ID picture, of at most `MAX_IMAGES` evenly spaced ones.

    Args:
        images: of an ID set.
        positives: unit-norm, shape (P, D), on the device where it is computed.
    """
    step = -(-len(images) // MAX_IMAGES)
    rows = torch.arange(0, len(images), max(step, 1))
    cosines, nearest = [], []
    sums = torch.zeros(positives.shape, dtype=torch.float64)
    for part in rows.split(ROWS):
        features = unit(images.image[part].to(positives.device).float())
        best = top_k(features, positives, 1)
        cosines.append(best.values[:, 0].cpu())
        nearest.append(best.indices[:, 0].cpu())
        sums.index_add_(0, nearest[-1], features.double().cpu())

    of_all = torch.cat(nearest)
    counts = torch.bincount(of_all, minlength=len(positives)).clamp(min=1)
    return Looks(rows, of_all, torch.cat(cosines), sums / counts[:, None])


class Mapped(NamedTuple):
    """The words with their places on two maps.

    Attributes:
        words: in the order of the label set.
        by_text: share of their variance that the map of text features holds, in [0, 1].
        by_pictures: the same of the map of the centres of their pictures.
    """

    words: list[Word]
    by_text: float
    by_pictures: float


def words_of(ready: ReadyLabelSet, looks: Looks) -> Mapped:
    """Every positive with its support, neighbours and doubts, in the order of the label set.

    Args:
        ready: the label set.
        looks: ID pictures.
    """
    positives = ready.positives.features
    n = len(positives)
    by_text = principal_plane(positives)
    places_of_text = _places(by_text, range(n))

    with_pictures = looks.nearest.unique()
    by_pictures = principal_plane(looks.centres[with_pictures])
    places_of_pictures = _places(by_pictures, with_pictures.tolist())

    close = top_k(positives, positives, min(NEIGHBOURS + 1, n))
    opposite = None
    if len(ready.negatives):
        opposite = top_k(positives, ready.negatives.features, min(NEIGHBOURS, len(ready.negatives)))

    counts = torch.bincount(looks.nearest, minlength=n)
    sums = torch.zeros(n, dtype=torch.float64).index_add_(0, looks.nearest, looks.cosine)
    means = [float(sums[i] / counts[i]) if counts[i] else None for i in range(n)]
    doubts = doubts_of(ready.label_set.positives, means)

    words = [
        Word(
            one_line(positive.label),
            positive.clusters,
            positive.images,
            positive.agreement,
            int(counts[i]),
            means[i],
            places_of_text[i],
            _neighbours(close.indices[i], close.values[i], ready.texts.positives, leave_out=i),
            () if opposite is None else _neighbours(opposite.indices[i], opposite.values[i], ready.texts.negatives),
            doubts[i],
            of_pictures=places_of_pictures.get(i),
        )
        for i, positive in enumerate(ready.label_set.positives)
    ]
    return Mapped(words, by_text.explained, by_pictures.explained)


def _places(plane: Plane, positions: Iterable[int]) -> dict[int, tuple[float, float]]:
    """The two coordinates of each word, by its position in the label set."""
    return {i: (x, y) for i, (x, y) in zip(positions, plane.points.tolist(), strict=True)}


def _neighbours(
    rows: Tensor, cosines: Tensor, texts: Sequence[str], leave_out: int | None = None
) -> tuple[Neighbour, ...]:
    pairs = zip(rows.tolist(), cosines.tolist(), strict=True)
    return tuple(Neighbour(one_line(texts[row]), cosine) for row, cosine in pairs if row != leave_out)[:NEIGHBOURS]


def doubts_of(positives: Sequence[Positive], cosines: Sequence[float | None]) -> list[tuple[str, ...]]:
    """Why a person should look at a word, for each word; nothing where all is as usual.

    Args:
        positives: with their votes, where something voted.
        cosines: mean cosine of each word to its pictures; None where it has none.
    """
    votes = [one.images for one in positives if one.images is not None]
    few = FEW_VOTES * median(votes) if votes else 0.0

    known = [cosine for cosine in cosines if cosine is not None]
    middle = median(known) if known else 0.0
    spread = 1.4826 * median(abs(cosine - middle) for cosine in known) if known else 0.0

    doubts = []
    for one, cosine in zip(positives, cosines, strict=True):
        reasons = []
        if one.images is not None and one.images < few:
            reasons.append("few votes")
        if one.agreement is not None and one.agreement < SPLIT:
            reasons.append("split votes")
        if cosine is None:
            reasons.append("no picture is nearest to it")
        elif cosine < middle - FAR * spread:
            reasons.append("far from its pictures")
        doubts.append(tuple(reasons))
    return doubts


def by_doubt(words: Sequence[Word]) -> list[Word]:
    """Those with most doubts first, then those with fewest votes."""
    return sorted(words, key=lambda word: (-len(word.doubts), word.images or 0, word.n_nearest, word.label))
