"""WordNetJudge: no model at all, only WordNet's graph.

A word is a proper noun if its most frequent sense is an instance (a city, a star), if WordNet writes it with capitals
in all its senses and none of them is a taxon ('Malayalam', but not 'Asphodelaceae'), or if it names a genus outright
('genus Ginkgo'). It is a subcategory of a name if its most frequent sense lies below, or is, any sense of the name.

Differs: NegRefine (https://arxiv.org/abs/2507.09795) asks a language model. Where the rules leave a choice (most
frequent or any sense, taxa, genera), it was made on that paper's released decisions for ImageNet-1K; docs/filter.md has
the table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import ClassVar

from ood_lightning.filtering.judges.base import Answer, Judge, Question
from ood_lightning.wordnet.graph import NounGraph, frozen_graph, read_wndb

AT_ONCE = 4096  # questions between two moves of the progress bar
SMALL_WORDS = {"a", "an", "and", "at", "de", "des", "du", "for", "in", "la", "of", "on", "the", "to"}


@dataclass(frozen=True)
class WordNetJudge(Judge):
    """Answers from WordNet 3.0's nouns, offline and at once.

    Args:
        folder: with WordNet's `data.noun` and `index.noun`, such as /usr/share/wordnet or nltk's `corpora/wordnet`;
            None takes the graph that comes with this package.
        cousins: also take a word for a subcategory that shares with the name a direct hypernym of the name which has
            at most this many kinds. 0 keeps to what a subcategory is; above, more of what a language model calls one is
            found, and more that it does not.
    """

    llm: ClassVar[bool] = False
    remembered: ClassVar[bool] = False
    folder: str | None = None
    cousins: int = 0

    @property
    def identity(self) -> str:
        """Release and options."""
        return f"WordNet {self._index.graph.version}, cousins {self.cousins}"

    def answer(self, questions: Sequence[Question]) -> Iterator[list[tuple[int, Answer]]]:
        """By look-up."""
        index = self._index
        for start in range(0, len(questions), AT_ONCE):
            some = questions[start : start + AT_ONCE]
            yield [(start + i, Answer(self._decide(index, question))) for i, question in enumerate(some)]

    def _decide(self, index: Index, question: Question) -> bool:
        if question.name is None:
            return index.is_proper(question.word)
        return index.is_kind(question.word, question.name, self.cousins)

    @cached_property
    def _index(self) -> Index:
        return Index(frozen_graph() if self.folder is None else read_wndb(Path(self.folder).expanduser()))


class Index:
    """A noun graph by words as a filter cleans them: 'birds nest fern' finds `bird's_nest_fern`."""

    def __init__(self, graph: NounGraph) -> None:
        self.graph = graph
        self._senses: dict[str, list[int]] = {}
        self._spelt: dict[tuple[str, int], str] = {}
        for lemma, synsets in graph.senses.items():
            for synset in synsets:
                self._senses.setdefault(bare(lemma), []).append(synset)
        for synset, lemmas in enumerate(graph.lemmas):
            for lemma in lemmas:
                self._spelt.setdefault((bare(lemma), synset), lemma)
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
        return bool(self.graph.instance_of[senses[0]]) or all(
            capitalised(self._spelt[word, sense]) and not self._above(sense) & self._taxa for sense in senses
        )

    def is_kind(self, word: str, name: str, cousins: int = 0) -> bool:
        """Whether a word is a kind of what a name means, or, given `cousins`, of what the name is a kind of."""
        sense, senses = self._word_sense(word), self._name_senses(name)
        if sense is None:
            return False
        above = self._above(sense)
        if above & senses:
            return True
        parents = {parent for one in senses for parent in self.graph.hypernyms[one]}
        return cousins > 0 and any(self._kinds[parent] <= cousins for parent in (above & parents) - {sense})

    @cached_property
    def _kinds(self) -> list[int]:
        """Number of synsets below each, itself included."""
        found = [0] * len(self.graph.lemmas)
        for synset in range(len(found)):
            for above in self._above(synset):
                found[above] += 1
        return found

    def _find_above(self, synset: int) -> frozenset[int]:
        """The synset, all that it is a kind or an instance of, and so on."""
        found, todo = {synset}, [synset]
        while todo:
            at = todo.pop()
            more = {*self.graph.hypernyms[at], *self.graph.instance_of[at]} - found
            found |= more
            todo += more
        return frozenset(found)

    def _known(self, text: str) -> list[int]:
        """Senses of a text or its singular, the most frequent first."""
        return next((self._senses[form] for form in singulars(bare(text)) if form in self._senses), [])

    def _find_word_sense(self, word: str) -> int | None:
        """Most frequent sense of a word, or of the longest end that WordNet knows: a phrase is a kind of its head."""
        words = bare(word).split()
        for start in range(len(words)):
            if senses := self._known(" ".join(words[start:])):
                return senses[0]
        return None

    def _find_name_senses(self, name: str) -> frozenset[int]:
        """All senses that an ID name may have.

        A name that WordNet lacks is read as 'a or b', 'a / b', 'a (remark)', or as a word and its class: 'crane bird'
        is the crane that is a bird.
        """
        if senses := self._known(name):
            return frozenset(senses)
        name = re.sub(r"\(.*?\)", " ", name)
        choices = [choice for choice in re.split(r"/|\bor\b", name) if choice.strip()]
        if found := frozenset(sense for choice in choices for sense in self._known(choice)):
            return found
        words = bare(name).split()
        for cut in range(len(words) - 1, 0, -1):
            classes = set(self._known(" ".join(words[cut:])))
            kinds = [sense for sense in self._known(" ".join(words[:cut])) if self._above(sense) & classes]
            if kinds:
                return frozenset(kinds)
        return frozenset()


def bare(text: str) -> str:
    """Lower-case letters, hyphens and single blanks."""
    return " ".join("".join(c for c in text.replace("_", " ").lower() if c.isalpha() or c in "- ").split())


def capitalised(lemma: str) -> bool:
    """Whether every word of a lemma begins with a capital, small words apart.

    >>> capitalised("Strait_of_Magellan"), capitalised("Jeffrey_pine")
    (True, False)
    """
    return all(word[:1].isupper() for word in lemma.split("_") if word not in SMALL_WORDS)


def singulars(text: str) -> Iterator[str]:
    """A text, then what it may be the plural of."""
    yield text
    for ending, instead in (("ies", "y"), ("es", ""), ("s", "")):
        if text.endswith(ending):
            yield text.removesuffix(ending) + instead
