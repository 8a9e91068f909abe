"""What a chat model is asked of a group of pictures, and how its answer is read: words, one a line."""

import re
from collections.abc import Collection
from typing import NamedTuple

from ood_lightning.data.remote.thoughts import after_thoughts
from ood_lightning.growing.groups import Group
from ood_lightning.spelling import folded, one_text

SYSTEM = "You name what groups of pictures show. Answer with English nouns only, one a line, and nothing else."
MAX_TOKENS = 200  # of an answer
LONGEST = 60  # characters of a word or phrase; longer ones are sentences
MOST_PARTS = 5  # words of a phrase
_LEAD = re.compile(r"^\s*(?:[-*+\u2022]|\d+\s*[.):])\s*")  # of a list


class Proposed(NamedTuple):
    """The words of an answer.

    Attributes:
        new: in their order, lower-case, distinct.
        known: that the corpus has already.
    """

    new: tuple[str, ...]
    known: tuple[str, ...]


def question(group: Group, n_words: int, with_picture: bool) -> str:
    """What is asked of a group.

    Args:
        group: of pictures.
        n_words: how many words are wanted at most.
        with_picture: a contact sheet goes with it.
    """
    listed = ", ".join(f"{word} ({votes} pictures)" if votes else word for word, votes in group.words)
    sheet = " The picture shows some of them side by side." if with_picture else ""
    return (
        f"Our list of words has no good word for a group of {group.size} similar pictures.{sheet} The nearest words of "
        f"the list are: {listed}. Propose up to {n_words} other English nouns, each of which may name exactly what "
        f"these pictures show. One a line, the likeliest first."
    )


def words_in(answer: str, corpus: Collection[str], n_words: int) -> Proposed:
    r"""The words of an answer: what stands on a line, without the marks of a list; sentences are passed over.

    Args:
        answer: of the model.
        corpus: folded words that are no news.
        n_words: how many to take at most.

    Example:
        >>> words_in("<think>hm</think>1. Zebra\n- **mule**.\nHere are some animals:\nhorse", {"horse"}, 5)
        Proposed(new=('zebra', 'mule'), known=('horse',))
    """
    lines = re.split(r"[\n;]", after_thoughts(answer))
    if len([line for line in lines if line.strip()]) == 1:  # `zebra, mule`
        lines = lines[0].split(",")

    texts = [one_text(_LEAD.sub("", line).strip(" \t*_`\"'.,[]")).lower() for line in lines]
    words = [text for text in dict.fromkeys(texts) if _is_word(text)]
    known = tuple(word for word in words if folded(word) in corpus)
    return Proposed(tuple(word for word in words if folded(word) not in corpus)[:n_words], known)


def _is_word(text: str) -> bool:
    """Whether a text may be a word of a corpus; what could move a terminal's cursor is none."""
    is_plain = text.isprintable() and any(map(str.isalpha, text)) and not text.endswith(":")
    return is_plain and len(text) <= LONGEST and len(text.split()) <= MOST_PARTS
