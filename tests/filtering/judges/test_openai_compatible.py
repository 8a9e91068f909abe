"""A chat completions server as a judge, on a real local server that can also fail in every way it likes."""

import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chat_server import Handler, Server, completion, serving

from ood_lightning.errors import SettingsError
from ood_lightning.filtering.asking import JudgeSession
from ood_lightning.filtering.decisions import Decisions
from ood_lightning.filtering.judges.base import SYSTEM_MESSAGE, JudgeError, Question, wording
from ood_lightning.filtering.judges.openai_compatible import OpenAICompatibleJudge

KEY = "sk-very-secret"
QUESTIONS = [Question(word) for word in ("oslo", "cat", "dog", "sofa", "bun", "rain")]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("FILTER_KEY", KEY)
    with serving(monkeypatch) as running:
        yield running


def judge(server: Server, **options: Any) -> OpenAICompatibleJudge:
    quick = {"timeout_s": 5.0, "retries": 2, "backoff_s": 0.01, "concurrency": 3}
    return OpenAICompatibleJudge(server.url, "tiny", **{**quick, **options})


def test_each_question_is_asked_once_in_the_papers_words(server: Server):
    session = JudgeSession(judge(server), None)
    assert session([*QUESTIONS, QUESTIONS[0]]) == [True, False, False, False, False, False, True]
    assert sorted(server.questions) == sorted(wording(question, False) for question in QUESTIONS)
    sent = server.seen[0]
    assert (sent["path"], sent["model"], sent["temperature"]) == ("/v1/chat/completions", "tiny", 0)
    assert sent["messages"][0] == {"role": "system", "content": SYSTEM_MESSAGE}
    assert server.keys == {None}
    assert session.cost()["tokens"] == 9 * len(QUESTIONS)


def test_no_more_than_the_bound_are_under_way(server: Server):
    def slowly(question: str, times: int) -> tuple[int, bytes]:
        time.sleep(0.05)
        return 200, completion("No")

    server.reply = slowly
    JudgeSession(judge(server, concurrency=2), None)(QUESTIONS)
    assert server.max_running == 2


def test_the_key_reaches_the_server_and_nothing_else(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
):
    caplog.set_level(logging.DEBUG)
    server.reply = lambda question, times: (401, f"wrong key: Bearer {KEY}".encode())
    with_key = judge(server, key_variable="FILTER_KEY")
    with pytest.raises(
        JudgeError, match=r"refuses the model 'tiny' or the request: HTTP status 401: wrong key"
    ) as error:
        JudgeSession(with_key, Decisions(tmp_path / "d.jsonl"))(QUESTIONS)
    assert server.keys == {f"Bearer {KEY}"}
    assert len(server.questions) <= 3  # one for each thread: asking again would not help

    server.reply = lambda question, times: (200, completion("No"))
    JudgeSession(with_key, Decisions(tmp_path / "d.jsonl"))(QUESTIONS)
    output = "".join([str(error.value), repr(with_key), with_key.identity, caplog.text, *capfd.readouterr()])
    assert KEY not in output + (tmp_path / "d.jsonl").read_text()


def test_a_key_that_is_not_set_is_named(server: Server):
    with pytest.raises(JudgeError, match="environment variable NO_SUCH_KEY holds no API key"):
        JudgeSession(judge(server, key_variable="NO_SUCH_KEY"), None)(QUESTIONS)
    with pytest.raises(SettingsError, match="holds a user, password or query") as error:
        OpenAICompatibleJudge(f"http://me:{KEY}@127.0.0.1/v1", "tiny")
    assert KEY not in str(error.value)


@pytest.mark.parametrize(
    "failure", [(500, b"oops"), (503, b""), (429, b"slow down"), (200, b"<html>"), (200, b'{"choices": []}')]
)
def test_passing_failures_are_tried_again(server: Server, failure: tuple[int, bytes]):
    server.reply = lambda question, times: failure if times < 3 else (200, completion("yes"))
    assert JudgeSession(judge(server), None)(QUESTIONS) == [True] * len(QUESTIONS)
    assert len(server.questions) == 3 * len(QUESTIONS)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ("<html>", r"'<html>' is not readable as JSON"),
        ('{"choices": []}', "choices is empty"),
        ('{"error": "busy"}', "choices is missing"),
        ('{"choices": [{"message": {}}]}', r"choices\.0\.message\.content is missing"),
        (
            '{"choices": [{"message": {"content": ["Yes"]}}]}',
            r"choices\.0\.message\.content is \['Yes'\]: input should",
        ),
        ('{"choices": [{"text": "Yes"}]}', r"choices\.0\.message is missing"),
        (
            '{"choices": [{"message": {"content": "Yes"}}], "usage": {"total_tokens": "9"}}',
            r"usage\.total_tokens is '9': input should be a valid integer",
        ),
    ],
)
def test_a_reply_that_is_no_completion_is_named_by_its_field(server: Server, reply: str, words: str):
    server.reply = lambda question, times: (200, reply.encode())
    with pytest.raises(JudgeError, match=rf"failed 1 times .*no chat completion: .*{words}"):
        JudgeSession(judge(server, retries=0), None)(QUESTIONS[:1])


@pytest.mark.parametrize(
    "usage", [{}, {"usage": None}, {"usage": {"prompt_tokens": 3}}, {"usage": {"total_tokens": 0}}]
)
def test_a_reply_may_hold_more_and_no_usage(server: Server, usage: dict[str, Any]):
    message = {"role": "assistant", "content": " no.", "refusal": None}
    reply = {"id": "x", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], **usage}
    server.reply = lambda question, times: (200, json.dumps(reply).encode())
    session = JudgeSession(judge(server), None)
    assert session(QUESTIONS[:1]) == [False]
    assert session.answers[QUESTIONS[0]].said == "no."
    assert "tokens" not in session.cost()


def test_an_empty_reply_is_neither_yes_nor_no(server: Server):
    """A model whose tokens all went into thoughts."""
    server.reply = lambda question, times: (200, b'{"choices": [{"message": {"content": null}}]}')
    with pytest.raises(JudgeError, match="neither yes nor no"):
        JudgeSession(judge(server), None)(QUESTIONS[:1])


def test_a_server_that_stays_broken_ends_the_run_and_finished_answers_stay(server: Server, tmp_path: Path):
    server.reply = lambda question, times: (500, b"oops") if "sofa" in question else (200, completion("No"))
    path = tmp_path / "decisions.jsonl"
    with pytest.raises(
        JudgeError, match=r"failed 3 times on \"Is 'sofa' a proper.*HTTP status 500: oops.*server is up"
    ):
        JudgeSession(judge(server), Decisions(path))(QUESTIONS)

    kept = Decisions(path).known[judge(server).identity]
    assert {Question("oslo"), Question("cat"), Question("dog")} <= set(kept) < set(QUESTIONS)

    server.seen.clear()
    server.reply = lambda question, times: (200, completion("No"))
    assert JudgeSession(judge(server), Decisions(path))(QUESTIONS) == [False] * len(QUESTIONS)
    assert len(server.questions) == len(QUESTIONS) - len(kept)


@pytest.mark.slow
def test_a_server_that_hangs_is_left_in_time(server: Server, tmp_path: Path):
    def hang(question: str, times: int) -> tuple[int, bytes]:
        if "dog" in question:
            server.released.wait(300)
        return 200, completion("No")

    server.reply = hang
    with pytest.raises(JudgeError, match=r"failed 1 times on .*'dog'.*no answer within 2 s"):
        JudgeSession(judge(server, timeout_s=2.0, retries=0), Decisions(tmp_path / "d.jsonl"))(QUESTIONS)
    assert len((tmp_path / "d.jsonl").read_text().splitlines()) >= 2


def test_a_server_that_drips_is_left_in_time(server: Server, monkeypatch: pytest.MonkeyPatch):
    def drip(handler: Handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            while not server.released.wait(0.05):
                handler.wfile.write(b" ")
        except OSError:
            pass  # the other side has hung up

    monkeypatch.setattr(Handler, "do_POST", drip)
    with pytest.raises(JudgeError, match=r"failed 1 times on .*no answer within 0.4 s"):
        JudgeSession(judge(server, timeout_s=0.4, retries=0), None)(QUESTIONS[:1])


def test_no_server_at_all(server: Server):
    nobody = OpenAICompatibleJudge("http://127.0.0.1:9/v1", "tiny", retries=1, backoff_s=0.01, timeout_s=2)
    with pytest.raises(JudgeError, match=r"no connection: .*refused"):
        JudgeSession(nobody, None)(QUESTIONS)


def test_neither_yes_nor_no_is_said_and_not_kept(server: Server, tmp_path: Path):
    server.reply = lambda question, times: (200, completion("As a language model, yes" if "cat" in question else "No."))
    with pytest.raises(
        JudgeError, match=r"neither yes nor no to 1 of 6 questions \(on 'cat': 'As a language model, yes'"
    ):
        JudgeSession(judge(server), Decisions(tmp_path / "d.jsonl"))(QUESTIONS)
    assert len((tmp_path / "d.jsonl").read_text().splitlines()) == len(QUESTIONS) - 1
    assert JudgeSession(judge(server), None, "no")(QUESTIONS) == [False] * len(QUESTIONS)


def test_a_redirection_is_not_followed_with_the_key(server: Server):
    server.reply = lambda question, times: (302, b"")
    with pytest.raises(JudgeError, match="HTTP status 302"):
        JudgeSession(judge(server, key_variable="FILTER_KEY"), None)(QUESTIONS[:1])
    assert {body["path"] for body in server.seen} == {"/v1/chat/completions"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"url": "localhost:80"}, "expected http://HOST"),
        ({"url": "ftp://h/v1"}, "expected http"),
        ({"url": "https://h/v1#sk-1"}, "holds a user, password or query, or a fragment"),
        ({"key_variable": "sk-0123456789"}, "^key_variable is no name of an environment variable: give the name"),
        ({"concurrency": 0}, "concurrency is 0, expected 1 to 1,000"),
        ({"timeout_s": 0.0}, "timeout_s is 0.0, expected 0 to 86,400, without 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(options: dict[str, Any], words: str):
    with pytest.raises(SettingsError, match=words):
        OpenAICompatibleJudge(**{"url": "http://127.0.0.1/v1", "model": "tiny", **options})
