"""NegFilter's rules, and the run that NegRefine released."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle_judge import Always, Oracle, verdicts
from released_decisions import RELEASED

from ood_lightning.errors import SettingsError
from ood_lightning.filtering.asking import JudgeSession
from ood_lightning.filtering.judges.base import Question
from ood_lightning.filtering.judges.replay import ReplayJudge
from ood_lightning.filtering.rules import Rules, Verdict, clean, cleaned, negfilter


def one_by_one(words: list[Verdict], nearest: list[list[str]], yes: set[Question]) -> list[tuple[str, str, str]]:
    """The paper's loop: one word after the other, the first yes ends it."""
    outcomes = []
    for verdict, names in zip(words, nearest, strict=True):
        outcome = ("kept", "")
        if Question(verdict.word) in yes:
            outcome = ("proper noun", "")
        else:
            for name in names:
                if verdict.word == name:
                    outcome = ("the same", name)
                    break
                if Question(verdict.word, name) in yes:
                    outcome = ("subcategory", name)
                    break

        outcomes.append((verdict.word, *outcome))

    return outcomes


def test_the_first_yes_ends_a_word_and_nothing_more_is_asked_about_it():
    judge = Oracle([Question("oslo"), Question("tabby", "cat"), Question("pug", "dog"), Question("pug", "cat")])
    words = verdicts("oslo", "tabby", "pug", "sofa", "dog")
    nearest = [["cat", "dog"], ["dog", "cat"], ["dog", "cat"], ["cat", "dog"], ["dog", "cat"]]

    outcomes = negfilter(words, nearest, JudgeSession(judge, None))

    assert [(v.word, v.reason, v.name) for v in outcomes] == [
        ("oslo", "proper noun", ""), ("tabby", "subcategory", "cat"), ("pug", "subcategory", "dog"),
        ("sofa", "kept", ""), ("dog", "the same", "dog"),
    ]  # fmt: skip
    assert set(judge.questions) == {
        *(Question(word) for word in ("oslo", "tabby", "pug", "sofa", "dog")), Question("tabby", "dog"),
        Question("tabby", "cat"), Question("pug", "dog"), Question("sofa", "cat"), Question("sofa", "dog"),
    }  # fmt: skip
    assert len(judge.questions) == 10


def test_words_may_have_different_numbers_of_names():
    """The one with more names goes on after the other, whose last name is the word itself."""
    nearest = [["cat"], ["cat", "dog"], []]
    outcomes = negfilter(
        verdicts("cat", "pug", "sofa"), nearest, lambda questions: [q.name == "dog" for q in questions]
    )
    assert [(v.reason, v.name) for v in outcomes] == [("the same", "cat"), ("subcategory", "dog"), ("kept", "")]


PAIRS = st.sampled_from([Question(w, n) for w in "abcdef" for n in (None, *"abxy")])


@given(st.sets(PAIRS), st.lists(st.permutations("abxy").flatmap(lambda p: st.just(p[:3])), min_size=6, max_size=6))
@settings(deadline=None)
def test_rounds_decide_as_one_word_after_another(yes: set[Question], nearest: list[list[str]]):
    words = verdicts(*"abcdef")
    outcomes = negfilter(words, nearest, lambda questions: [question in yes for question in questions])
    assert [(v.word, v.reason, v.name) for v in outcomes] == one_by_one(words, nearest, yes)


@given(st.lists(st.text(max_size=8), max_size=20))
@settings(deadline=None, max_examples=50)
def test_cleaning_keeps_letters_and_first_appearances(words: list[str]):
    kept, dropped = cleaned(words)

    texts = [verdict.word for verdict in kept]
    assert texts == list(dict.fromkeys(text for text in map(clean, words) if len(text) > 2))
    assert len(kept) + len(dropped) == len(words)
    assert all(text == clean(text) and verdict.original in words for text, verdict in zip(texts, kept, strict=True))

    again, none = cleaned(texts)
    assert ([verdict.word for verdict in again], none) == (texts, [])

    by_hash, _ = cleaned(words, hash_order=True)
    assert sorted(by_hash) == sorted(kept)


def test_cleaning_by_hand():
    kept, dropped = cleaned(["bird's nest fern", "10 Downing St.", "ox", "10 downing st", "9 Downing St", "été", "4x4"])
    assert [(v.word, v.original) for v in kept] == [
        ("birds nest fern", "bird's nest fern"), ("Downing St", "10 Downing St."), ("downing st", "10 downing st"),
        ("été", "été"),
    ]  # fmt: skip
    assert dropped == [
        Verdict("ox", "ox", "too short"), Verdict("Downing St", "9 Downing St", "repeated"),
        Verdict("x", "4x4", "too short"),
    ]  # fmt: skip


def test_all_no_keeps_the_cleaned_list_and_all_yes_leaves_nothing():
    words = verdicts("ape", "bee", "cow")
    nearest = [["cat"]] * 3
    assert negfilter(words, nearest, JudgeSession(Always(False), None)) == words
    assert {v.reason for v in negfilter(words, nearest, JudgeSession(Always(True), None))} == {"proper noun"}
    assert negfilter([], [], JudgeSession(Always(True), None)) == []


def test_rules_that_make_no_sense_are_refused():
    with pytest.raises(SettingsError, match="nearest is 0"):
        Rules(nearest=0)
    with pytest.raises(SettingsError, match="unclear is 'yes': expected 'stop' or 'no'"):
        Rules(unclear="yes")  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.skipif(not RELEASED.is_dir(), reason=f"no released label sets at {RELEASED}: set REFERENCE_DIR")
@pytest.mark.parametrize(
    ("part", "kept", "proper", "kinds"), [("noun", 4998, 1748, 275), ("adj", 1372, 0, 32)], ids=["nouns", "adjectives"]
)
def test_the_released_decisions_give_the_released_labels(part: str, kept: int, proper: int, kinds: int):
    """One released label ends in a blank, which is cut here: 'biosafety level 4' without its digit."""
    judge = ReplayJudge([str(RELEASED / f"llm_decisions_{part}.txt.gz")])
    nearest: dict[str, list[str]] = {}
    for question in judge.decisions:
        nearest.setdefault(question.word, []).extend([question.name] if question.name else [])

    initial = lines(RELEASED / f"initial_neg_labels_{part}.txt")
    words, dropped = cleaned(initial)
    assert len(words) == len(nearest) == {"noun": 7021, "adj": 1404}[part]
    assert len(dropped) == len(initial) - len(words)

    expected = [" ".join(line.split()) for line in lines(RELEASED / f"neg_labels_{part}.txt")]
    outcomes = negfilter(words, [nearest[v.word] for v in words], JudgeSession(judge, None))
    assert sorted(v.word for v in outcomes if v.reason == "kept") == sorted(expected)
    reasons = [v.reason for v in outcomes]
    assert (len(expected), reasons.count("proper noun"), reasons.count("subcategory")) == (kept, proper, kinds)

    in_released_order = negfilter(verdicts(*nearest), list(nearest.values()), JudgeSession(judge, None))
    assert [v.word for v in in_released_order if v.reason == "kept"] == expected


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


@pytest.mark.parametrize(
    ("stages", "reasons"),
    [
        ({}, ["proper noun", "subcategory", "the same"]),
        ({"proper_nouns": False}, ["kept", "subcategory", "the same"]),
        ({"subcategories": False}, ["proper noun", "kept", "kept"]),
        ({"proper_nouns": False, "subcategories": False}, ["kept", "kept", "kept"]),
    ],
)
def test_each_stage_can_be_switched_off(stages: dict[str, bool], reasons: list[str]):
    yes = {Question("costa rica"), Question("african daisy", "daisy")}
    words = [Verdict(word, word, "kept") for word in ("costa rica", "african daisy", "daisy")]
    outcomes = negfilter(
        words, [["daisy"]] * 3, lambda asked_now: [question in yes for question in asked_now], **stages
    )
    assert [verdict.reason for verdict in outcomes] == reasons
