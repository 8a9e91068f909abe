"""A web server that breaks as told: the next answers for a path are those of a list of faults, then all is well."""

import socket
import struct
import threading
import time
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

STALL_S = 1.0


class FaultyServer(ThreadingHTTPServer):
    """Serves `files` by path, with byte ranges.

    Attributes:
        files: content by path, `/a/b.tar`.
        faults: what goes wrong in the next answers for a path, first things first; see `Handler`.
        seen: requests as (path, Range header or "").
        headers: of each of them, names in lower case.
        commit: of all files, as the hub names it in its answers.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, list[str]] = defaultdict(list)
        self.seen: list[tuple[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.commit = "0" * 40

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def requests(self, path: str) -> list[str]:
        """Ranges that were asked of a path."""
        return [span for seen, span in self.seen if seen == path]

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, *_: object) -> None:
        """A client that went away is no news."""


class Handler(BaseHTTPRequestHandler):
    """Answers as the server's list of faults says."""

    server: FaultyServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        span = self.headers.get("Range", "")
        self.server.seen.append((path, span))
        self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
        fault = self.server.faults[path].pop(0) if self.server.faults[path] else ""
        self.close_connection = True
        if fault.isdecimal():
            self.send_error(int(fault))
        elif fault[:3].isdecimal():  # with the hub's word for it, `403:GatedRepo`
            self.send_response(int(fault[:3]))
            self.send_header("X-Error-Code", fault[4:])
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif fault.startswith("to:"):
            self.send_response(302)
            self.send_header("Location", fault.removeprefix("to:"))
            if path in self.server.files:  # what the hub says of a file that it keeps elsewhere
                self.send_header("X-Linked-Etag", self._tag(self.server.files[path]))
                self.send_header("X-Linked-Size", str(len(self.server.files[path])))
                self.send_header("X-Repo-Commit", self.server.commit)
            self.send_header("Content-Length", "0")
            self.end_headers()
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

    def _tag(self, body: bytes) -> str:
        return f'"{hash(body)}"'

    def _send(self, body: bytes, span: str, fault: str) -> None:
        whole, start = len(body), 0
        tag = self._tag(body)
        if fault == "slow":
            time.sleep(STALL_S)
        if fault == "html":
            body, span = b"<html>please log in</html>", ""
        if span and fault != "no_range" and self.headers.get("If-Range", tag) == tag:
            start = int(span.removeprefix("bytes=").rstrip("-"))
            if start >= whole:
                self.send_error(416)
                return
            body = body[start:]
            self.send_response(206)
            said = start + 1 if fault == "wrong_range" else start
            self.send_header("Content-Range", f"bytes {said}-{whole - 1}/{whole}")
        else:
            self.send_response(200)
        if fault == "flip":
            body = body[: len(body) // 2] + bytes([body[len(body) // 2] ^ 1]) + body[len(body) // 2 + 1 :]
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
            time.sleep(STALL_S)
        if fault == "reset":  # the kernel then sends RST, not FIN
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
