"""An API key reaches its server and nothing else, whatever the server and the environment make of it."""

import base64
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ood_lightning.data.remote.chat import MAX_REPLY_BYTES
from ood_lightning.filtering.asking import JudgeSession
from ood_lightning.filtering.decisions import Decisions
from ood_lightning.filtering.judges.base import JudgeError, Question
from ood_lightning.filtering.judges.openai_compatible import OpenAICompatibleJudge

KEY = "sk-SECRET-0123456789abcdef"


def completion(text: str) -> bytes:
    return json.dumps({"choices": [{"message": {"content": text}}]}).encode()


class Echo(BaseHTTPRequestHandler):
    """Answers with what `reply` makes of the Authorization header."""

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        sent = self.headers["Authorization"]
        self.server.sent.append(sent)  # type: ignore[attr-defined]
        status, body = self.server.reply(sent)  # type: ignore[attr-defined]
        self.wfile.write(f"HTTP/1.0 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)


@pytest.fixture
def server() -> Iterator[Any]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as running:
        running.sent = []  # type: ignore[attr-defined]
        running.reply = lambda sent: ("200 OK", completion("No"))  # type: ignore[attr-defined]
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield running
        running.shutdown()


def ask(server: Any, folder: Path) -> JudgeSession:
    url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    judge = OpenAICompatibleJudge(url, "tiny", key_variable="FILTER_KEY", retries=0, timeout_s=5)
    session = JudgeSession(judge, Decisions(folder / "decisions.jsonl"))
    session([Question("oslo")])
    return session


@pytest.mark.parametrize("end", ["", "\n", "\r\n", " "])
def test_a_key_from_a_file_is_sent_without_the_line_end(
    server: Any, end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("FILTER_KEY", KEY + end)
    ask(server, tmp_path)
    assert server.sent == [f"Bearer {KEY}"]


@pytest.mark.parametrize("key", [f"{KEY}\n{KEY}", f"{KEY}\u2026", f"Bearer {KEY}", f"{KEY}\x07x", "\n"])
def test_what_can_be_no_key_is_refused_by_its_variable_alone(
    server: Any, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("FILTER_KEY", key)
    with pytest.raises(JudgeError, match="environment variable FILTER_KEY holds no API key") as error:
        ask(server, tmp_path)
    assert "SECRET" not in str(error.value)
    assert not server.sent


REPLIES: dict[str, Callable[[str], tuple[str, bytes]]] = {
    "garbage": lambda sent: ("200 OK", f"garbage {sent}".encode()),
    "cut at 200": lambda sent: ("401 no", f"{'x' * 173}{sent}".encode()),
    "cut at 80": lambda sent: ("200 OK", f"{'x' * 60}{sent}".encode()),
    "cut by the server": lambda sent: ("500 no", sent[:20].encode()),
    "in the status line": lambda sent: (sent, b""),
    "in a redirection": lambda sent: (f"302 {sent}", sent.encode()),
    "neither yes nor no": lambda sent: ("200 OK", completion(f"Hm {sent}")),
    "in base64": lambda sent: ("403 no", base64.b64encode(sent.encode())),
    "escaped": lambda sent: ("200 OK", completion("Hm ")[:-4] + b"\\u0073k-" + sent[10:].encode() + b'"}}]}'),
    "of another type": lambda sent: ("200 OK", json.dumps({"choices": sent}).encode()),
    "as a key": lambda sent: ("200 OK", json.dumps({"choices": [{sent: 1}]}).encode()),
}


@pytest.mark.parametrize("echo", list(REPLIES))
def test_an_echo_of_the_key_is_in_no_message(server: Any, echo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FILTER_KEY", KEY)
    server.reply = REPLIES[echo]
    with pytest.raises(JudgeError) as error:
        ask(server, tmp_path)
    encoded = base64.b64encode(f"Bearer {KEY}".encode()).decode()
    words = str(error.value)
    assert not any(text[i : i + 8] in words for text in (KEY, encoded[12:]) for i in range(len(text) - 7)), words


def test_an_echo_of_the_key_is_not_stored(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FILTER_KEY", KEY)
    server.reply = lambda sent: ("200 OK", completion(f"No. {'x' * 170}{sent}"))
    (answer,) = ask(server, tmp_path).answers.values()
    assert (answer.yes, answer.said[:3]) == (False, "No.")
    assert "SECRET" not in (tmp_path / "decisions.jsonl").read_text() + answer.said


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"[" * 100_000, "is not readable as JSON"),
        (b'{"choices": ' + b"[" * 500 + b"]" * 500 + b"}", "recursion limit"),
        (b" " * (MAX_REPLY_BYTES + 1), "more than 1,048,576 bytes"),
        (b'{"choices": [], "usage": {"total_tokens": 1' + b"0" * 30 + b"}}", "usage.total_tokens"),
    ],
)
def test_deep_and_long_replies_are_refused(
    server: Any, body: bytes, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("FILTER_KEY", KEY)
    server.reply = lambda sent: ("200 OK", body)
    with pytest.raises(JudgeError, match=words):
        ask(server, tmp_path)
