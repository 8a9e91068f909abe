"""How many clusters, from unlabelled images alone: no class name, no OOD image, no test image is looked at.

Each candidate number C of clusters is tried with spherical k-means, which takes a fraction of a second where TEMI takes
minutes, and every cluster elects its word. The fewer different words per cluster, |P| / C, the more clusters share one:
from there on more clusters bring few words. The largest C whose |P| / C is at least 0.7 is chosen. ClusterMine
(https://arxiv.org/abs/2511.07068) proposes the elbow of the same curve and gives no formula.

How this rule and others fare where the best C is known in hindsight stands in `docs/choosing_clusters.md`.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ood_lightning.clustering.kmeans import space_of
from ood_lightning.errors import SettingsError
from ood_lightning.functional.kmeans import kmeans
from ood_lightning.functional.kmeans_seeds import TooFewDistinctError
from ood_lightning.functional.rows import FeatureRows
from ood_lightning.functional.similarity import Top, top_k, unit
from ood_lightning.functional.votes import elect, quality
from ood_lightning.plurals import many

LEAST_RATIO = 0.7  # of words to clusters
STEP = 2**0.5  # between two candidates
FEWEST = 2  # clusters
MOST_IMAGES = 20_000  # looked at; of more a sample is drawn
BELOW = 2  # candidates in a row below the ratio end the search


class Candidate(NamedTuple):
    """What a number of clusters gives.

    Attributes:
        n_clusters: C.
        n_positives: different words that the clusters elect, |P|.
        ratio: |P| / C, in (0, 1].
        redundancy: words that two or more clusters elect, percent of |P|.
        purity: share of the images whose nearest word is their cluster's.
    """

    n_clusters: int
    n_positives: int
    ratio: float
    redundancy: float
    purity: float


class Choice(NamedTuple):
    """What was chosen, and why.

    Attributes:
        n_clusters: C.
        table: the candidates by ascending C.
        reason: in words, one line.
    """

    n_clusters: int
    table: tuple[Candidate, ...]
    reason: str


def choose_clusters(
    features: FeatureRows,
    vocabulary: Tensor,
    seed: int = 0,
    on_progress: Callable[[int, int], object] = lambda done, of: None,
) -> Choice:
    """The number of clusters for a set of unlabelled ID images; the same for TEMI and k-means.

    Looks at 20,000 images at most. Memory: theirs in float32, and what `top_k` and k-means hold.

    Args:
        features: of the images to mine from, unit-norm, shape (n, D).
        vocabulary: features of the corpus's words, unit-norm, shape (V, D).
        seed: of the sample and of k-means.
        on_progress: called with how many candidates are done, and how many there are at most.

    Raises:
        SettingsError: there are fewer than two images.

    Example:
        >>> words = torch.eye(3)
        >>> choice = choose_clusters(words.repeat(4, 1), words)
        >>> choice.n_clusters, choice.table[-1].n_positives
        (3, 3)
    """
    if len(features) < FEWEST:
        raise SettingsError(f"{many(len(features), 'image')}: at least {FEWEST} are needed to find clusters")

    image = _sample(features, seed)
    top = nearest_words(image, vocabulary)
    numbers = candidate_numbers(len(image))

    table: list[Candidate] = []
    for n_clusters in numbers:
        try:
            table.append(candidate(image, top, n_clusters, seed))
        except TooFewDistinctError as error:
            if not table or error.n_distinct > table[-1].n_clusters:
                table.append(candidate(image, top, error.n_distinct, seed))
            break
        on_progress(len(table), len(numbers))
        if len(table) >= BELOW and all(one.ratio < LEAST_RATIO for one in table[-BELOW:]):
            break

    on_progress(len(numbers), len(numbers))
    chosen = by_ratio(table)
    return Choice(chosen.n_clusters, tuple(table), _reason(chosen, table, len(image)))


def by_ratio(table: list[Candidate]) -> Candidate:
    """The largest number of clusters with words enough; the smallest where none has."""
    enough = [one for one in table if one.ratio >= LEAST_RATIO]
    return enough[-1] if enough else table[0]


def candidate_numbers(n_images: int) -> list[int]:
    """Numbers of clusters to try: n, n / sqrt(2), n / 2, ..., none below 2; ascending.

    Example:
        >>> candidate_numbers(30)
        [3, 4, 5, 7, 11, 15, 21, 30]
    """
    steps = range(int(math.log(max(n_images / FEWEST, 1), STEP)) + 1)
    return sorted({max(FEWEST, round(n_images / STEP**step)) for step in steps})


def candidate(image: Tensor, top: Top, n_clusters: int, seed: int = 0) -> Candidate:
    """What a number of clusters gives with spherical k-means.

    Args:
        image: features, (n, D).
        top: nearest word of each image, (n, 1).
        n_clusters: C.
        seed: of k-means.

    Raises:
        TooFewDistinctError: there are fewer distinct images than clusters.
    """
    clustering = kmeans(image, n_clusters, space_of(image, "spherical"), seed=seed, starts=1)
    nearest, cosine = top.indices[:, 0], top.values[:, 0]
    election = elect(clustering.assignments, nearest, cosine)

    measured, words = quality(clustering.assignments, nearest, election, n_clusters), election.winner.unique()
    return Candidate(n_clusters, len(words), measured.label_ratio, measured.redundancy, measured.weighted_purity)


def nearest_words(image: Tensor, vocabulary: Tensor) -> Top:
    """The nearest word of each image."""
    return top_k(image, vocabulary, 1)


def _sample(features: FeatureRows, seed: int) -> Tensor:
    """All images or some of them, unit-norm in float32."""
    if len(features) <= MOST_IMAGES:
        return unit(features[:].float())
    chosen = torch.randperm(len(features), generator=torch.Generator().manual_seed(seed))[:MOST_IMAGES]
    return unit(features[chosen.sort().values.to(features.device)].float())


def _reason(chosen: Candidate, table: list[Candidate], n_images: int) -> str:
    """Why, in words."""
    n_words = many(chosen.n_positives, "different word")
    summary = f"{chosen.n_clusters:,} clusters of {n_images:,} images elect {n_words} in a quick trial"
    if chosen.ratio < LEAST_RATIO:
        return f"{summary}: no number of clusters has {LEAST_RATIO} words a cluster, so the smallest is taken"
    if chosen is table[-1]:
        return f"{summary}, {chosen.ratio:.2f} a cluster, and there can be no more clusters"
    after = table[table.index(chosen) + 1]
    return (
        f"{summary}, {chosen.ratio:.2f} a cluster; {after.n_clusters:,} clusters elect {after.n_positives:,}, which is "
        f"{after.ratio:.2f}, below {LEAST_RATIO}: more clusters mostly repeat words"
    )
