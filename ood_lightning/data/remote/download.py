"""Files over HTTP, whatever breaks on the way: tried again, gone on with where they broke, refused by name.

TLS is verified. Plain `http:` is for this machine alone, since on a network anybody on the way could change both shards
and the manifest that vouches for them; a redirect is held to the same rule. Proxies come from the usual variables.
"""

import errno
import os
import random
import ssl
import time
from collections.abc import Callable
from http.client import HTTPException
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from ood_lightning.errors import RefusedError, SourceError

TRIES = 6  # in a row that brought less than WORTH_GOING_ON new bytes
TIMEOUT_S = 30.0  # without a single byte
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 30.0
WORTH_GOING_ON = 1 << 20
CHUNK = 1 << 20
PASSING = {408, 425, 429}  # of what is below 500, what another try may mend
LOOPBACK = {"localhost", "127.0.0.1", "::1"}
Told = Callable[[int], object]


class _BrokenError(Exception):
    """A transfer that ended before its end."""


class _HeldToTheRule(HTTPRedirectHandler):
    def redirect_request(self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Request | None:
        check_url(newurl)
        new = super().redirect_request(req, fp, code, msg, headers, newurl)
        if new is not None and urlsplit(newurl)[:2] == urlsplit(req.full_url)[:2]:  # a token is for one host alone
            for name, value in req.unredirected_hdrs.items():
                if name == "Authorization":
                    new.add_unredirected_header(name, value)
        return new


_OPENER = build_opener(_HeldToTheRule)


def redacted(url: str) -> str:
    """A URL as messages may name it: without user, password and query, where signatures stand."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


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


def download(
    url: str,
    file: IO[bytes],
    size: int | None = None,
    authorization: str = "",
    told: Told = lambda held: None,
) -> None:
    """Write what `url` holds to `file`, going on from what the file already has.

    Args:
        url: `https:`, or `http:` of this machine.
        file: open for reading and appending.
        size: bytes to expect, if that is known.
        authorization: header of that name; sent to no other host that the server redirects to.
        told: called with the bytes that are held, whenever some have come.

    Raises:
        RefusedError: the server says that it will not.
        SourceError: still broken after `TRIES` tries, or not to be read.
        OSError: the disk is full.
    """
    check_url(url)
    fails, best, etag = 0, 0, [""]
    while True:
        try:
            _go_on(url, file, size, etag, authorization, told)
            return
        except SourceError:  # an OSError too: a redirect to what is not read
            raise
        except HTTPError as error:
            error.close()
            cause = f"the server says {error.code} {error.reason}"
            if error.code < 500 and error.code not in {*PASSING, 416}:
                refused = RefusedError(f"{redacted(url)} cannot be fetched: {cause}")
                refused.status = error.code
                raise refused from None
            if error.code == 416:  # it has fewer bytes than we do
                file.truncate(file.seek(0))
        except (OSError, HTTPException, _BrokenError) as error:
            reason = error.reason if isinstance(error, URLError) else error
            if isinstance(reason, ssl.SSLCertVerificationError):
                raise SourceError(
                    f"{redacted(url)} cannot be fetched: its certificate is not trusted ({reason.verify_message}). A "
                    f"site's own authority is named by SSL_CERT_FILE."
                ) from None
            if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise  # it is told by whoever knows the disk
            cause = str(reason) or type(reason).__name__
        held = file.seek(0, os.SEEK_END)
        if held >= best + WORTH_GOING_ON:
            fails, best = 0, held
        fails += 1
        if fails >= TRIES:
            raise SourceError(
                f"{redacted(url)} cannot be fetched, given up after {fails} tries: {cause}. {held:,} bytes had come."
            )
        pause(fails)


def pause(fails: int) -> None:
    """Wait after so many failures in a row, each time twice as long."""
    # times a random factor: many workers that a server turned away together should not come back together
    time.sleep(min(FIRST_WAIT_S * 2 ** (fails - 1), LONGEST_WAIT_S) * random.uniform(0.5, 1.5))


def _go_on(url: str, file: IO[bytes], size: int | None, etag: list[str], authorization: str, told: Told) -> None:
    """One try."""
    held = file.seek(0, os.SEEK_END)
    if size is not None and held > size:
        held = file.truncate(file.seek(0))
    told(held)
    if held and held == size:
        return
    headers = {"Accept-Encoding": "identity", "User-Agent": "ood-lightning"}
    if held:
        headers["Range"] = f"bytes={held}-"
        if etag[0]:
            headers["If-Range"] = etag[0]  # or the rest of another version would be joined to the start of this one
    request = Request(url, headers=headers)
    if authorization:
        request.add_unredirected_header("Authorization", authorization)
    with _OPENER.open(request, timeout=TIMEOUT_S) as answer:
        total = _total(answer, held)
        if answer.status != 206:
            held = file.truncate(file.seek(0))
        given = answer.headers.get("ETag", "")
        etag[0] = "" if given.startswith("W/") else given
        if size is not None and total not in (None, size):
            file.truncate(file.seek(0))
            raise _BrokenError(f"the server offers {total:,} bytes, {size:,} were expected")
        while chunk := answer.read1(CHUNK):  # what has come, so that a stall loses nothing
            held += file.write(chunk)
            told(held)
    wanted = total if size is None else size
    if wanted is not None and held != wanted:
        raise _BrokenError(f"the transfer ended after {held:,} of {wanted:,} bytes")


def _total(answer: Any, held: int) -> int | None:
    """How many bytes the whole file has, as the server says."""
    if answer.status == 206:
        span, _, total = answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
        if span.partition("-")[0] != str(held):
            raise _BrokenError(f"the server goes on at another place than byte {held:,}")
        return int(total) if total.isdecimal() else None
    length = answer.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() else None
