"""Phrases for adjectives: CSP's pool of things that an adjective might describe.

Source: Chen et al., NeurIPS 2024, https://arxiv.org/abs/2410.08611 (CSP) and its code: each adjective is joined to one
    of 14 broad nouns, drawn at random.
Differs: a phrase that is one of the nouns already (`natural object`) is left out, since a word stands in a corpus once.
"""

import logging
import random
from dataclasses import dataclass

from ood_lightning.corpora.words import Corpus, Part, Words
from ood_lightning.errors import CorpusError
from ood_lightning.ranges import Seed

log = logging.getLogger(__name__)

BROAD_NOUNS = (
    *("environment", "space", "object", "scene", "place", "item", "area", "view", "thing", "pattern", "structure"),
    *("landscape", "vista", "creature"),
)


@dataclass(frozen=True)
class Conjugated(Corpus):
    """A corpus whose adjectives become phrases such as `red pattern`; its nouns and the order do not change.

    Args:
        corpus: that tells nouns from adjectives.
        seed: of the draws, one for each adjective in the corpus's order; 0 in the official code.
    """

    corpus: Corpus
    seed: Seed = 0

    def load(self) -> Words:
        """Read the corpus and draw.

        Raises:
            CorpusError: if the corpus does not know its adjectives, or cannot be read.
        """
        words = self.corpus.load()
        if words.parts is None or "adj" not in words.parts:
            raise CorpusError(
                f"corpus {words.name!r} marks no word as an adjective, so there is nothing to join to a noun: give one "
                f"that does, such as ood_lightning.corpora.lexicographer.Lexicographer"
            )

        nouns = set(words.words) - words.adjectives
        draw = random.Random(self.seed)  # as the official code's random.seed(0), but for this corpus alone
        parts: dict[str, Part] = {}
        counts: dict[str, int] = {}

        for word, part, count in zip(words.words, words.parts, words.times, strict=True):
            text = word if part == "noun" else f"{word} {draw.choice(BROAD_NOUNS)}"
            if part == "noun" or text not in nouns:
                parts[text], counts[text] = part, count

        log.info("%s: left out %d phrases that are nouns of the corpus", words.name, len(words) - len(parts))
        return Words(
            name=f"{words.name}_conjugated",
            words=tuple(parts),
            source=f"{words.source}, adjectives joined to nouns with seed {self.seed}",
            parts=tuple(parts.values()),
            counts=tuple(counts.values()),
        )
