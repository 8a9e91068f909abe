"""What answers in the hub's place is told from the hub before its client tries again and again."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event

import pytest

from ood_lightning import retries
from ood_lightning.encoders import hub
from ood_lightning.errors import EncoderError

FILES = ["weights.safetensors"]


class Answers(BaseHTTPRequestHandler):
    """The status and headers that the test wants; none where it wants nothing."""

    status: int | None = 404
    sent: dict[str, str] = {}  # noqa: RUF012
    stop: Event = Event()

    def do_HEAD(self) -> None:
        if self.status is None:
            self.stop.wait()
            return
        self.send_response(self.status)
        for name, value in self.sent.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Answers]]:
    """A server in the hub's place, whose client must not be asked."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)

    def ask(*_: object, **__: object) -> None:
        raise AssertionError("the client would try again and again")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", ask)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    handler = type("OfThisTest", (Answers,), {"stop": Event()})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        yield handler
        handler.stop.set()
        server.shutdown()


def test_a_proxy_that_answers_for_any_server_is_no_hub(answers: type[Answers], tmp_path: Path):
    words = r"cannot be fetched: 127\.0\.0\.1 cannot be reached: something else answers, with HTTP 404\. Where there is"
    with pytest.raises(EncoderError, match=words):
        hub.check_at_hand("org/name", FILES, None, str(tmp_path))
    with pytest.raises(EncoderError, match=words):
        hub.fetched("org/name", FILES, None, str(tmp_path))


@pytest.mark.slow
def test_a_server_that_takes_a_connection_and_says_nothing_is_not_waited_for(
    answers: type[Answers], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    answers.status = None
    monkeypatch.setattr(retries, "REACHED_WITHIN_S", 0.5)
    with pytest.raises(EncoderError, match=r"cannot be reached: no answer within 0\.5 s"):
        hub.check_at_hand("org/name", FILES, None, str(tmp_path))


@pytest.mark.parametrize(
    ("status", "sent"), [(200, {"X-Repo-Commit": "1" * 40}), (404, {"X-Error-Code": "EntryNotFound"})]
)
def test_a_hub_is_known_by_its_headers(status: int, sent: dict[str, str], answers: type[Answers], tmp_path: Path):
    answers.status, answers.sent = status, sent
    assert "can be reached" in hub.check_at_hand("org/name", FILES, None, str(tmp_path))
