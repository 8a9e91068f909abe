"""How many of the mined words are true names: overlap, precision, F1. Needs no torch.

Source: ClusterMine, https://arxiv.org/abs/2511.07068, Table 3 (overlap and F1 of the mined positives).
"""

from collections.abc import Iterable
from typing import NamedTuple


class Overlap(NamedTuple):
    """Mined words against true names, both as sets without regard to case.

    Attributes:
        mined: different words mined, |P|.
        names: different true names, |Y|.
        hits: words that are both, |P and Y|.
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


def folded(word: str) -> str:
    """A word as sets of words compare it: lower case, no blanks at the ends."""
    return word.strip().lower()


def overlap(mined: Iterable[str], names: Iterable[str]) -> Overlap:
    """Compare mined words with true names.

    Args:
        mined: the positives; a word twice counts once.
        names: of the classes; a name twice counts once (ImageNet's 1,000 classes have 998 names).

    Raises:
        ValueError: if a side is empty.

    Example:
        >>> found = overlap(["Cat", "dog", "oak"], ["cat", "horse", "cat"])
        >>> found.hits, found.overlap, round(found.precision, 2), found.f1
        (1, 0.5, 0.33, 0.4)
    """
    sides = {folded(word) for word in mined}, {folded(name) for name in names}
    if not all(sides):
        raise ValueError(f"{len(sides[0])} mined words and {len(sides[1])} names: at least one of each is needed")
    return Overlap(len(sides[0]), len(sides[1]), len(sides[0] & sides[1]))
