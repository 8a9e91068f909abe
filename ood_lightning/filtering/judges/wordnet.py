"""WordNetJudge: no model at all, only WordNet's graph.

A word is a proper noun if its most frequent sense is an instance (a city, a star), if WordNet writes it with capitals
in all its senses and none of them is a taxon ('Malayalam', but not 'Asphodelaceae'), or if it names a genus outright
('genus Ginkgo'). It is a subcategory of a name if its most frequent sense lies below, or is, any sense of the name.

Differs: NegRefine (https://arxiv.org/abs/2507.09795) asks a language model. Where the rules leave a choice (most
frequent or any sense, taxa, genera), it was made on that paper's released decisions for ImageNet-1K; docs/filter.md has
the table.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Annotated, ClassVar

from ood_lightning.filtering.judges.base import Answer, Judge, Question
from ood_lightning.filtering.rules import clean
from ood_lightning.places import expanded
from ood_lightning.ranges import Range
from ood_lightning.wordnet.graph import NounGraph, frozen_graph, read_wndb

SMALL_WORDS = {"a", "an", "and", "at", "de", "des", "du", "for", "in", "la", "of", "on", "the", "to"}


class Index:
    """A noun graph that is searched by words as a filter cleans them: 'birds nest fern' finds `bird's_nest_fern`.

    Args:
        graph: synsets are numbers in it.
    """

    def __init__(self, graph: NounGraph) -> None:
        self.graph = graph
        self._senses: dict[str, list[int]] = {}  # synsets of a cleaned word, the most frequent first
        for lemma, synsets in graph.senses.items():
            self._senses.setdefault(bare(lemma), []).extend(synsets)

        self._above = cache(self._find_above)
        self._name_senses = cache(self._find_name_senses)
        self._word_sense = cache(self._find_word_sense)
        self._taxa = frozenset(graph.senses.get("taxonomic_group", ()))

    def is_proper(self, word: str) -> bool:
        """Whether a word is a proper noun."""
        word = bare(word)
        if word.startswith("genus "):
            return True

        senses = self._senses.get(word, [])
        if not senses:
            return False

        lemmas = {sense: next(lemma for lemma in self.graph.lemmas[sense] if bare(lemma) == word) for sense in senses}
        return bool(self.graph.instance_of[senses[0]]) or all(
            capitalised(lemma) and not self._above(sense) & self._taxa for sense, lemma in lemmas.items()
        )

    def is_kind(self, word: str, name: str, cousins: int) -> bool:
        """Whether a word is a kind of what a name means; see :class:`WordNetJudge` for `cousins`."""
        sense = self._word_sense(word)
        if sense is None:
            return False

        above = self._above(sense)
        name_senses = self._name_senses(name)
        if above & name_senses:
            return True

        parents = {parent for name_sense in name_senses for parent in self.graph.hypernyms[name_sense]}
        return cousins > 0 and any(self._n_kinds[parent] <= cousins for parent in (above & parents) - {sense})

    @cached_property
    def _n_kinds(self) -> Counter[int]:
        """Number of synsets below each synset, itself included."""
        return Counter(above for synset in range(len(self.graph.lemmas)) for above in self._above(synset))

    def _find_above(self, synset: int) -> frozenset[int]:
        """The synset and all above it: what it is a kind or an instance of, what that is a kind of, and so on."""
        parents = (*self.graph.hypernyms[synset], *self.graph.instance_of[synset])
        return frozenset({synset}).union(*map(self._above, parents))

    def _known(self, text: str) -> list[int]:
        """Senses of a text or its singular, the most frequent first."""
        return next((self._senses[form] for form in singulars(bare(text)) if form in self._senses), [])

    def _find_word_sense(self, word: str) -> int | None:
        """Most frequent sense of a phrase, or of its longest ending that WordNet knows: 'shaggy collie' is a collie."""
        words = bare(word).split()
        for start in range(len(words)):
            if senses := self._known(" ".join(words[start:])):
                return senses[0]

        return None

    def _find_name_senses(self, name: str) -> frozenset[int]:
        """All senses that an ID name may have.

        A name that WordNet does not know is read as 'a or b', 'a / b', 'a (remark)', or as a word and its class:
        'crane bird' is the crane that is a bird.
        """
        if senses := self._known(name):
            return frozenset(senses)

        name = re.sub(r"\(.*?\)", " ", name)
        choices = [choice for choice in re.split(r"/|\bor\b", name) if choice.strip()]
        if senses := [sense for choice in choices for sense in self._known(choice)]:
            return frozenset(senses)

        words = bare(name).split()
        for split in range(len(words) - 1, 0, -1):
            classes = set(self._known(" ".join(words[split:])))
            if kinds := [sense for sense in self._known(" ".join(words[:split])) if self._above(sense) & classes]:
                return frozenset(kinds)

        return frozenset()


@dataclass(frozen=True)
class WordNetJudge(Judge):
    """Answers from WordNet 3.0's nouns, offline and at once.

    Args:
        folder: with WordNet's `data.noun` and `index.noun`, such as /usr/share/wordnet or nltk's `corpora/wordnet`;
            None takes the graph that comes with this package.
        cousins: with 0, a subcategory is what WordNet's graph says. Above 0, a word counts as a subcategory of a name
            too if it lies below a direct hypernym of the name, and that hypernym has at most this many synsets below
            it, itself included. This finds more of what a language model calls a subcategory, and more of what it does
            not.
    """

    llm: ClassVar[bool] = False
    remembered: ClassVar[bool] = False
    folder: str | None = None
    cousins: Annotated[int, Range(0, 100)] = 0

    @property
    def identity(self) -> str:
        """Release and options."""
        return f"WordNet {self._index.graph.version}, cousins {self.cousins}"

    def answer(self, questions: Sequence[Question]) -> Iterator[list[tuple[int, Answer]]]:
        """By look-up."""
        index = self._index
        for row, (word, name) in enumerate(questions):
            yes = index.is_proper(word) if name is None else index.is_kind(word, name, self.cousins)
            yield [(row, Answer(yes))]

    @cached_property
    def _index(self) -> Index:
        return Index(frozen_graph() if self.folder is None else read_wndb(expanded(self.folder)))


def bare(text: str) -> str:
    """Lower-case letters, hyphens and single blanks."""
    return clean(text.replace("_", " ").lower())


def capitalised(lemma: str) -> bool:
    """Whether every word of a lemma begins with a capital letter; words such as 'of' may not.

    Example:
        >>> capitalised("Strait_of_Magellan"), capitalised("Jeffrey_pine")
        (True, False)
    """
    return all(word[:1].isupper() for word in lemma.split("_") if word not in SMALL_WORDS)


def singulars(text: str) -> Iterator[str]:
    """The text itself, then the words whose plural it may be."""
    yield text
    for plural_ending, singular_ending in (("ies", "y"), ("es", ""), ("s", "")):
        if text.endswith(plural_ending):
            yield text.removesuffix(plural_ending) + singular_ending
