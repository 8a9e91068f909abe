"""A corpus less the words of a list."""

import logging
from dataclasses import dataclass

from ood_lightning.corpora.words import Corpus, WordFile, Words
from ood_lightning.errors import CorpusError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Without(Corpus):
    """The corpus without the words of a stop list, compared in lower case; the others keep their order.

    Args:
        corpus: to take them from.
        path: of the stop list, a text file with one word or phrase per line.
    """

    corpus: Corpus
    path: str

    def load(self) -> Words:
        """Read corpus and list.

        Raises:
            CorpusError: if one of them cannot be read, or nothing is left.
        """
        words = self.corpus.load()
        listed = WordFile(self.path).load()
        stop = set(listed.words)

        rows = [i for i, word in enumerate(words.words) if word.lower() not in stop]
        if not rows:
            raise CorpusError(f"corpus {words.name!r} has no word that {self.path} does not list")

        unknown = len(stop - {word.lower() for word in words.words})
        log.info(
            "%s: %d words left out, %d of %s are not in it",
            *(words.name, len(words) - len(rows), unknown, self.path),
        )

        return Words(
            f"{words.name}_without_{listed.name}",
            tuple(words.words[i] for i in rows),
            f"{words.source}; without {self.path}",
            tuple(words.parts[i] for i in rows) if words.parts is not None else None,
            tuple(words.times[i] for i in rows),
            words.supervision,
        )
