"""A corpus and the words that were added to it, with where each came from."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from ood_lightning.corpora.union import appended
from ood_lightning.corpora.words import Corpus, Words
from ood_lightning.data.artifacts.typed import STRICT, Count, Text, decode_json
from ood_lightning.errors import CorpusError
from ood_lightning.places import expanded
from ood_lightning.text_files import read_text

Format = Literal["ood_lightning/grown-corpus/1"]
FORMAT: Format = "ood_lightning/grown-corpus/1"
Origin = Literal["model", "person"]


@dataclass(frozen=True)
class Parent:
    """The corpus that was grown."""

    __pydantic_config__: ClassVar = STRICT

    name: Text
    words: Count
    sha256: Text


@dataclass(frozen=True)
class AcceptedWord:
    """A word that a person accepted.

    Args:
        word: as it was accepted.
        group: number of the group of pictures for which it was proposed.
        origin: `model`: as the model proposed it; `person`: edited, or the person's own.
    """

    __pydantic_config__: ClassVar = STRICT

    word: Text
    group: Count
    origin: Origin


@dataclass(frozen=True, kw_only=True)
class GrownFile:
    """What `grown.json` says.

    Args:
        format: of this file.
        parent: the corpus that was grown.
        accepted: words that were added, in their order.
        refused: words that the model proposed and the person did not take.
        model: that was asked.
        replies: each group's question and the model's answer, word for word.
        pictures: fingerprint of the pictures, and the encoder that saw them.
        judgement: what the words did to the ID mass of held-out pictures.
    """

    __pydantic_config__: ClassVar = STRICT

    format: Format
    parent: Parent
    accepted: tuple[AcceptedWord, ...]
    refused: tuple[str, ...]
    model: Text
    replies: tuple[dict[str, Any], ...]
    pictures: dict[str, Any]
    judgement: dict[str, Any]


@dataclass(frozen=True)
class Grown(Corpus):
    """A corpus, and at its end the words that `corpus grow` added; they count as nouns.

    The words are a language model's, so that what is mined from them declares `llm`.

    Args:
        corpus: the one that was grown, kept as it is.
        path: `grown.json`.
    """

    corpus: Corpus
    path: str

    def load(self) -> Words:
        """Read both.

        Raises:
            CorpusError: one of them cannot be read, or the file was grown from another corpus.
        """
        path = expanded(self.path)
        file = decode_json(read_text(path, "grown corpus", CorpusError), GrownFile, str(path), CorpusError)
        words = self.corpus.load()
        if words.sha256 != file.parent.sha256:
            raise CorpusError(
                f"{path} was grown from {file.parent.name} ({file.parent.words:,} words, SHA-256 "
                f"{file.parent.sha256[:12]}...), the corpus is {words.name} ({len(words):,} words, "
                f"{words.sha256[:12]}...): name the one that it was grown from"
            )
        return with_words(words, [accepted.word for accepted in file.accepted], str(path))


def with_words(words: Words, added: list[str], source: str) -> Words:
    """A corpus with words at its end, which are nouns and a language model's.

    Args:
        words: the corpus.
        added: lower-case and distinct.
        source: of these, for a person.
    """
    new = Words("grown", tuple(added), source, tuple("noun" for _ in added), supervision=("llm",))
    return appended(words, new, f"{words.name}_grown")
