"""Questions to a server: each once, answers kept whatever happens."""

from base64 import b64decode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from chat_server import Server, completion, serving
from PIL import Image

from ood_lightning.filtering.judges.base import JudgeError
from ood_lightning.filtering.judges.openai_compatible import OpenAICompatibleJudge
from ood_lightning.growing.asking import GroupQuestion, answers_to
from ood_lightning.growing.questions import SYSTEM

QUESTIONS = [GroupQuestion(f"group {i}?", None) for i in range(4)]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with serving(monkeypatch) as running:
        running.reply = lambda question, times: (200, completion(f"answer to {question}"))
        yield running


def judge(server: Server, model: str = "tiny") -> OpenAICompatibleJudge:
    return OpenAICompatibleJudge(server.url, model, retries=1, backoff_s=0.01, concurrency=1)


def test_answers_come_in_order_and_are_asked_once(server: Server, tmp_path: Path):
    answers = answers_to(QUESTIONS, judge(server), tmp_path / "answers.json")
    assert answers == [f"answer to group {i}?" for i in range(4)]
    assert answers_to(QUESTIONS, judge(server), tmp_path / "answers.json") == answers
    assert len(server.seen) == 4
    assert server.seen[0]["messages"][0] == {"role": "system", "content": SYSTEM}
    assert (server.seen[0]["temperature"], server.seen[0]["max_tokens"]) == (0, 200)


def test_another_model_and_one_that_may_say_more_are_asked_anew(server: Server, tmp_path: Path):
    answers_to(QUESTIONS, judge(server), tmp_path / "answers.json")
    answers_to(QUESTIONS, judge(server, "large"), tmp_path / "answers.json")
    assert len(server.seen) == 8
    answers_to(QUESTIONS, replace(judge(server, "large"), max_tokens=2000), tmp_path / "answers.json")
    assert len(server.seen) == 12


def test_a_failure_that_passes_is_tried_again_and_one_that_stays_keeps_the_answers(server: Server, tmp_path: Path):
    answered = server.reply
    statuses = [503, 200, 200, 404]
    server.reply = lambda question, times: (statuses.pop(0), answered(question, times)[1])
    with pytest.raises(JudgeError, match="refuses the model 'tiny' or the request: HTTP status 404"):
        answers_to(QUESTIONS, judge(server), tmp_path / "answers.json")
    assert len(server.seen) == 4

    server.reply = answered
    assert len(answers_to(QUESTIONS, judge(server), tmp_path / "answers.json")) == 4
    assert len(server.seen) == 4 + 2  # two were answered before


def test_a_contact_sheet_is_sent_and_counts_as_a_part_of_the_question(server: Server, tmp_path: Path):
    sheet = tmp_path / "sheet.jpg"
    for colour in ("red", "blue"):
        Image.new("RGB", (4, 4), colour).save(sheet)
        answers_to([GroupQuestion("what?", sheet)], judge(server), tmp_path / "answers.json")

    text, image = server.seen[1]["messages"][1]["content"]
    assert text == {"type": "text", "text": "what?"}
    assert image["type"] == "image_url"
    start, data = image["image_url"]["url"].split(",")
    assert start == "data:image/jpeg;base64"
    assert b64decode(data) == sheet.read_bytes()


def test_a_damaged_file_of_answers_is_no_reason_to_stop(server: Server, tmp_path: Path):
    (tmp_path / "answers.json").write_text("[" * 5)
    assert len(answers_to(QUESTIONS[:1], judge(server), tmp_path / "answers.json")) == 1
