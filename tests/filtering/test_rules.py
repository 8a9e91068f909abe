"""NegFilter's rules with judges whose answers one can see, its memory, and the released run."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ood_lightning.errors import SettingsError
from ood_lightning.filtering.asking import JudgeSession, agreement
from ood_lightning.filtering.decisions import Decisions
from ood_lightning.filtering.judges.base import Answer, Judge, JudgeError, Question, wording, yes_or_no
from ood_lightning.filtering.judges.replay import ReplayJudge
from ood_lightning.filtering.rules import Rules, Verdict, clean, cleaned, negfilter

RELEASED = (
    Path(os.environ.get("REFERENCE_DIR") or Path(__file__).parents[3] / "shared" / "reference").resolve() / "negrefine"
)
BATCH = 3


class Oracle(Judge):
    """Says yes to the questions it was given, counts what it is asked, and dies after some."""

    llm: ClassVar[bool] = True
    remembered: ClassVar[bool] = True
    identity = "oracle"

    def __init__(self, yes: Sequence[Question], doubts: Sequence[Question] = (), dies_after: int = 10**9) -> None:
        self.yes, self.doubts, self.dies_after = set(yes), set(doubts), dies_after
        self.asked: list[Question] = []

    def answer(self, questions: Sequence[Question]) -> Iterator[list[tuple[int, Answer]]]:
        for start in range(0, len(questions), BATCH):
            rows = range(start, min(start + BATCH, len(questions)))
            if len(self.asked) >= self.dies_after:
                raise JudgeError("the server is gone")
            self.asked += [questions[row] for row in rows]
            yield [(row, self._answer(questions[row])) for row in reversed(rows)]

    def _answer(self, question: Question) -> Answer:
        return Answer(None, said="Perhaps") if question in self.doubts else Answer(question in self.yes, tokens=2)


class Always(Oracle):
    def __init__(self, yes: bool) -> None:
        super().__init__(())
        self.always = yes

    def _answer(self, question: Question) -> Answer:
        return Answer(self.always)


def verdicts(*words: str) -> list[Verdict]:
    return [Verdict(word, word, "kept") for word in words]


def one_by_one(words: list[Verdict], nearest: list[list[str]], yes: set[Question]) -> list[tuple[str, str, str]]:
    """The paper's loop: a word after the other, the first yes ends it."""
    found = []
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
        found.append((verdict.word, *outcome))
    return found


NEAREST = [["cat", "dog"], ["dog", "cat"], ["dog", "cat"], ["cat", "dog"], ["dog", "cat"]]


def test_the_first_yes_ends_a_word_and_nothing_more_is_asked_about_it():
    judge = Oracle([Question("oslo"), Question("tabby", "cat"), Question("pug", "dog"), Question("pug", "cat")])
    found = negfilter(verdicts("oslo", "tabby", "pug", "sofa", "dog"), NEAREST, JudgeSession(judge, None))
    assert [(v.word, v.reason, v.name) for v in found] == [
        ("oslo", "proper noun", ""), ("tabby", "subcategory", "cat"), ("pug", "subcategory", "dog"),
        ("sofa", "kept", ""), ("dog", "the same", "dog"),
    ]  # fmt: skip
    assert set(judge.asked) == {
        *(Question(word) for word in ("oslo", "tabby", "pug", "sofa", "dog")), Question("tabby", "dog"),
        Question("tabby", "cat"), Question("pug", "dog"), Question("sofa", "cat"), Question("sofa", "dog"),
    }  # fmt: skip
    assert len(judge.asked) == 10


PAIRS = st.sampled_from([Question(w, n) for w in "abcdef" for n in (None, *"abxy")])


@given(st.sets(PAIRS), st.lists(st.permutations("abxy").flatmap(lambda p: st.just(p[:3])), min_size=6, max_size=6))
@settings(deadline=None)
def test_rounds_decide_as_one_word_after_another(yes: set[Question], nearest: list[list[str]]):
    words = verdicts(*"abcdef")
    found = negfilter(words, nearest, lambda questions: [question in yes for question in questions])
    assert [(v.word, v.reason, v.name) for v in found] == one_by_one(words, nearest, yes)


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


def test_the_words_of_the_questions():
    assert wording(Question("oslo"), False) == (
        "Is 'oslo' a proper noun, like the name of a city, country, mountain, river, or any unique place or entity?"
    )
    assert wording(Question("pug", "dog"), False) == "Is 'pug' a subcategory of 'dog'?"
    assert wording(Question("pug", "dog"), True) == "Is 'pug' a subcatgeory of 'dog'?"
    replies = {
        "Yes": True,
        "yes.": True,
        "**No**": False,
        "NO, it": False,
        "Not sure": None,
        "": None,
        "I say yes": None,
    }
    assert {reply: yes_or_no(reply) for reply in replies} == replies


def test_answers_are_kept_and_not_asked_again(tmp_path: Path):
    path = tmp_path / "decisions.jsonl"
    words, nearest = verdicts("oslo", "tabby", "pug", "sofa", "bun"), NEAREST
    yes = [Question("oslo"), Question("tabby", "cat")]
    dying = Oracle(yes, dies_after=6)
    with pytest.raises(JudgeError, match="gone"):
        negfilter(words, nearest, JudgeSession(dying, Decisions(path)))
    assert len(dying.asked) == 8  # batches of 3 and 2, then 3 of the next question; the last batch was never begun
    with path.open("ab") as file:
        file.write(b'{"judge": "oracle", "word": "so')  # killed while writing
    again = Oracle(yes)
    session = JudgeSession(again, Decisions(path))
    found = negfilter(words, nearest, session)
    assert not set(again.asked) & set(dying.asked)
    whole = Oracle(yes)
    assert found == negfilter(words, nearest, JudgeSession(whole, None))
    assert sorted(map(str, again.asked + dying.asked)) == sorted(map(str, whole.asked))
    assert session.cost() == {
        "judge": "oracle", "questions": len(whole.asked), "recalled": 8, "seconds": session.cost()["seconds"],
        "tokens": 2 * len(again.asked),
    }  # fmt: skip
    silent = Oracle(yes)
    assert negfilter(words, nearest, JudgeSession(silent, Decisions(path))) == found  # idempotent with kept answers
    assert silent.asked == []
    assert len(path.read_text().splitlines()) == len(whole.asked)


def test_a_damaged_line_is_named(tmp_path: Path):
    path = tmp_path / "decisions.jsonl"
    Decisions(path).add("oracle", [(Question("a"), Answer(True)), (Question("b", "c"), Answer(False, "No", -1.5))])
    assert Decisions(path).known == {
        "oracle": {Question("a"): Answer(True), Question("b", "c"): Answer(False, "No", -1.5)}
    }
    path.write_text("{}\n" + path.read_text())
    with pytest.raises(JudgeError, match=r"line 1: .* is no decision \('word'\)\. Delete the line"):
        Decisions(path)


def test_neither_yes_nor_no_stops_after_the_round_or_counts_as_no(tmp_path: Path):
    words, doubt = verdicts("oslo", "tabby", "pug", "sofa", "bun"), Question("tabby")
    judge, path = Oracle([], [doubt]), tmp_path / "d.jsonl"
    with pytest.raises(JudgeError, match=r"neither yes nor no to 1 of 5 questions \(on 'tabby': 'Perhaps'\)"):
        negfilter(words, NEAREST, JudgeSession(judge, Decisions(path)))
    assert len(judge.asked) == len(words)
    assert doubt not in Decisions(path).known["oracle"]
    assert len(Decisions(path).known["oracle"]) == 4
    lenient = Oracle([], [doubt])
    assert negfilter(words, NEAREST, JudgeSession(lenient, Decisions(path), "no")) == words
    assert lenient.asked[0] == doubt
    assert not set(lenient.asked[1:]) & set(judge.asked)


def test_rules_that_make_no_sense_are_refused():
    with pytest.raises(SettingsError, match="nearest is 0"):
        Rules(nearest=0)


def test_agreement_by_hand():
    first = {Question("a"): Answer(True), Question("b"): Answer(True), Question("c"): Answer(False)}
    second = {Question("a"): Answer(True), Question("b"): Answer(False), Question("c"): Answer(True)}
    proper, kind = agreement(first, second | {Question("d"): Answer(True)})
    assert proper == {
        "question": "proper noun", "asked": 3, "both_yes": 1, "only_first_yes": 1, "only_second_yes": 1, "both_no": 0,
        "agreement": 0.3333, "precision": 0.5, "recall": 0.5,
    }  # fmt: skip
    assert (kind["asked"], kind["agreement"], kind["precision"]) == (0, None, None)


RELEASE = "oslo | proper noun \ntabby | cat | \ntabby | dog | subcategory\ncat | cat | the same\n-----\nn_proper: 1\n"


def test_replay_reads_the_released_form_and_its_own(tmp_path: Path):
    (tmp_path / "d.txt").write_text(RELEASE)
    judge = ReplayJudge([str(tmp_path / "d.txt")])
    expected = {
        Question("oslo"): True, Question("tabby"): False, Question("tabby", "cat"): False,
        Question("tabby", "dog"): True, Question("cat"): False,
    }  # fmt: skip
    assert judge.decisions == expected
    found = negfilter(verdicts("oslo", "tabby", "cat"), [["cat"], ["cat", "dog"], ["cat"]], JudgeSession(judge, None))
    assert [v.reason for v in found] == ["proper noun", "subcategory", "the same"]
    own = Decisions(tmp_path / "d.jsonl")
    own.add("oracle", [(question, Answer(yes)) for question, yes in expected.items()])
    assert ReplayJudge([str(tmp_path / "d.jsonl")]).decisions == expected
    own.add("another", [(Question("oslo"), Answer(False))])
    with pytest.raises(JudgeError, match="holds decisions of 'oracle', 'another': name one"):
        ReplayJudge([str(tmp_path / "d.jsonl")]).decisions  # noqa: B018
    assert ReplayJudge([str(tmp_path / "d.jsonl")], "ano").decisions == {Question("oslo"): False}


def test_replay_says_what_it_lacks(tmp_path: Path):
    (tmp_path / "d.txt").write_text(RELEASE)
    with pytest.raises(JudgeError, match="no decision whether 'sofa' is a proper noun, nor on 0 more of 1"):
        JudgeSession(ReplayJudge([str(tmp_path / "d.txt")]), None)([Question("sofa")])
    (tmp_path / "e.txt").write_text("oslo | proper noun\noslo maybe\n")
    with pytest.raises(JudgeError, match=r"e\.txt, line 2: 'oslo maybe' is no decision"):
        ReplayJudge([str(tmp_path / "e.txt")]).decisions  # noqa: B018
    with pytest.raises(JudgeError, match="there is no file of decisions"):
        ReplayJudge([str(tmp_path / "none.txt")]).decisions  # noqa: B018


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
    initial = (RELEASED / f"initial_neg_labels_{part}.txt").read_text().splitlines()
    expected = [" ".join(line.split()) for line in (RELEASED / f"neg_labels_{part}.txt").read_text().splitlines()]
    words, dropped = cleaned(initial)
    assert len(words) == len(nearest) == {"noun": 7021, "adj": 1404}[part]
    assert len(dropped) == len(initial) - len(words)
    found = negfilter(words, [nearest[v.word] for v in words], JudgeSession(judge, None))
    assert sorted(v.word for v in found if v.reason == "kept") == sorted(expected)
    reasons = [v.reason for v in found]
    assert (len(expected), reasons.count("proper noun"), reasons.count("subcategory")) == (kept, proper, kinds)
    as_released = negfilter(
        verdicts(*nearest), list(nearest.values()), JudgeSession(judge, None)
    )  # in the run's own order
    assert [v.word for v in as_released if v.reason == "kept"] == expected


def test_a_decision_takes_one_json_line(tmp_path: Path):
    Decisions(tmp_path / "d.jsonl").add("x", [(Question("été", "b"), Answer(False, margin=-2.0, tokens=7))])
    line = (tmp_path / "d.jsonl").read_text()
    assert json.loads(line) == {"judge": "x", "word": "été", "name": "b", "yes": False, "margin": -2.0, "tokens": 7}
