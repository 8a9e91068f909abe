"""Questions to a server: each once, answers kept whatever happens."""

from pathlib import Path

import pytest
from chat_server import ChatServer

from ood_lightning.filtering.judges.base import JudgeError
from ood_lightning.filtering.judges.openai_compatible import OpenAICompatibleJudge
from ood_lightning.growing.asking import GroupQuestion, answers_to
from ood_lightning.growing.questions import SYSTEM

QUESTIONS = [GroupQuestion(f"group {i}?", None) for i in range(4)]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ChatServer(lambda text: f"answer to {text}") as running:
        yield running


def judge(server: ChatServer, model: str = "tiny") -> OpenAICompatibleJudge:
    return OpenAICompatibleJudge(server.url, model, retries=1, backoff_s=0.01, concurrency=1)


def test_answers_come_in_order_and_are_asked_once(server: ChatServer, tmp_path: Path):
    answers = answers_to(QUESTIONS, judge(server), tmp_path / "answers.json")
    assert answers == [f"answer to group {i}?" for i in range(4)]
    assert answers_to(QUESTIONS, judge(server), tmp_path / "answers.json") == answers
    assert len(server.seen) == 4
    assert server.seen[0]["messages"][0] == {"role": "system", "content": SYSTEM}
    assert (server.seen[0]["temperature"], server.seen[0]["max_tokens"]) == (0, 200)


def test_another_model_is_asked_anew(server: ChatServer, tmp_path: Path):
    answers_to(QUESTIONS, judge(server), tmp_path / "answers.json")
    answers_to(QUESTIONS, judge(server, "large"), tmp_path / "answers.json")
    assert len(server.seen) == 8


def test_a_failure_that_passes_is_tried_again_and_one_that_stays_keeps_the_answers(server: ChatServer, tmp_path: Path):
    server.statuses = [503, 200, 200, 404]
    with pytest.raises(JudgeError, match="refuses the model 'tiny' or the request: HTTP status 404"):
        answers_to(QUESTIONS, judge(server), tmp_path / "answers.json")
    assert len(server.seen) >= 4

    server.statuses, n_before = [], len(server.seen)
    assert len(answers_to(QUESTIONS, judge(server), tmp_path / "answers.json")) == 4
    assert len(server.seen) - n_before <= 2


def test_a_damaged_file_of_answers_is_no_reason_to_stop(server: ChatServer, tmp_path: Path):
    (tmp_path / "answers.json").write_text("[" * 5)
    assert len(answers_to(QUESTIONS[:1], judge(server), tmp_path / "answers.json")) == 1
