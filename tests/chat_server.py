"""A chat completions server with canned answers, which can fail too."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class ChatServer(ThreadingHTTPServer):
    """Answers what `answer` says of the text of a question.

    Attributes:
        answer: text to text.
        statuses: of the next answers, the next one first; 200 behind them.
        seen: bodies of all requests.
    """

    daemon_threads = True

    def __init__(self, answer: Callable[[str], str] = lambda _: "zebra") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.statuses: list[int] = []
        self.seen: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: ChatServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append(body)
        content = body["messages"][1]["content"]
        text = content if isinstance(content, str) else content[0]["text"]

        reply = {"choices": [{"message": {"content": self.server.answer(text)}}]}
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 200)
        self.end_headers()
        self.wfile.write(json.dumps(reply).encode())

    def log_message(self, *_: object) -> None:
        pass
