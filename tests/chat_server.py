"""A chat completions server on this machine, with canned answers, that can also fail in every way it likes."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

Reply = Callable[[str, int], tuple[int, bytes]]


def question_in(body: dict[str, Any]) -> str:
    """The text of a request's last message; with an image it is its first part."""
    content = body["messages"][-1]["content"]
    return str(content if isinstance(content, str) else content[0]["text"])


def completion(text: str, tokens: int = 9) -> bytes:
    content = {"choices": [{"message": {"content": text}}], "usage": {"total_tokens": tokens}}
    return json.dumps(content).encode()


class Server(ThreadingHTTPServer):
    """Answers as `reply` says, given the question and how often it was asked."""

    daemon_threads = True
    reply: Reply

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.reply = lambda question, times: (200, completion("Yes." if "oslo" in question else "No"))
        self.seen: list[dict[str, Any]] = []
        self.keys: set[str | None] = set()
        self.running = self.max_running = 0
        self.lock, self.released = threading.Lock(), threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    @property
    def questions(self) -> list[str]:
        return [question_in(body) for body in self.seen]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        with server.lock:
            server.seen.append(body | {"path": self.path})
            server.keys.add(self.headers["Authorization"])
            question = question_in(body)
            times = server.questions.count(question)
            server.running += 1
            server.max_running = max(server.max_running, server.running)

        time.sleep(0.01)
        status, content = server.reply(question, times)
        with server.lock:
            server.running -= 1

        try:
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "/elsewhere")
            self.end_headers()
            self.wfile.write(content)
        except OSError:
            pass  # the other side has hung up

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serving(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server that runs meanwhile."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield running
        finally:
            running.released.set()
            running.shutdown()
            thread.join()
