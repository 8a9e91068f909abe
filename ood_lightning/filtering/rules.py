"""NegFilter: negatives that are proper nouns, or subcategories of an ID name, are dropped.

Source: NegRefine, ICCV 2025, https://arxiv.org/abs/2507.09795, section 3.1, and its code: cleaning, the ten nearest ID
names by cosine of bare strings, question texts, and the rule that a word's first yes ends it.
Differs: words keep the order of their first appearance, which the code leaves to string hashing; runs of blanks become
one; the k-th questions of all words are asked together, which asks the same questions as one word after another.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from ood_lightning.errors import SettingsError
from ood_lightning.filtering.judges.base import Question
from ood_lightning.ranges import Count, check_ranges

Reason = Literal["kept", "proper noun", "the same", "subcategory", "too short", "repeated", "ID pictures"]
MIN_LENGTH = 3  # characters of a cleaned word; shorter ones are dropped


@dataclass(frozen=True)
class Rules:
    """What NegFilter does with words; the defaults are the paper's.

    Args:
        nearest: the largest number of ID names that a word is compared with, the most similar first.
        cleaned: whether the label set gets the cleaned strings; False puts the original ones back once the questions
            are answered. The report has both.
        hash_order: leave the order to Python's string hashing, as the paper's code does: it changes with each process
            unless PYTHONHASHSEED is set.
        unclear: what an answer that is neither yes nor no does: `stop` ends the run once the other questions
            of the round are answered, `no` counts it as a no, as the paper's code does.
        proper_nouns: whether proper nouns are dropped, the first stage.
        subcategories: whether subcategories of ID names, and the names themselves, are dropped, the second stage.
    """

    nearest: Count = 10
    cleaned: bool = True
    hash_order: bool = False
    unclear: Literal["stop", "no"] = "stop"
    proper_nouns: bool = True
    subcategories: bool = True

    def __post_init__(self) -> None:
        check_ranges(type(self), vars(self))  # with a base class the parser would offer no key for each setting
        if self.unclear not in ("stop", "no"):
            raise SettingsError(f"unclear is {self.unclear!r}: expected 'stop' or 'no'")


class Verdict(NamedTuple):
    """Whether one word is kept, and why not.

    Attributes:
        word: cleaned.
        original: before cleaning.
        reason: `kept`, or why it was dropped.
        name: the ID name that the word equals or is a subcategory of; empty for other reasons.
    """

    word: str
    original: str
    reason: Reason
    name: str = ""


def clean(word: str) -> str:
    """A word without anything but letters, `_`, `-` and single blanks.

    Example:
        >>> clean("bird's nest fern"), clean("10 Downing Street")
        ('birds nest fern', 'Downing Street')
    """
    kept = (c for c in word if c.isalpha() or c in "_- ")
    return " ".join("".join(kept).split())


def cleaned(words: Sequence[str], hash_order: bool = False) -> tuple[list[Verdict], list[Verdict]]:
    """Words to judge, and those that cleaning drops.

    Args:
        words: candidates, in order.
        hash_order: order the words to judge as a set of strings does.
    """
    kept: dict[str, Verdict] = {}
    dropped = []
    for original in words:
        word = clean(original)
        if len(word) < MIN_LENGTH:
            dropped.append(Verdict(word, original, "too short"))
        elif word in kept:
            dropped.append(Verdict(word, original, "repeated"))
        else:
            kept[word] = Verdict(word, original, "kept")

    return [kept[word] for word in (set(kept) if hash_order else kept)], dropped


def negfilter(
    words: Sequence[Verdict],
    nearest: Sequence[Sequence[str]],
    ask: Callable[[Sequence[Question]], Sequence[bool]],
    proper_nouns: bool = True,
    subcategories: bool = True,
) -> list[Verdict]:
    """The verdict on every word, in their order.

    Args:
        words: distinct cleaned words.
        nearest: ID names that each word is compared with, the most similar first.
        ask: answers distinct questions, in their order.
        proper_nouns: see :class:`Rules`.
        subcategories: see :class:`Rules`.
    """
    verdicts = list(words)
    for row, is_proper in enumerate(ask([Question(verdict.word) for verdict in words]) if proper_nouns else []):
        if is_proper:
            verdicts[row] = words[row]._replace(reason="proper noun")

    for rank in range(max(map(len, nearest), default=0) if subcategories else 0):
        to_ask = []
        for row, (verdict, names) in enumerate(zip(verdicts, nearest, strict=True)):
            if verdict.reason != "kept" or rank >= len(names):
                continue
            if verdict.word == names[rank]:
                verdicts[row] = verdict._replace(reason="the same", name=names[rank])
            else:
                to_ask.append((row, names[rank]))

        if not to_ask:
            break

        questions = [Question(words[row].word, name) for row, name in to_ask]
        for (row, name), is_subcategory in zip(to_ask, ask(questions), strict=True):
            if is_subcategory:
                verdicts[row] = words[row]._replace(reason="subcategory", name=name)

    return verdicts
