"""How near mined words are to true names: overlap, precision, F1, and steps in a graph of words. Needs no torch.

Source: ClusterMine, https://arxiv.org/abs/2511.07068, Table 3 (overlap and F1 of the mined positives) and
Figure 5 (hops in WordNet from a mined word to a true name).
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ood_lightning.spelling import folded


class Overlap(NamedTuple):
    """Mined words compared with true names, both as sets without regard to case.

    Attributes:
        mined: number of different words mined, |P|.
        names: number of different true names, |Y|.
        hits: number of words that are in both sets.
    """

    mined: int
    names: int
    hits: int

    @property
    def overlap(self) -> float:
        """Share of the names that were mined, hits / |Y| (recall), in [0, 1]."""
        return self.hits / self.names

    @property
    def precision(self) -> float:
        """Share of the mined words that are names, hits / |P|, in [0, 1]."""
        return self.hits / self.mined

    @property
    def f1(self) -> float:
        """Harmonic mean of overlap and precision, 2 hits / (|P| + |Y|), in [0, 1]."""
        return 2 * self.hits / (self.mined + self.names)


def overlap(mined: Iterable[str], names: Iterable[str]) -> Overlap:
    """Compare mined words with true names.

    Args:
        mined: the positives; a word twice counts once.
        names: of the classes; a name twice counts once (ImageNet's 1,000 classes have 998 names).

    Raises:
        ValueError: if a side is empty.

    Example:
        >>> result = overlap(["Cat", "dog", "oak"], ["cat", "horse", "cat"])
        >>> result.hits, result.overlap, round(result.precision, 2), result.f1
        (1, 0.5, 0.33, 0.4)
    """
    mined_set = {folded(word) for word in mined}
    name_set = {folded(name) for name in names}
    if not (mined_set and name_set):
        raise ValueError(f"{len(mined_set)} mined words and {len(name_set)} names: at least one of each is needed")
    return Overlap(len(mined_set), len(name_set), len(mined_set & name_set))


def hops(links: Sequence[Iterable[int]], sources: Iterable[int]) -> list[int | None]:
    """Fewest steps from each node of a graph to the nearest source, by breadth-first search from all sources at once.

    Args:
        links: neighbours of each node; a link between two nodes is listed at both of them.
        sources: nodes at 0 steps.

    Returns:
        Steps of each node; None where no path leads to a source.

    Example:
        >>> hops([[1], [0, 2], [1], []], [0])
        [0, 1, 2, None]
    """
    steps_to: list[int | None] = [None] * len(links)
    frontier = set(sources)
    steps = 0
    while frontier:
        for node in frontier:
            steps_to[node] = steps

        steps += 1
        frontier = {neighbour for node in frontier for neighbour in links[node] if steps_to[neighbour] is None}
    return steps_to
