"""Decisions of a finished run and of NegRefine's release, repeated."""

from pathlib import Path

import pytest
from oracle_judge import verdicts

from ood_lightning.filtering.asking import JudgeSession
from ood_lightning.filtering.decisions import Decisions
from ood_lightning.filtering.judges.base import Answer, JudgeError, Question
from ood_lightning.filtering.judges.replay import ReplayJudge
from ood_lightning.filtering.rules import negfilter

RELEASE = "oslo | proper noun \ntabby | cat | \ntabby | dog | subcategory\ncat | cat | the same\n-----\nn_proper: 1\n"
EXPECTED = {
    Question("oslo"): True,
    Question("tabby"): False,
    Question("tabby", "cat"): False,
    Question("tabby", "dog"): True,
    Question("cat"): False,
}


@pytest.fixture
def release(tmp_path: Path) -> str:
    (tmp_path / "d.txt").write_text(RELEASE)
    return str(tmp_path / "d.txt")


def test_the_released_form(release: str):
    judge = ReplayJudge([release])
    assert judge.decisions == EXPECTED
    outcomes = negfilter(
        verdicts("oslo", "tabby", "cat"), [["cat"], ["cat", "dog"], ["cat"]], JudgeSession(judge, None)
    )
    assert [v.reason for v in outcomes] == ["proper noun", "subcategory", "the same"]


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_the_released_form_as_an_editor_on_windows_saves_it(end: str, tmp_path: Path):
    (tmp_path / "D.TXT").write_bytes(("\ufeff" + RELEASE.replace("\n", end)).encode())
    assert ReplayJudge([str(tmp_path / "D.TXT")]).decisions == EXPECTED


def test_a_runs_own_file_that_notepad_saved_is_read(tmp_path: Path):
    Decisions(tmp_path / "d.jsonl").add("oracle", [(question, Answer(yes)) for question, yes in EXPECTED.items()])
    text = (tmp_path / "d.jsonl").read_text().replace("\n", "\r\n")
    (tmp_path / "D.JSONL").write_bytes(f"\ufeff{text}".encode())
    assert ReplayJudge([str(tmp_path / "D.JSONL")]).decisions == EXPECTED


def test_the_file_of_a_run(tmp_path: Path):
    file = str(tmp_path / "d.jsonl")
    decisions = Decisions(tmp_path / "d.jsonl")
    decisions.add("oracle", [(question, Answer(yes)) for question, yes in EXPECTED.items()])
    assert ReplayJudge([file]).decisions == EXPECTED

    decisions.add("another", [(Question("oslo"), Answer(False))])
    with pytest.raises(JudgeError, match="holds decisions of 'oracle', 'another': name one"):
        ReplayJudge([file]).decisions  # noqa: B018
    assert ReplayJudge([file], "ano").decisions == {Question("oslo"): False}


def test_the_identity_follows_the_decisions_and_not_their_order(tmp_path: Path):
    files = []
    for name, answers in {"a": [True, False], "b": [True, False], "c": [True, True]}.items():
        files.append(str(tmp_path / f"{name}.jsonl"))
        decided = [(Question(word), Answer(yes)) for word, yes in zip("xy", answers, strict=True)]
        Decisions(Path(files[-1])).add("oracle", decided if name == "a" else decided[::-1])

    one, same, other = (ReplayJudge([file]).identity for file in files)
    assert one == same != other
    assert one.startswith("replay of 2 decisions, ")


def test_a_question_without_a_decision_is_named(release: str):
    with pytest.raises(JudgeError, match="no decision whether 'sofa' is a proper noun, nor on 0 more of 1"):
        JudgeSession(ReplayJudge([release]), None)([Question("sofa")])
    with pytest.raises(JudgeError, match="no decision whether 'tabby' is a subcategory of 'ape', nor on 1 more of 2"):
        JudgeSession(ReplayJudge([release]), None)([Question("tabby", "ape"), Question("tabby", "bee")])


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("oslo maybe", r"'oslo maybe' is no decision: expected `word \| name \| outcome`"),
        ("oslo | maybe", r"'oslo \| maybe' is no decision"),
        ("tabby | cat | subcatgeory", "outcome is 'subcatgeory': expected 'subcategory', 'the same' or nothing"),
    ],
)
def test_a_line_of_another_form_is_named(tmp_path: Path, line: str, words: str):
    (tmp_path / "e.txt").write_text(f"oslo | proper noun\n{line}\n")
    with pytest.raises(JudgeError, match=rf"e\.txt, line 2: {words}"):
        ReplayJudge([str(tmp_path / "e.txt")]).decisions  # noqa: B018


def test_files_that_hold_nothing_or_are_not_there(tmp_path: Path):
    with pytest.raises(JudgeError, match="there is no file of decisions"):
        ReplayJudge([str(tmp_path / "none.txt")]).decisions  # noqa: B018
    (tmp_path / "counts.txt").write_text("-----\nn_proper: 0\n")
    with pytest.raises(JudgeError, match=r"counts\.txt: no decisions to repeat"):
        ReplayJudge([str(tmp_path / "counts.txt")]).decisions  # noqa: B018
    (tmp_path / "cut.txt.gz").write_bytes(b"\x1f\x8b")
    with pytest.raises(JudgeError, match=r"cut\.txt\.gz cannot be read"):
        ReplayJudge([str(tmp_path / "cut.txt.gz")]).decisions  # noqa: B018
