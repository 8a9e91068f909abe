"""Words of WordNet 3.0: the first lemma of every noun and adjective synset, lower-cased, each once.

Read from the plain data files (`data.noun`, `data.adj`; Debian package wordnet-base), so that the order is that of
the files and needs no library.
"""

from __future__ import annotations

import re
from pathlib import Path

PARTS = ("noun", "adj")


def lemmas_of(line: str) -> list[str]:
    """All lemmas of one line of a WordNet data file, without syntactic markers such as ``(a)``."""
    fields = line.split(" ")
    n_words = int(fields[3], 16)
    return [re.sub(r"\((a|p|ip)\)$", "", fields[4 + 2 * i]).replace("_", " ") for i in range(n_words)]


def synsets(folder: Path, part: str) -> list[list[str]]:
    """The lemmas of every synset of one part of speech, in the order of the file.

    Args:
        folder: holds ``data.noun`` and ``data.adj``.
        part: ``noun`` or ``adj``.
    """
    text = (folder / f"data.{part}").read_text(encoding="utf-8", errors="replace")
    return [lemmas_of(line) for line in text.splitlines() if line and not line.startswith("  ")]


def corpus(folder: Path) -> list[str]:
    """First lemmas, lower-cased, duplicates dropped: 79,403 words for WordNet 3.0."""
    return list(dict.fromkeys(lemmas[0].lower() for part in PARTS for lemmas in synsets(folder, part)))


def all_lemmas(folder: Path) -> set[str]:
    """Every lemma, not only the first ones: says whether a name is a dictionary word."""
    return {lemma.lower() for part in PARTS for lemmas in synsets(folder, part) for lemma in lemmas}
