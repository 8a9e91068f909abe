"""Several corpora as one."""

import logging
from dataclasses import dataclass
from functools import reduce

from ood_lightning.corpora.words import Corpus, Words, distinct
from ood_lightning.errors import CorpusError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Union(Corpus):
    """The words of the first corpus, then those of the next that are new, and so on; compared in lower case.

    Args:
        corpora: one or more, in the order of their words.
    """

    corpora: list[Corpus]

    def load(self) -> Words:
        """Read all of them.

        Raises:
            CorpusError: if there is none, or one cannot be read.
        """
        if not self.corpora:
            raise CorpusError("a union of no corpora: give at least one")

        return reduce(appended, [corpus.load() for corpus in self.corpora])


def appended(first: Words, second: Words, name: str = "") -> Words:
    """The first words and those of the second that are new, compared in lower case; the first keep their order.

    Args:
        first: kept as they are.
        second: appended where missing.
        name: of the result; both names joined if empty.
    """
    taken = {word.lower() for word in first.words}
    row_of: dict[str, int] = {}
    for row, word in enumerate(second.words):
        row_of.setdefault(word.lower(), row)
    new = [row for word, row in row_of.items() if word not in taken]

    log.info(
        "%d words of %s and %d of %s; %d were there before",
        *(len(first), first.name, len(new), second.name, len(second) - len(new)),
    )
    parts = (
        (*first.parts, *((second.parts or ())[row] for row in new))
        if first.parts is not None and (second.parts is not None or not new)
        else None
    )
    return Words(
        name=name or f"{first.name}+{second.name}",
        words=(*first.words, *(second.words[row] for row in new)),
        source=f"{first.source}; {second.source}",
        parts=parts,
        counts=(*first.times, *(second.times[row] for row in new)),
        supervision=distinct((*first.supervision, *second.supervision)),
    )
