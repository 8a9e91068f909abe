"""NegFilter: negatives that are proper nouns, or subcategories of an ID name, are dropped.

Source: NegRefine, ICCV 2025, https://arxiv.org/abs/2507.09795, section 3.1, and its code: cleaning, the ten nearest ID
names by cosine of bare strings, question texts, and the rule that a word's first yes ends it.
Differs: words keep the order of their first appearance, which the code leaves to string hashing; runs of blanks become
one; the k-th question of all words is put at once, which asks the same questions as one word after another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from ood_lightning.errors import SettingsError
from ood_lightning.filtering.judges.base import Question

Reason = Literal["kept", "proper noun", "the same", "subcategory", "too short", "repeated"]
SHORTEST = 3  # letters that a cleaned word has at least


@dataclass(frozen=True)
class Rules:
    """What NegFilter does with words; the defaults are the paper's.

    Args:
        nearest: ID names that a word is compared with at most, from the most similar on.
        cleaned: cleaned strings replace the originals in the label set; the report has both. False puts the originals
            back once the questions are answered.
        hash_order: leave the order to Python's string hashing, as the paper's code does: another one in each process,
            unless PYTHONHASHSEED is set.
        unclear: what an answer that is neither yes nor no does: `stop` ends the run once the other questions
            of the round are answered, `no` takes it for a no, as the paper's code does.
    """

    nearest: int = 10
    cleaned: bool = True
    hash_order: bool = False
    unclear: Literal["stop", "no"] = "stop"

    def __post_init__(self) -> None:
        if self.nearest < 1:
            raise SettingsError(f"nearest is {self.nearest}: expected at least one ID name to compare a word with")
        if self.unclear not in ("stop", "no"):
            raise SettingsError(f"unclear is {self.unclear!r}: expected 'stop' or 'no'")


class Verdict(NamedTuple):
    """What became of one word, and why."""

    word: str
    original: str
    reason: Reason
    name: str = ""  # the ID name of which the word is a subcategory, or which it equals


def clean(word: str) -> str:
    """Letters, `_`, `-` and single blanks.

    >>> clean("bird's nest fern"), clean("10 Downing Street")
    ('birds nest fern', 'Downing Street')
    """
    return " ".join("".join(c for c in word if c.isalpha() or c in "_- ").split())


def cleaned(words: Sequence[str], hash_order: bool = False) -> tuple[list[Verdict], list[Verdict]]:
    """Words to judge, and those that cleaning drops.

    Args:
        words: candidates, in order.
        hash_order: of the words to judge.
    """
    kept: dict[str, Verdict] = {}
    dropped = []
    for original in words:
        word = clean(original)
        if len(word) < SHORTEST:
            dropped.append(Verdict(word, original, "too short"))
        elif word in kept:
            dropped.append(Verdict(word, original, "repeated"))
        else:
            kept[word] = Verdict(word, original, "kept")
    return [kept[word] for word in (set(kept) if hash_order else kept)], dropped


def negfilter(
    words: Sequence[Verdict], nearest: Sequence[Sequence[str]], ask: Callable[[Sequence[Question]], Sequence[bool]]
) -> list[Verdict]:
    """The verdict on every word, in their order.

    Args:
        words: distinct cleaned words.
        nearest: ID names that each word is compared with, the most similar first.
        ask: answers distinct questions, in their order.
    """
    verdicts = list(words)
    asked = [Question(verdict.word) for verdict in words]
    alive = []
    for row, proper in enumerate(ask(asked) if asked else []):
        if proper:
            verdicts[row] = words[row]._replace(reason="proper noun")
        else:
            alive.append(row)
    for rank in range(max(map(len, nearest), default=0)):
        pairs = [(row, nearest[row][rank]) for row in alive if rank < len(nearest[row])]
        for row, name in pairs:
            if words[row].word == name:
                verdicts[row] = words[row]._replace(reason="the same", name=name)
        pairs = [(row, name) for row, name in pairs if words[row].word != name]
        if not pairs:
            break
        for (row, name), kind in zip(pairs, ask([Question(words[row].word, name) for row, name in pairs]), strict=True):
            if kind:
                verdicts[row] = words[row]._replace(reason="subcategory", name=name)
        alive = [row for row in alive if verdicts[row].reason == "kept"]
    return verdicts
