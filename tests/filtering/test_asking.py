"""A session with a judge: answers that are kept and not asked again, unclear answers, and what it all cost."""

from pathlib import Path

import pytest
from oracle_judge import Oracle, verdicts

from ood_lightning.filtering.asking import JudgeSession, agreement
from ood_lightning.filtering.decisions import Decisions
from ood_lightning.filtering.judges.base import Answer, JudgeError, Question
from ood_lightning.filtering.rules import negfilter

WORDS = verdicts("oslo", "tabby", "pug", "sofa", "bun")
NEAREST = [["cat", "dog"], ["dog", "cat"], ["dog", "cat"], ["cat", "dog"], ["dog", "cat"]]


def test_answers_are_kept_and_not_asked_again(tmp_path: Path):
    path = tmp_path / "decisions.jsonl"
    yes = [Question("oslo"), Question("tabby", "cat")]

    dying = Oracle(yes, dies_after=6)
    with pytest.raises(JudgeError, match="gone"):
        negfilter(WORDS, NEAREST, JudgeSession(dying, Decisions(path)))
    assert len(dying.questions) == 8  # batches of 3 and 2, then 3 of the next round; its last batch was never begun
    with path.open("ab") as file:
        file.write(b'{"judge": "oracle", "word": "so')  # killed while writing

    again = Oracle(yes)
    session = JudgeSession(again, Decisions(path))
    outcomes = negfilter(WORDS, NEAREST, session)
    assert not set(again.questions) & set(dying.questions)

    whole = Oracle(yes)
    assert outcomes == negfilter(WORDS, NEAREST, JudgeSession(whole, None))
    assert sorted(map(str, again.questions + dying.questions)) == sorted(map(str, whole.questions))
    assert session.cost() == {
        "judge": "oracle", "questions": len(whole.questions), "recalled": 8, "seconds": session.cost()["seconds"],
        "tokens": 2 * len(again.questions),
    }  # fmt: skip

    silent = Oracle(yes)
    assert negfilter(WORDS, NEAREST, JudgeSession(silent, Decisions(path))) == outcomes
    assert silent.questions == []
    assert len(path.read_text().splitlines()) == len(whole.questions)


def test_neither_yes_nor_no_stops_after_the_round_or_counts_as_no(tmp_path: Path):
    doubt = Question("tabby")
    judge, path = Oracle([], [doubt]), tmp_path / "d.jsonl"
    with pytest.raises(JudgeError, match=r"neither yes nor no to 1 of 5 questions \(on 'tabby': 'Perhaps'\)"):
        negfilter(WORDS, NEAREST, JudgeSession(judge, Decisions(path)))
    assert len(judge.questions) == len(WORDS)
    assert doubt not in Decisions(path).known["oracle"]
    assert len(Decisions(path).known["oracle"]) == 4

    lenient = Oracle([], [doubt])
    assert negfilter(WORDS, NEAREST, JudgeSession(lenient, Decisions(path), "no")) == WORDS
    assert lenient.questions[0] == doubt
    assert not set(lenient.questions[1:]) & set(judge.questions)


def test_an_error_quotes_three_unclear_answers_and_counts_all():
    doubts = [Question("tabby", name) for name in ("cat", "dog", "ape", "bee")]
    with pytest.raises(JudgeError, match=r"to 4 of 4 questions") as error:
        JudgeSession(Oracle([], doubts), None)(doubts)
    assert str(error.value).count("on 'tabby' and ") == 3


def test_the_cost_has_the_mean_probability_of_yes_and_no():
    class Unsure(Oracle):
        def _answer(self, question: Question) -> Answer:
            return Answer(True, mass=0.25 if question.word == "a" else 0.5)

    session = JudgeSession(Unsure([]), None)
    assert "mean_mass_on_yes_and_no" not in session.cost()
    session([Question("a"), Question("b")])
    assert session.cost()["mean_mass_on_yes_and_no"] == 0.375
    assert "tokens" not in session.cost()


def test_agreement_by_hand():
    first = {Question("a"): Answer(True), Question("b"): Answer(True), Question("c"): Answer(False)}
    second = {Question("a"): Answer(True), Question("b"): Answer(False), Question("c"): Answer(True)}

    proper, kind = agreement(first, second | {Question("d"): Answer(True)})

    assert proper == {
        "question": "proper noun", "asked": 3, "both_yes": 1, "only_first_yes": 1, "only_second_yes": 1, "both_no": 0,
        "agreement": 0.3333, "precision": 0.5, "recall": 0.5,
    }  # fmt: skip
    assert (kind["asked"], kind["agreement"], kind["precision"]) == (0, None, None)


def test_precision_and_recall_are_of_the_second_judges_yes():
    says = [(True, True), (True, False), (True, False), (False, True), (False, False)]
    first = {Question(str(i), "cat"): Answer(pair[0]) for i, pair in enumerate(says)}
    second = {Question(str(i), "cat"): Answer(pair[1]) for i, pair in enumerate(says)}

    _, row = agreement(first, second)

    assert (row["only_first_yes"], row["only_second_yes"], row["both_no"]) == (2, 1, 1)
    assert (row["agreement"], row["precision"], row["recall"]) == (0.4, 0.5, 0.3333)
