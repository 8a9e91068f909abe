"""A corpus of given words, and files of words."""

from dataclasses import dataclass
from pathlib import Path

from ood_lightning.corpora.words import Corpus, Part, Words


@dataclass(frozen=True)
class Listed(Corpus):
    """The words that it is made with."""

    words: tuple[str, ...]
    parts: tuple[Part, ...] | None = None

    def load(self) -> Words:
        return Words("listed", self.words, "a test", self.parts)


def write(name: str, text: str | bytes) -> str:
    """Write a file in the working folder; returns its name."""
    Path(name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return name
