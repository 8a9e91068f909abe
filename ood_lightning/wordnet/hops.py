"""How far words are from true names among WordNet's nouns. Needs no torch.

Source: ClusterMine, https://arxiv.org/abs/2511.07068, Figure 5: hops along hypernyms and instance hypernyms, upwards or
downwards.
Differs: ImageNet's classes are synsets; here a name is a text, and every noun synset that has it as a lemma counts.
"""

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

from ood_lightning.functional.overlap import hops
from ood_lightning.spelling import folded
from ood_lightning.wordnet.graph import frozen_graph


class NounHops(NamedTuple):
    """Distances of words to the nearest true name.

    Attributes:
        names: different true names, compared in lower case.
        known: those of them that are nouns of WordNet 3.0.
        bins: words at 0, 1, 2, ... hops, up to the farthest.
        unreachable: words that are no nouns of WordNet 3.0, such as adjectives; all if no name is known.
    """

    names: int
    known: int
    bins: tuple[int, ...]
    unreachable: int

    @property
    def mean(self) -> float | None:
        """Mean hops of the words that can be reached; None where none can."""
        return sum(distance * n for distance, n in enumerate(self.bins)) / sum(self.bins) if self.bins else None


def noun_hops(words: Iterable[str], names: Iterable[str]) -> NounHops:
    """Hops from each word to the nearest true name in WordNet 3.0.

    A text stands for every noun synset that has it as a lemma, in whatever sense: `crane` for the bird and the machine.
    Lemmas are compared in lower case. A distance is the shortest between a synset of the word and one of any name.

    Args:
        words: the positives; a word twice counts twice.
        names: of the classes.
    """
    different = {folded(name) for name in names}
    known = [senses(name) for name in different if senses(name)]
    steps = _steps(frozenset(chain.from_iterable(known)))

    reached = [[far for synset in senses(word) if (far := steps[synset]) is not None] for word in words]
    counts = Counter(min(distances) for distances in reached if distances)
    bins = tuple(counts[distance] for distance in range(max(counts, default=-1) + 1))
    return NounHops(len(different), len(known), bins, unreachable=len(reached) - counts.total())


def senses(text: str) -> tuple[int, ...]:
    """Synsets of the frozen graph that have a text as a lemma, the most frequent sense first."""
    return frozen_graph().senses.get(folded(text).replace(" ", "_"), ())


@lru_cache(maxsize=1)
def _steps(sources: frozenset[int]) -> list[int | None]:
    """Hops of every synset to the nearest source; None where no path leads to one."""
    return hops(frozen_graph().links, sources)
