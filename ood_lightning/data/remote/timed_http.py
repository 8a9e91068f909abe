"""HTTP with a deadline for all of an answer, also from a server that sends a byte now and then.

`urllib` limits each wait for bytes alone. Here every wait ends at the deadline: those for the status, for headers, for
each part of the body, for a proxy's answer, and for all servers that one redirects to. A TLS handshake has the time-out
as a whole by itself.
"""

import io
import socket
from functools import partial
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from time import monotonic
from typing import Any
from urllib.request import HTTPHandler, HTTPSHandler, OpenerDirector, Request, build_opener


class _Deadline:
    """When waiting ends.

    Args:
        timeout_s: from now on.
        enough_bytes: that many in time, and the time begins anew; None: it never does.
    """

    def __init__(self, timeout_s: float, enough_bytes: int | None) -> None:
        self.timeout_s, self.enough_bytes = timeout_s, enough_bytes
        self.n_bytes, self.ends = 0, monotonic() + timeout_s

    def left_s(self) -> float:
        """Seconds that are left.

        Raises:
            TimeoutError: none are.
        """
        left_s = self.ends - monotonic()
        if left_s <= 0:
            raise TimeoutError("timed out")
        return left_s

    def count(self, n_bytes: int) -> None:
        """So many bytes have come."""
        self.n_bytes += n_bytes
        if self.enough_bytes is not None and self.n_bytes >= self.enough_bytes:
            self.n_bytes, self.ends = 0, monotonic() + self.timeout_s


class _Timed(io.RawIOBase):
    """What a socket receives before the deadline."""

    def __init__(self, sock: socket.socket, deadline: _Deadline) -> None:
        self.sock, self.deadline = sock, deadline
        self.raw = sock.makefile("rb", buffering=0)  # keeps the socket open until this is closed

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self.sock.settimeout(self.deadline.left_s())
        n_bytes = self.raw.readinto(buffer) or 0
        self.deadline.count(n_bytes)
        return n_bytes

    def close(self) -> None:
        self.raw.close()
        super().close()


class _TimedResponse(HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, deadline: _Deadline, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp.close()
        self.fp = io.BufferedReader(_Timed(sock, deadline))


class _Handler(HTTPHandler, HTTPSHandler):
    """Opens connections whose answers have one deadline, which the time-out of the first request sets."""

    def __init__(self, enough_bytes: int | None) -> None:
        super().__init__()
        self.enough_bytes = enough_bytes
        self.deadline: _Deadline | None = None

    def http_open(self, req: Request) -> Any:
        return self.do_open(self._connection(HTTPConnection), req)

    def https_open(self, req: Request) -> Any:
        return self.do_open(self._connection(HTTPSConnection), req)

    def _connection(self, kind: type[HTTPConnection]) -> Any:
        def connect(host: str, timeout: float, **options: Any) -> HTTPConnection:
            self.deadline = self.deadline or _Deadline(timeout, self.enough_bytes)
            connection = kind(host, timeout=self.deadline.left_s(), **options)
            connection.response_class = partial(_TimedResponse, deadline=self.deadline)  # type: ignore[assignment]
            return connection

        return connect


def timed_opener(*handlers: Any, enough_bytes: int | None = None) -> OpenerDirector:
    """An opener of `urllib` for one request: the time-out of `open` is that of all of it, body and redirects included.

    Args:
        handlers: of `urllib`, as for `build_opener`.
        enough_bytes: so many bytes within the time-out begin it anew, for files that take longer; None: nothing does.
    """
    return build_opener(_Handler(enough_bytes), *handlers)
