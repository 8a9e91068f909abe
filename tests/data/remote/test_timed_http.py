"""A deadline is that of the whole answer: a server that drips cannot evade it, whatever part it drips."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from ood_lightning.data.remote import download
from ood_lightning.data.remote import fetch as remote
from ood_lightning.data.remote.timed_http import timed_opener
from ood_lightning.errors import SourceError

GOOD = b"HTTP/1.1 200 OK\r\n"
STARTS = {
    "status": b"",
    "header": GOOD + b"X-Long: ",
    "body": GOOD + b"Content-Length: 100000\r\n\r\n",
    "chunk": GOOD + b"Transfer-Encoding: chunked\r\n\r\n",
    "unsized": GOOD + b"\r\n",
}


class Dripping(BaseHTTPRequestHandler):
    """Sends the start of an answer that the path names, then a byte now and then; or `/sound`, `/endless`, `/hop4`."""

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        part = self.path[1:].partition("?")[0]

        try:
            if part == "sound":
                self.wfile.write(GOOD + b"Content-Length: 4\r\n\r\nhere")
            elif part.startswith("hop"):
                self.server.over.wait(0.1)  # type: ignore[attr-defined]
                to = f"hop{int(part[3:]) - 1}" if part != "hop1" else "sound"
                self.wfile.write(f"HTTP/1.1 302 Found\r\nLocation: /{to}\r\nContent-Length: 0\r\n\r\n".encode())
            elif part == "endless":
                self.wfile.write(STARTS["unsized"])
                while not self.server.over.is_set():  # type: ignore[attr-defined]
                    self.wfile.write(b" " * 4096)
            else:
                self.wfile.write(STARTS[part])
                while not self.server.over.wait(0.02):  # type: ignore[attr-defined]
                    self.wfile.write(b"1")
        except OSError:
            pass  # the client has hung up


@pytest.fixture
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Dripping) as server:
        server.over = threading.Event()  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.over.set()  # type: ignore[attr-defined]
        server.shutdown()


@pytest.fixture(autouse=True)
def _few_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "TRIES", 2)
    monkeypatch.setattr(download, "TIMEOUT_S", 0.2)


def read(url: str) -> bytes:
    with timed_opener().open(url, timeout=0.2) as answer:
        return bytes(answer.read())


def test_an_answer_in_time_is_read(url: str):
    assert read(f"{url}/sound") == b"here"
    assert remote.text(f"{url}/sound") == "here"


@pytest.mark.slow
@pytest.mark.parametrize("part", list(STARTS))
@pytest.mark.parametrize("reader", [read, remote.text])
def test_a_server_that_drips_is_left(url: str, part: str, reader: Callable[[str], object]):
    with pytest.raises((TimeoutError, SourceError), match="timed out"):
        reader(f"{url}/{part}")


def test_redirects_share_one_deadline(url: str):
    """Each of four hops alone is in time; a single one is followed."""
    with timed_opener().open(f"{url}/hop1", timeout=60) as answer:
        assert answer.read() == b"here"
    with pytest.raises(TimeoutError, match="timed out"):
        read(f"{url}/hop4")


@pytest.mark.slow
def test_a_large_file_may_take_longer_as_long_as_enough_of_it_comes(url: str):
    with timed_opener(enough_bytes=5).open(f"{url}/body", timeout=0.4) as answer:
        assert answer.read(60) == b"1" * 60  # which takes 1.2 s


def test_a_manifest_that_does_not_end_is_refused(url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(remote, "MAX_TEXT_BYTES", 2**20)
    with pytest.raises(SourceError, match=r"has more than 1,048,576 bytes: that is no manifest"):
        remote.text(f"{url}/endless")


def test_what_a_server_says_is_masked(url: str):
    """Its status line may repeat the address, signature included."""
    with pytest.raises(SourceError) as error:
        remote.text(f"{url}/status?signature=1111111111111111")
    assert "1111" not in str(error.value)
