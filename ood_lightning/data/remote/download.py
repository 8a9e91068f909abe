"""Files over HTTP: a broken transfer is tried again and goes on where it broke; what cannot be read is refused by name.

TLS is verified. Plain `http:` is for this machine alone, since on a network anybody on the way could change both shards
and the manifest that vouches for them; a redirect is held to the same rule. Proxies come from the usual variables.
"""

import errno
import os
import ssl
from http.client import HTTPException
from typing import IO, Any, Protocol
from urllib.error import HTTPError, URLError
from urllib.parse import parse_qsl, urlsplit
from urllib.request import HTTPRedirectHandler, Request

from ood_lightning.data.remote.addresses import redacted
from ood_lightning.data.remote.timed_http import timed_opener
from ood_lightning.errors import RefusedError, SourceError
from ood_lightning.masking import mask_of
from ood_lightning.retries import GivenUpError, TransientError, retry

TRIES = 6  # in a row that brought less than ENOUGH_BYTES new ones
TIMEOUT_S = 30.0  # for the headers of an answer, and for each SLOWEST_BYTES of its body
SLOWEST_BYTES = 1 << 18  # a server that sends fewer in that time, such as a byte a second, is tried again
FIRST_WAIT_S, MAX_WAIT_S = 1.0, 30.0
ENOUGH_BYTES = 1 << 20  # a transfer that breaks after so many new ones is getting on
CHUNK = 1 << 20  # bytes
PARTIAL_CONTENT, TOO_FEW_BYTES = 206, 416
LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def may_pass(status: int) -> bool:
    """Whether another try may mend an HTTP status: an error of the server, a time-out, too early, too many requests."""
    return status >= 500 or status in {408, 425, 429}


class _CheckRedirects(HTTPRedirectHandler):
    def redirect_request(self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Request | None:
        check_url(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def check_url(url: str) -> None:
    """Refuse what is not read.

    Raises:
        SourceError: plain `http:` to another machine, or a password in the URL.
    """
    parts = urlsplit(url)
    if not parts.hostname:
        raise SourceError(f"{redacted(url)!r} names no host: expected https://HOST/PATH")
    if "@" in parts.netloc:
        raise SourceError(
            f"{redacted(url)} is given with a user or password, which would be kept in the run's settings. Use "
            f"`pipe:curl --netrc ...`, which reads them from ~/.netrc."
        )
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise SourceError(
            f"{redacted(url)}: only https: is read, and http: of this machine, for without TLS anybody on the way may "
            f"change the bytes. If it has to be: `pipe:curl -sSf {parts.scheme}://...`."
        )


class Watcher(Protocol):
    """Who wants to know how a download gets on."""

    def answered(self, held: int, total: int | None, etag: str) -> None:
        """A server has answered, before anything that it sends is written.

        Args:
            held: bytes that the file has and that stay; 0: the server sends all of them.
            total: bytes of the whole file, if the server says it.
            etag: of the version that it sends; empty: it names none that vouches for the bytes.
        """

    def received(self, n_bytes: int) -> None:
        """So many bytes have come."""


def download(
    url: str, file: IO[bytes], size: int | None = None, *, etag: str = "", watcher: Watcher | None = None
) -> None:
    """Write what `url` holds to `file`; what the file already has is not sent again.

    Args:
        url: `https:`, or `http:` of this machine.
        file: open for reading and appending.
        size: bytes to expect, if that is known.
        etag: of the version that the file's bytes are of, from an earlier call; empty: unknown.
        watcher: is told of each answer and of the bytes that come.

    Raises:
        RefusedError: the server says that it will not.
        SourceError: still broken after `TRIES` tries, or not to be read.
        OSError: the disk is full.
    """
    check_url(url)
    transfer = _Transfer(url, file, size, etag, watcher)
    try:
        retry(transfer.attempt, TRIES, FIRST_WAIT_S, MAX_WAIT_S, progressed=transfer.progressed)
    except GivenUpError as error:
        raise SourceError(
            f"{redacted(url)} cannot be fetched, given up after {error.tries} tries: {error}. {transfer.held():,} "
            f"bytes had come."
        ) from None


class _Transfer:
    """A download over several tries, each of which goes on where the one before broke."""

    def __init__(self, url: str, file: IO[bytes], size: int | None, etag: str, watcher: Watcher | None) -> None:
        self.url, self.file, self.size, self.watcher = url, file, size, watcher
        self.mask = mask_of(*_secrets_in(url))  # a server may repeat the address
        self.etag = etag  # of the version that the file's bytes are of; empty: unknown
        self.counted = 0  # bytes that the file held when `progressed` last said yes

    def held(self) -> int:
        """Bytes that the file has, and where it is written next."""
        return self.file.seek(0, os.SEEK_END)

    def progressed(self) -> bool:
        """Whether enough bytes have come since this was last so."""
        enough = self.held() >= self.counted + ENOUGH_BYTES
        if enough:
            self.counted = self.held()
        return enough

    def attempt(self) -> None:
        """Fetch what the file lacks.

        Raises:
            TransientError: another try may mend it.
            RefusedError, SourceError, OSError: see :func:`download`.
        """
        try:
            self._fetch_rest()
            return
        except (SourceError, TransientError):  # a SourceError is an OSError too: a redirect to what is not read
            raise
        except HTTPError as error:
            error.close()
            cause = f"the server says {error.code} {self.mask(str(error.reason))[:200]}"
            if error.code == TOO_FEW_BYTES:  # the server's file is shorter than ours
                self._start_over()
            elif not may_pass(error.code):
                raise RefusedError(f"{redacted(self.url)} cannot be fetched: {cause}") from None
        except (OSError, HTTPException) as error:
            reason = error.reason if isinstance(error, URLError) else error
            if isinstance(reason, ssl.SSLCertVerificationError):
                raise SourceError(
                    f"{redacted(self.url)} cannot be fetched: its certificate is not trusted "
                    f"({reason.verify_message}). A site's own authority is named by SSL_CERT_FILE."
                ) from None
            if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise  # the caller knows which disk it is, and says so
            cause = self.mask(str(reason))[:200] or type(reason).__name__

        raise TransientError(cause)

    def _fetch_rest(self) -> None:
        held = self.held()
        if self.size is not None and held > self.size:
            held = self._start_over()
        if held and held == self.size:
            return

        opener = timed_opener(_CheckRedirects, enough_bytes=SLOWEST_BYTES)
        with opener.open(self._request(held), timeout=TIMEOUT_S) as answer:
            total = _total_bytes(answer, held)
            if answer.status != PARTIAL_CONTENT:  # the server sends the whole file again
                held = self._start_over()
            if self.size is not None and total not in (None, self.size):
                self._start_over()
                raise TransientError(f"the server offers {total:,} bytes, {self.size:,} were expected")

            etag = answer.headers.get("ETag", "")
            self.etag = "" if etag.startswith("W/") else etag  # a weak one does not vouch for the bytes
            if self.watcher is not None:
                self.watcher.answered(held, total if self.size is None else self.size, self.etag)
            while chunk := answer.read1(CHUNK):  # what has come, so that a stall loses nothing
                held += self.file.write(chunk)
                if self.watcher is not None:
                    self.watcher.received(len(chunk))
                if self.size is not None and held > self.size:
                    break

        expected = total if self.size is None else self.size
        if expected is not None and held != expected:
            raise TransientError(f"the transfer ended after {held:,} of {expected:,} bytes")

    def _request(self, held: int) -> Request:
        headers = {"Accept-Encoding": "identity", "User-Agent": "ood-lightning"}
        if held:
            headers["Range"] = f"bytes={held}-"
            if self.etag:  # or the rest of another version would be joined to the start of this one
                headers["If-Range"] = self.etag
        return Request(self.url, headers=headers)

    def _start_over(self) -> int:
        """Forget what the file has; returns how much that leaves."""
        self.file.seek(0)
        return self.file.truncate(0)


def _secrets_in(url: str) -> list[str]:
    """The query of an address, which may be a signature, and the values in it."""
    query = urlsplit(url).query
    return [query, *(value for _, value in parse_qsl(query))]


def _total_bytes(answer: Any, held: int) -> int | None:
    """How many bytes the whole file has, as the server says; None if it does not.

    Raises:
        TransientError: it sends another part than the one after the bytes that are held.
    """
    total = answer.headers.get("Content-Length", "")
    if answer.status == PARTIAL_CONTENT:
        span, _, total = answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
        if span.partition("-")[0] != str(held):
            raise TransientError(f"the server goes on at another byte than {held:,}")
    return int(total) if total.isdecimal() else None
