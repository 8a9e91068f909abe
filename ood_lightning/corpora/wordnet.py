"""WordNet's nouns and adjectives as words: the first lemma of every synset.

Source: Fellbaum (ed.), WordNet, MIT Press 1998, release 3.0. ClusterMine (https://arxiv.org/abs/2511.07068) calls the
result 67K words (nouns) and 79K words (nouns and adjectives); first lemma, lower case and no duplicates is the rule
that gives both numbers.
"""

import hashlib
import logging
import lzma
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal

from ood_lightning.corpora.words import Corpus, Part, Words
from ood_lightning.data.wndb import SYSTEM_FOLDER, synsets, wndb_version
from ood_lightning.errors import CorpusError

log = logging.getLogger(__name__)

EXPECTED = {"noun": 67_186, "noun+adj": 79_403}  # WordNet 3.0
NAMES = {"noun": "wordnet_n", "noun+adj": "wordnet_na"}
FROZEN_SHA256: dict[Part, str] = {  # of the text inside, so that another liblzma does not change it
    "noun": "91d6fd3a7d09b9e7fcb7ca91857e9887efc7f25353a5338bf9e70889bf3924d5",
    "adj": "85f21516e01e03bcf5f5b4fd6a0de60f034804f4a6ca816ab51e058888d62dbc",
}


@dataclass(frozen=True)
class WordNet(Corpus):
    """First lemma of every synset, markers stripped, spaces for underscores, lower case, no duplicates; nouns first.

    67,186 words from the nouns of WordNet 3.0, 79,403 from nouns and adjectives; another count is a warning in the log.
    A word is a string here, not a sense: homographs merge.

    Args:
        parts: of speech; adjectives include satellites.
        source: ``frozen`` reads the lists that come with this package, checked by their SHA-256. ``auto`` does the
            same even where nltk's or a system's WordNet is at hand, so that a run gives the same ``labels.json`` on
            every machine: releases differ (3.1 has 67,244 and 79,471 words), and so would the row numbers.
            ``nltk`` reads nltk's corpus (20 s), ``system`` the database files in $WNSEARCHDIR or /usr/share/wordnet.
    """

    parts: Literal["noun", "noun+adj"] = "noun+adj"
    source: Literal["auto", "nltk", "system", "frozen"] = "auto"

    def __post_init__(self) -> None:
        if self.parts not in EXPECTED:
            raise CorpusError(f"WordNet parts {self.parts!r}: expected one of {', '.join(EXPECTED)}")

    def load(self) -> Words:
        """Read the words.

        Raises:
            CorpusError: if the source is not there (says how to get it) or is damaged.
        """
        parts: tuple[Part, ...] = ("noun", "adj") if self.parts == "noun+adj" else ("noun",)
        match self.source:
            case "auto" | "frozen":
                lemmas, version, place = _frozen(parts), "3.0", "the lists in this package"
            case "nltk":
                lemmas, version, place = _nltk(parts)
            case "system":
                folder = Path(os.environ.get("WNSEARCHDIR", SYSTEM_FOLDER))
                lemmas, version, place = _system(folder, parts), wndb_version(folder), str(folder)
            case _:
                raise CorpusError(f"WordNet source {self.source!r}: expected one of auto, nltk, system, frozen")
        words: dict[str, Part] = {}
        for part in parts:
            for lemma in lemmas[part]:
                words.setdefault(lemma, part)  # a noun that is an adjective too stays a noun
        if len(words) != (expected := EXPECTED[self.parts]):
            log.warning(
                "WordNet %s from %s gives %d words (%s); 3.0 gives %d. Compare results only where the corpus is equal.",
                *(version, place, len(words), self.parts, expected),
            )
        source = f"WordNet {version}, {place}"
        return Words(name=NAMES[self.parts], words=tuple(words), source=source, parts=tuple(words.values()))


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


def _system(folder: Path, parts: Iterable[Part]) -> dict[Part, list[str]]:
    return {part: [lemma for lemma, _ in first_lemmas(folder, part)] for part in parts}


def _frozen(parts: Iterable[Part]) -> dict[Part, list[str]]:
    return {part: frozen_lines(f"wordnet30_{part}.txt.xz", FROZEN_SHA256[part]) for part in parts}


def frozen_lines(name: str, sha256: str) -> list[str]:
    """Lines of a list that comes with this package.

    Args:
        name: of the file.
        sha256: of the text inside it.

    Raises:
        CorpusError: if the file is missing, damaged or changed.
    """
    file = files("ood_lightning.corpora") / "frozen" / name
    try:
        text = lzma.decompress(file.read_bytes())
    except (OSError, lzma.LZMAError) as error:
        raise CorpusError(f"cannot read the word list {file}: {error}. Install ood-lightning again.") from error
    if (found := hashlib.sha256(text).hexdigest()) != sha256:
        raise CorpusError(
            f"the word list {file} has SHA-256 {found[:12]}..., expected {sha256[:12]}...: it was changed. "
            f"Install ood-lightning again; for words of your own use ood_lightning.corpora.words.WordFile."
        )
    return text.decode().splitlines()


def _nltk(parts: Iterable[Part]) -> tuple[dict[Part, list[str]], str, str]:
    from nltk.corpus import wordnet  # 2 s, and only this source needs it

    try:
        lemmas = {
            part: [clean(s.lemma_names()[0]) for s in wordnet.all_synsets({"noun": "n", "adj": "a"}[part])]
            for part in parts
        }
        return lemmas, str(wordnet.get_version()), f"nltk, {wordnet.root}"
    except (LookupError, OSError, ValueError) as error:
        reason = next((line.strip(" *.") for line in str(error).splitlines() if line.strip(" *")), type(error).__name__)
        raise CorpusError(
            f"nltk cannot read its WordNet: {reason}. Get it (`python -m nltk.downloader wordnet`), let $NLTK_DATA "
            f"name the folder above corpora/wordnet, owned by you and not group-writable; or take `source: frozen`."
        ) from error
