"""Several corpora as one."""

import logging
from dataclasses import dataclass

from ood_lightning.corpora.words import Corpus, Part, Words
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

        first, *others = [corpus.load() for corpus in self.corpora]
        for words in others:
            first = appended(first, words)
        return first


def appended(first: Words, second: Words, name: str = "") -> Words:
    """The first words and those of the second that are new, compared in lower case; the first keep their order.

    Args:
        first: kept as they are.
        second: appended where missing.
        name: of the result; both names joined if empty.
    """
    taken = {word.lower() for word in first.words}
    new: dict[str, Part | None] = {}
    counts = list(first.times)

    for word, part, count in zip(second.words, second.parts or (None,) * len(second), second.times, strict=True):
        if word.lower() not in taken:
            taken.add(word.lower())
            new[word] = part
            counts.append(count)

    log.info(
        "%d words of %s and %d of %s; %d were there before",
        *(len(first), first.name, len(new), second.name, len(second) - len(new)),
    )
    known = [part for part in new.values() if part is not None]
    parts = (*first.parts, *known) if first.parts is not None and len(known) == len(new) else None
    source = f"{first.source}; {second.source}"
    return Words(name or f"{first.name}+{second.name}", (*first.words, *new), source, parts, tuple(counts))
