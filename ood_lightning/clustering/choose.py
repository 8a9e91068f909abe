"""How many clusters, from unlabelled images alone: no class name, no OOD image, no test image is looked at.

Each candidate number C of clusters is tried with spherical k-means, which takes a fraction of a second where TEMI takes
minutes, and every cluster elects its word. The fewer different words per cluster, |P| / C, the more clusters share one:
from there on more clusters bring few words. The largest C whose |P| / C is at least 0.7 is chosen. ClusterMine
(https://arxiv.org/abs/2511.07068) proposes the elbow of the same curve and gives no formula.

How this rule and others fare where the best C is known in hindsight stands in `docs/choosing_clusters.md`.
"""

import math
from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor

from ood_lightning.clustering.kmeans import space_of
from ood_lightning.errors import SettingsError
from ood_lightning.functional.kmeans import kmeans
from ood_lightning.functional.kmeans_seeds import TooFewDistinctError
from ood_lightning.functional.rows import FeatureRows
from ood_lightning.functional.similarity import Top, log_mass, top_k, unit
from ood_lightning.functional.votes import elect, quality

Method: TypeAlias = Literal["temi", "kmeans", "posmine"]

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
        held_out_mass: mean log share of the softmax mass that held-out images give to these words, nats below 0; None
            without such images.
    """

    n_clusters: int
    n_positives: int
    ratio: float
    redundancy: float
    purity: float
    held_out_mass: float | None


class Choice(NamedTuple):
    """What was chosen, and why.

    Attributes:
        n_clusters: C; None for PosMine, which has no clusters.
        min_images: M of PosMine; None for the others.
        method: that it was chosen for.
        table: the candidates by ascending C; none for PosMine.
        reason: in words, one line.
    """

    n_clusters: int | None
    min_images: int | None
    method: Method
    table: tuple[Candidate, ...]
    reason: str


def choose_clusters(
    features: FeatureRows,
    vocabulary: Tensor,
    held_out_features: Tensor | None = None,
    method: Method = "kmeans",
    seed: int = 0,
    on_progress: Callable[[int, int], object] = lambda done, of: None,
    *,
    logit_scale: float = 100.0,
) -> Choice:
    """The number of clusters for a set of unlabelled ID images; the same for TEMI and k-means.

    Looks at 20,000 images at most. Memory: theirs in float32, and what `top_k` and k-means hold.

    Args:
        features: of the images to mine from, unit-norm, shape (n, D).
        vocabulary: features of the corpus's words, unit-norm, shape (V, D).
        held_out_features: of other ID images, (m, D), to measure `held_out_mass` with. It decides nothing, so they
            may be those that a threshold is calibrated on.
        method: that the number is for.
        seed: of the sample and of k-means.
        on_progress: called with how many candidates are done, and how many there are at most.
        logit_scale: of the encoder, for the mass.

    Raises:
        SettingsError: there are fewer than two images.

    Example:
        >>> words = torch.eye(3)
        >>> choice = choose_clusters(words.repeat(4, 1), words)
        >>> choice.n_clusters, choice.table[-1].n_positives
        (3, 3)
    """
    if len(features) < FEWEST:
        raise SettingsError(f"{len(features)} images: at least {FEWEST} are needed to find clusters")
    if method == "posmine":
        return _of_posmine(len(features))

    image = _sample(features, seed)
    top, held_out = nearest_words(image, vocabulary), _HeldOut.of(held_out_features, vocabulary, logit_scale)
    numbers = candidate_numbers(len(image))

    table: list[Candidate] = []
    for n_clusters in numbers:
        try:
            table.append(candidate(image, top, n_clusters, seed, held_out))
        except TooFewDistinctError as error:
            if not table or error.n_distinct > table[-1].n_clusters:
                table.append(candidate(image, top, error.n_distinct, seed, held_out))
            break
        on_progress(len(table), len(numbers))
        if len(table) >= BELOW and all(one.ratio < LEAST_RATIO for one in table[-BELOW:]):
            break

    on_progress(len(numbers), len(numbers))
    chosen = by_ratio(table)
    return Choice(chosen.n_clusters, None, method, tuple(table), _reason(chosen, table, len(image)))


def by_ratio(table: list[Candidate]) -> Candidate:
    """The largest number of clusters with words enough; the smallest where none has."""
    enough = [one for one in table if one.ratio >= LEAST_RATIO]
    return enough[-1] if enough else table[0]


def candidate_numbers(n_images: int) -> list[int]:
    """Numbers of clusters to try: n, n / sqrt(2), n / 2, ... down to 2; ascending.

    Example:
        >>> candidate_numbers(30)
        [2, 3, 4, 5, 8, 11, 15, 21, 30]
    """
    steps = range(int(math.log(max(n_images / FEWEST, 1), STEP)) + 1)
    return sorted({max(FEWEST, round(n_images / STEP**step)) for step in steps})


def candidate(image: Tensor, top: Top, n_clusters: int, seed: int = 0, held_out: "_HeldOut | None" = None) -> Candidate:
    """What a number of clusters gives with spherical k-means.

    Args:
        image: features, (n, D).
        top: nearest word of each image, (n, 1).
        n_clusters: C.
        seed: of k-means.
        held_out: images to measure with.

    Raises:
        TooFewDistinctError: there are fewer distinct images than clusters.
    """
    clustering = kmeans(image, n_clusters, space_of(image, "spherical"), seed=seed, starts=1)
    nearest, cosine = top.indices[:, 0], top.values[:, 0]
    election = elect(clustering.assignments, nearest, cosine)

    measured, words = quality(clustering.assignments, nearest, election, n_clusters), election.winner.unique()
    mass = None if held_out is None else held_out.mass(words)
    return Candidate(n_clusters, len(words), measured.label_ratio, measured.redundancy, measured.weighted_purity, mass)


def nearest_words(image: Tensor, vocabulary: Tensor) -> Top:
    """The nearest word of each image."""
    return top_k(image, vocabulary, 1)


def min_images_for(n_images: int) -> int:
    """PosMine's M: images that a word needs, about sqrt(n) / 11.

    That is the paper's 100 on ImageNet's 1.28 million images. On 2,748 drawings it is 4, where any M of 2 to 10 does
    as well, and below 484 images it is 1: no word is asked to be named twice.

    Example:
        >>> [min_images_for(n) for n in (30, 1000, 2748, 1_281_167)]
        [1, 2, 4, 102]
    """
    return max(1, math.isqrt(n_images) // 11)


class _HeldOut(NamedTuple):
    """Held-out images with the log-mass that the whole vocabulary has."""

    image: Tensor
    total: Tensor
    vocabulary: Tensor
    scale: float

    @classmethod
    def of(cls, image: Tensor | None, vocabulary: Tensor, scale: float) -> "_HeldOut | None":
        """None without images."""
        if image is None or not len(image):
            return None
        image = unit(image.float())
        return cls(image, log_mass(image, vocabulary, scale), vocabulary, scale)

    def mass(self, words: Tensor) -> float:
        """Mean log share of some words."""
        return float((log_mass(self.image, self.vocabulary[words], self.scale) - self.total).mean())


def _sample(features: FeatureRows, seed: int) -> Tensor:
    """All images or some of them, unit-norm in float32."""
    if len(features) <= MOST_IMAGES:
        return unit(features[:].float())
    chosen = torch.randperm(len(features), generator=torch.Generator().manual_seed(seed))[:MOST_IMAGES]
    return unit(features[chosen.sort().values.to(features.device)].float())


def _of_posmine(n_images: int) -> Choice:
    min_images = min_images_for(n_images)
    reason = f"PosMine has no clusters; of {n_images:,} images, {min_images} have to name a word (about sqrt(n) / 11)"
    return Choice(None, min_images, "posmine", (), reason)


def _reason(chosen: Candidate, table: list[Candidate], n_images: int) -> str:
    """Why, in words."""
    summary = f"{chosen.n_clusters:,} clusters of {n_images:,} images elect {chosen.n_positives:,} different words"
    if chosen.ratio < LEAST_RATIO:
        return f"{summary}: no number of clusters has {LEAST_RATIO} words a cluster, so the smallest is taken"
    if chosen is table[-1]:
        return f"{summary}, {chosen.ratio:.2f} a cluster, and there can be no more clusters"
    after = table[table.index(chosen) + 1]
    return (
        f"{summary}, {chosen.ratio:.2f} a cluster; {after.n_clusters:,} clusters elect {after.n_positives:,}, which is "
        f"{after.ratio:.2f}, below {LEAST_RATIO}: more clusters mostly repeat words"
    )
