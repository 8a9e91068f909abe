"""A web server that breaks on demand: the next answers for a path have the faults of a list, those after it none."""

import socket
import struct
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


class FaultyServer(ThreadingHTTPServer):
    """Serves `files` by path, with byte ranges.

    Attributes:
        files: content by path, `/a/b.tar`.
        faults: what goes wrong in the next answers for a path, the next one first; see `Handler`.
        seen: requests as (path, Range header or "").
        headers: of each of them, names in lower case.
        over: set when the server ends; an answer that stays silent waits for it.
        commit: of all files, as the hub names it in its answers.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, list[str]] = defaultdict(list)
        self.seen: list[tuple[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.over = threading.Event()
        self.commit = "0" * 40

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def requests(self, path: str) -> list[str]:
        """Range headers of the requests for a path."""
        return [span for seen, span in self.seen if seen == path]

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, *_: object) -> None:
        """A client that went away is no news."""


class Handler(BaseHTTPRequestHandler):
    """Answers as the server's list of faults says.

    A fault is one of these:
        `503`: this status; `403:GatedRepo`: with the hub's error code; `to:URL`: a redirect;
        `garbage`: no HTTP; `html`: another page; `flip`: a wrong bit; `unsized`: without a length;
        `short`, `long`: announced with another length; `no_range`, `wrong_range`: another part than was requested;
        `close`, `reset`: ends after the first half; `slow`, `stall`: silent from the start, or after that half, until
        the client gives up.
    """

    server: FaultyServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        span = self.headers.get("Range", "")
        self.server.seen.append((path, span))
        self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
        self.close_connection = True

        faults = self.server.faults[path]
        fault = faults.pop(0) if faults else ""
        if fault.isdecimal():
            self.send_error(int(fault))
        elif fault[:3].isdecimal():  # with the hub's word for it, `403:GatedRepo`
            self._send_empty(int(fault[:3]), {"X-Error-Code": fault[4:]})
        elif fault.startswith("to:"):
            self._send_empty(302, {"Location": fault.removeprefix("to:"), **self._linked_file(path)})
        elif fault == "garbage":
            self.wfile.write(b"this is no HTTP\r\n\r\n")
        elif path in self.server.files:
            self._send(self.server.files[path], span, fault)
        else:
            self.send_error(404)

    do_HEAD = do_GET

    def end_headers(self) -> None:
        self.send_header("Connection", "close")
        super().end_headers()

    def _send_empty(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": "0"}.items():
            self.send_header(name, value)
        self.end_headers()

    def _linked_file(self, path: str) -> dict[str, str]:
        """Headers by which the hub describes a file that it keeps elsewhere."""
        body = self.server.files.get(path)
        if body is None:
            return {}
        return {
            "X-Linked-Etag": self._tag(body),
            "X-Linked-Size": str(len(body)),
            "X-Repo-Commit": self.server.commit,
        }

    def _tag(self, body: bytes) -> str:
        return f'"{hash(body)}"'

    def _send(self, body: bytes, span: str, fault: str) -> None:
        n_bytes = len(body)
        tag = self._tag(body)
        if fault == "slow":
            self.server.over.wait()
        if fault == "html":
            body, span = b"<html>please log in</html>", ""

        if span and fault != "no_range" and self.headers.get("If-Range", tag) == tag:
            start = int(span.removeprefix("bytes=").rstrip("-"))
            if start >= n_bytes:
                self.send_error(416)
                return
            body = body[start:]
            stated_start = start + 1 if fault == "wrong_range" else start
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {stated_start}-{n_bytes - 1}/{n_bytes}")
        else:
            self.send_response(200)

        if fault == "flip":
            middle = len(body) // 2
            body = body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]
        length = {"short": len(body) // 2, "long": len(body) + 999}.get(fault, len(body))
        if fault != "unsized":
            self.send_header("Content-Length", str(length))
        self.send_header("ETag", tag)
        self.send_header("X-Repo-Commit", self.server.commit)
        self.end_headers()
        if self.command == "HEAD":
            return

        self.wfile.write(body[: length // 2] if fault in {"reset", "close", "stall"} else body[:length])
        self.wfile.flush()
        if fault == "stall":
            self.server.over.wait()
        if fault == "reset":  # the kernel then sends RST, not FIN
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
