"""WordNet's nouns and adjectives as words: the first lemma of every synset, or all of them.

Source: Fellbaum (ed.), WordNet, MIT Press 1998, release 3.0. ClusterMine (https://arxiv.org/abs/2511.07068) calls the
result 67K words (nouns) and 79K words (nouns and adjectives); first lemma, lower case and no duplicates is the rule
that gives both numbers. Its Table 6 tries all lemmas, and duplicates, too.
"""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from ood_lightning.corpora.words import PARTS, Corpus, Part, Words, compare_size
from ood_lightning.errors import CorpusError
from ood_lightning.wordnet.database_files import SYSTEM_FOLDER, frozen_text, synsets, wndb_version
from ood_lightning.wordnet.graph import frozen_graph

Counted = dict[str, tuple[int, int]]  # word: how many synsets it heads, how often it is a lemma of one

EXPECTED = {  # words and, with duplicates, entries of WordNet 3.0
    ("noun", "first"): (67_186, 82_115),
    ("noun", "all"): (117_798, 146_347),
    ("noun+adj", "first"): (79_403, 100_271),
    ("noun+adj", "all"): (136_139, 176_351),
}
NAMES = {"noun": "wordnet_n", "noun+adj": "wordnet_na"}
FROZEN_SHA256: dict[Part, str] = {  # of the text inside, so that another liblzma does not change it
    "noun": "91d6fd3a7d09b9e7fcb7ca91857e9887efc7f25353a5338bf9e70889bf3924d5",
    "adj": "85f21516e01e03bcf5f5b4fd6a0de60f034804f4a6ca816ab51e058888d62dbc",
}
ADJ_LEMMAS = "wordnet30_adj_lemmas.txt.xz"  # the nouns' are in the graph
ADJ_LEMMAS_SHA256 = "8feb61e6400dec6934f8e5150adc396f087f4e4b3116111e8f16e3ee16784bcb"  # of the text inside


class Lemmas(NamedTuple):
    """Cleaned lemmas of each part of speech, of which release, and where they were read."""

    by_part: dict[Part, Counted]
    version: str
    origin: str


@dataclass(frozen=True)
class WordNet(Corpus):
    """Lemmas of every synset, markers stripped, spaces for underscores, lower case; nouns first.

    The nouns of WordNet 3.0 give 67,186 words by first lemma and 117,798 by all lemmas, with duplicates 82,115 and
    146,347 entries; nouns and adjectives 79,403 and 136,139 words, 100,271 and 176,351 entries. Another count is a
    warning in the log.

    A word is a string here, not a sense: homographs merge. Of each part of speech words that head a synset come first,
    in WordNet's order; with all lemmas the others follow by the alphabet.

    Args:
        parts: of speech; adjectives include satellites. A word that is both is a noun.
        lemmas: the ``first`` of each synset, or ``all``.
        duplicates: a word counts as often as WordNet has it under `parts` and `lemmas`: see
            :class:`ood_lightning.corpora.words.Words` for what that changes. It is encoded once.
        source: ``frozen`` reads the lists that come with this package, checked by their SHA-256. ``auto`` does the
            same even where nltk's or a system's WordNet is at hand, so that a run gives the same ``labels.json`` on
            every machine: releases differ (3.1 has 67,244 and 79,471 words), and so would the row numbers.
            ``nltk`` reads nltk's corpus (20 s), ``system`` the database files in $WNSEARCHDIR or /usr/share/wordnet.
    """

    parts: Literal["noun", "noun+adj"] = "noun+adj"
    lemmas: Literal["first", "all"] = "first"
    duplicates: bool = False
    source: Literal["auto", "nltk", "system", "frozen"] = "auto"

    def __post_init__(self) -> None:
        if (self.parts, self.lemmas) not in EXPECTED:
            raise CorpusError(
                f"WordNet parts {self.parts!r}, lemmas {self.lemmas!r}: expected one of {', '.join(NAMES)}, and one of "
                f"first, all"
            )

    def load(self) -> Words:
        """Read the words.

        Raises:
            CorpusError: if the source is not there (says how to get it) or is damaged.
        """
        parts = PARTS if self.parts == "noun+adj" else PARTS[:1]
        lemmas = self._read(parts)

        words: dict[str, Part] = {}
        counts: Counter[str] = Counter()
        for part in parts:
            for lemma, (heads, entries) in lemmas.by_part[part].items():
                if n := heads if self.lemmas == "first" else entries:
                    words.setdefault(lemma, part)  # a noun that is an adjective too stays a noun, with all its copies
                    counts[lemma] += n

        size = counts.total() if self.duplicates else len(words)
        expected = EXPECTED[self.parts, self.lemmas][self.duplicates]
        compare_size(f"WordNet {lemmas.version} from {lemmas.origin} ({self.parts})", size, "3.0", expected)

        every = "_all" if self.lemmas == "all" else ""
        duplicates = "_duplicates" if self.duplicates else ""
        return Words(
            name=f"{NAMES[self.parts]}{every}{duplicates}",
            words=tuple(words),
            source=f"WordNet {lemmas.version}, {lemmas.origin}",
            parts=tuple(words.values()),
            counts=tuple(counts[word] for word in words) if self.duplicates else None,
        )

    def _read(self, parts: tuple[Part, ...]) -> Lemmas:
        match self.source:
            case "auto" | "frozen":
                heads_only = self.lemmas == "first" and not self.duplicates
                by_part = {part: _frozen(part, heads_only) for part in parts}
                return Lemmas(by_part, "3.0", "the lists in this package")
            case "nltk":
                return _nltk(parts)
            case "system":
                folder = Path(os.environ.get("WNSEARCHDIR", SYSTEM_FOLDER))
                by_part = {part: counted(synset.lemmas for synset in synsets(folder, part)) for part in parts}
                return Lemmas(by_part, wndb_version(folder), str(folder))
            case _:
                raise CorpusError(f"WordNet source {self.source!r}: expected one of auto, nltk, system, frozen")


def clean(lemma: str) -> str:
    """A lemma as WordNet stores it, ``Attic_fable`` or ``galore(ip)``, as a person writes it."""
    return re.sub(r"\((?:a|p|ip)\)$", "", lemma).replace("_", " ").lower()


def first_lemmas(folder: Path, part: Part) -> Iterator[tuple[str, int]]:
    """The cleaned first lemma of every synset in a WNDB file and its lexicographer file, in the file's order.

    Lemmas come as often as they head a synset.

    Args:
        folder: that holds ``data.noun`` and ``data.adj``.
        part: of speech.

    Raises:
        CorpusError: if the file is missing or a line is cut.
    """
    return ((clean(synset.lemmas[0]), synset.file) for synset in synsets(folder, part))


def counted(of_synsets: Iterable[Sequence[str]]) -> Counted:
    """How many synsets each cleaned lemma heads, and how often it is a lemma of one.

    Lemmas that head a synset come in the synsets' order, then the others by the alphabet.

    Args:
        of_synsets: lemmas of each synset, as stored.
    """
    heads: Counter[str] = Counter()
    entries: Counter[str] = Counter()
    for lemmas in of_synsets:
        cleaned = [clean(lemma) for lemma in lemmas]
        heads[cleaned[0]] += 1
        entries.update(cleaned)
    return {word: (heads[word], entries[word]) for word in (*heads, *sorted(entries.keys() - heads.keys()))}


def _frozen(part: Part, heads_only: bool) -> Counted:
    """Of the lists in this package; `heads_only`: only words that head a synset, counted once."""
    heads = frozen_text(f"wordnet30_{part}.txt.xz", FROZEN_SHA256[part]).splitlines()
    if heads_only:
        return dict.fromkeys(heads, (1, 1))

    if part == "noun":
        lemmas = counted(frozen_graph().lemmas)
        return {word: lemmas[word] for word in (*heads, *lemmas)}  # in WordNet's order, not the graph's

    # lines `HEADS ENTRIES` for the words in `heads`, then `0 ENTRIES WORD` for others
    lines = [line.split(" ", 2) for line in frozen_text(ADJ_LEMMAS, ADJ_LEMMAS_SHA256).splitlines()]
    words = (*heads, *(fields[2] for fields in lines[len(heads) :]))
    return {word: (int(fields[0]), int(fields[1])) for word, fields in zip(words, lines, strict=True)}


def _nltk(parts: Iterable[Part]) -> Lemmas:
    from nltk.corpus import wordnet  # 2 s, and only this source needs it

    try:
        by_part = {  # nltk calls the parts `n` and `a`
            part: counted(synset.lemma_names() for synset in wordnet.all_synsets(part[0])) for part in parts
        }
        return Lemmas(by_part, str(wordnet.get_version()), f"nltk, {wordnet.root}")
    except (LookupError, OSError, ValueError) as error:
        reason = next((line.strip(" *.") for line in str(error).splitlines() if line.strip(" *")), type(error).__name__)
        raise CorpusError(
            f"nltk cannot read its WordNet: {reason}. Get it (`python -m nltk.downloader wordnet`), let $NLTK_DATA "
            f"name the folder above corpora/wordnet, owned by you and not group-writable; or take `source: frozen`."
        ) from error
