"""What every corpus yields: a named list of words in a fixed order, and the same from a person's own text file."""

import hashlib
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

from ood_lightning.errors import CorpusError
from ood_lightning.places import expanded
from ood_lightning.ranges import Ranged
from ood_lightning.spelling import first_synonym, one_text, synset_of
from ood_lightning.text_files import lines_of, read_text

log = logging.getLogger(__name__)

Part = Literal["noun", "adj"]
PARTS: tuple[Part, ...] = get_args(Part)


@dataclass(frozen=True)
class Words:
    """Distinct words or phrases. Their order counts: rows of text features and ties in an arg-max follow it.

    Args:
        name: short, for file names and tables.
        words: no empty ones, no blanks at either end, no line breaks, no duplicates.
        source: where they were read, for a person.
        parts: of speech, one for each word; None where nobody knows.
        counts: how often each word stands in the corpus, 1 or more; None: each once. However often it stands there, a
            word has one row of features and one vote. Where the negatives of a label set are the rest of the corpus,
            its row is repeated, so that it counts as often in every sum; a positive counts once, and leaves no copy
            among the negatives.
        supervision: what they know beside a language, such as `llm`; label sets of them say so.

    Raises:
        CorpusError: if there are no words, or one breaks the rules above.
    """

    name: str
    words: tuple[str, ...]
    source: str
    parts: tuple[Part, ...] | None = None
    counts: tuple[int, ...] | None = None
    supervision: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.words:
            raise CorpusError(f"corpus {self.name!r} from {self.source} holds no words: at least one is needed")

        seen: set[str] = set()
        for row, word in enumerate(self.words):
            if not word or word != word.strip() or "\n" in word:
                raise CorpusError(
                    f"corpus {self.name!r}, word {row}: {word!r} is empty, has a blank at an end or breaks the line. "
                    f"Strip it before building Words."
                )
            if word in seen:
                raise CorpusError(f"corpus {self.name!r}, word {row}: {word!r} came before. Use distinct() first.")
            seen.add(word)

        if self.parts is not None and len(self.parts) != len(self.words):
            raise CorpusError(
                f"corpus {self.name!r} has {len(self.words)} words and {len(self.parts)} parts of speech: expected one "
                f"a word"
            )

        if self.counts is not None:
            if len(self.counts) != len(self.words) or min(self.counts) < 1:
                raise CorpusError(
                    f"corpus {self.name!r} has {len(self.words)} words and {len(self.counts)} counts, the smallest "
                    f"{min(self.counts, default=0)}: expected one of 1 or more a word"
                )
            if max(self.counts) == 1:
                object.__setattr__(self, "counts", None)

    def __len__(self) -> int:
        return len(self.words)

    @cached_property
    def sha256(self) -> str:
        """Of the words joined by line feeds, in UTF-8: equal only for the same words and counts in the same order.

        Where a word stands there more than once, all counts follow after an empty line.
        """
        counts = "" if self.counts is None else "\n\n" + " ".join(map(str, self.counts))
        return hashlib.sha256(("\n".join(self.words) + counts).encode()).hexdigest()

    @property
    def times(self) -> tuple[int, ...]:
        """How often each word stands in the corpus."""
        return self.counts or (1,) * len(self.words)

    @cached_property
    def adjectives(self) -> frozenset[str]:
        """The words that are known to be adjectives."""
        return frozenset(word for word, part in zip(self.words, self.parts or (), strict=False) if part == "adj")

    @cached_property
    def adjectives_sha256(self) -> str:
        """Of the adjectives in the corpus's order, joined by line feeds, in UTF-8."""
        return hashlib.sha256("\n".join(w for w in self.words if w in self.adjectives).encode()).hexdigest()


class Corpus(Ranged, ABC):
    """A place that words come from. A config names a subclass by its class path; there is no other registry."""

    def true_names(self) -> list[str] | None:
        """Names of the ID classes that it was given beside its words; None where nobody names a class."""
        return None

    @abstractmethod
    def load(self) -> Words:
        """Read the words. Called twice, it yields the same ones.

        Raises:
            CorpusError: if they cannot be read; the message says what to do.
        """


def distinct(words: Iterable[str]) -> tuple[str, ...]:
    """The words without later duplicates, in the order of first appearance."""
    return tuple(dict.fromkeys(words))


def kept(cells: Sequence[str], source: str, unit: str, *, lower: bool) -> tuple[str, ...]:
    """The distinct words among cells that may be empty, what was left out counted in the log.

    Runs of blanks, no-break ones too, become one, and letters are composed (NFC): to a tokenizer they are one text. Of
    a line of ImageNet's lists of synsets, `n01440764 tench, Tinca tinca`, the first synonym is taken, which is said.

    Args:
        cells: as they stand in the file.
        source: kind and path of the file that holds them.
        unit: what a cell is, such as `line`.
        lower: lower-case the words.

    Raises:
        CorpusError: if there are none.
    """
    texts = [one_text(first_synonym(cell)) for cell in cells]
    filled = [text.lower() if lower else text for text in texts if text]
    if not filled:
        raise CorpusError(f"{source} holds no words: write one word or phrase per {unit}.")

    if synset_lines := [cell for cell in cells if synset_of(cell)]:
        log.warning(
            "%s: %d %ss are of ImageNet's list of synsets, read as their first synonym, such as %r",
            *(source, len(synset_lines), unit, synset_lines[0]),
        )
    words = distinct(filled)
    n_empty, n_twice = len(cells) - len(filled), len(filled) - len(words)
    log.info("%s: %d words; left out %d empty %ss and %d duplicates", source, len(words), n_empty, unit, n_twice)
    return words


def compare_size(source: str, n: int, published: str, expected: int) -> None:
    """Warn in the log where a source does not give as many words as the published one does."""
    if n != expected:
        log.warning(
            "%s gives %d words; %s gives %d. Compare results only where the corpus is equal.",
            *(source, n, published, expected),
        )


@dataclass(frozen=True)
class WordFile(Corpus):
    """A text file with one word or phrase per line, in UTF-8.

    Blanks at the ends are cut and runs of blanks become one; empty lines and duplicates are left out and counted in the
    log.

    Args:
        path: of the file; ``~`` is the home folder.
        lower: lower-case the words, as the WordNet corpora are. CLIP's tokenizers do it anyway, so ``Crane`` and
            ``crane`` would be one text under two names.
    """

    path: str
    lower: bool = True

    def load(self) -> Words:
        """Read the file.

        Raises:
            CorpusError: if it is missing, is no file, is not UTF-8 (names the line) or holds no words.
        """
        path = expanded(self.path)
        lines = lines_of(read_text(path, "word file", CorpusError))
        words = kept([line.strip() for line in lines], f"word file {path}", "line", lower=self.lower)
        return Words(path.stem, words, str(path))
