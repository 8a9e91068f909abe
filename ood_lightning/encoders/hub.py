"""Files of a repository of the hub, all of one commit: the one that the hub's cache holds, else the newest.

So all processes of a run take the same files, and a new commit of the repository changes no features unnoticed.
"""

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from ood_lightning.errors import EncoderError, first_line
from ood_lightning.retries import REACHED_WITHIN_S, UnreachableError, check_reachable, within_limit

OF_HUB = ("X-Repo-Commit", "X-Error-Code")  # headers of a hub's answer, one for a file and one where there is none


def commit_of(repository: str, file: str, revision: str | None, cache_dir: str | None) -> str:
    """Commit that a branch or tag stands for: the one that the cache holds, else the newest.

    Args:
        repository: id on the hub.
        file: name of a file that every repository of its kind has; fetched where the cache does not hold it.
        revision: branch, tag or commit; None is `main`.
        cache_dir: the hub's default if None.

    Raises:
        EncoderError: the cache does not hold it and it cannot be fetched.
    """
    if revision and re.fullmatch("[0-9a-f]{40}", revision):
        return revision

    return fetched(repository, [file], revision, cache_dir).name  # snapshots/COMMIT


def fetched(repository: str, files: Sequence[str], revision: str | None, cache_dir: str | None) -> Path:
    """Fetch one of several files, unless the hub's cache holds one of them already.

    Args:
        repository: id on the hub.
        files: names; the first one that the cache holds is taken, else the first one that the repository has.
        revision: branch, tag or commit; None is `main`.
        cache_dir: the hub's default if None.

    Returns:
        The cache's folder of that commit, in which the file lies.

    Raises:
        EncoderError: the repository has none of them, or nothing can be fetched.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    reason = ""
    try:
        if cached := in_cache(repository, files, revision, cache_dir):
            return cached

        _check_hub(repository, files[0], revision)
        for file in files:
            try:
                return Path(hf_hub_download(repository, file, cache_dir=cache_dir, revision=revision)).parent
            except LocalEntryNotFoundError:  # nobody answered
                raise
            except EntryNotFoundError as error:
                reason = first_line(error)
    except (OSError, ValueError) as error:
        reason = first_line(error)
    except UnreachableError as error:
        reason = str(error)

    raise NotAtHandError.of(repository, files, revision, reason)


def check_at_hand(repository: str, files: Sequence[str], revision: str | None, cache_dir: str | None) -> str:
    """Whether one of several files lies in the hub's cache, or the hub can be reached to fetch it, in words.

    Args:
        repository: id on the hub.
        files: names, of which one will be wanted.
        revision: branch, tag or commit; None is `main`.
        cache_dir: the hub's default if None.

    Raises:
        EncoderError: neither.
    """
    try:
        if in_cache(repository, files, revision, cache_dir):
            return "in the hub's cache"
        _check_hub(repository, files[0], revision)
    except (OSError, ValueError, UnreachableError) as error:
        raise NotAtHandError.of(repository, files, revision, first_line(error)) from None
    return "to be fetched from the hub, which can be reached"


def in_cache(repository: str, files: Sequence[str], revision: str | None, cache_dir: str | None) -> Path | None:
    """The cache's folder in which the first of the files lies that it holds."""
    from huggingface_hub import try_to_load_from_cache

    for file in files:
        cached = try_to_load_from_cache(repository, file, cache_dir=cache_dir, revision=revision)
        if isinstance(cached, str):
            return Path(cached).parent
    return None


def _check_hub(repository: str, file: str, revision: str | None) -> None:
    """Say at once that the hub cannot be asked: its client would try for half a minute.

    Raises:
        UnreachableError: nobody answers, or something else than a hub does.
    """
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        raise UnreachableError("HF_HUB_OFFLINE is set")
    check_reachable(constants.ENDPOINT)
    _check_answers(f"{constants.ENDPOINT}/{repository}/resolve/{revision or 'main'}/{file}")


@cache  # a failure is not kept
def _check_answers(url: str) -> None:
    """Ask once for the headers of a file: some proxies take every connection, and answer for any server.

    Args:
        url: of a file of the hub; it need not exist.

    Raises:
        UnreachableError: there is no answer, or none that a hub gives.
    """
    from huggingface_hub.utils import get_session  # type: ignore[attr-defined]

    def ask() -> None:
        answer = get_session().head(url, timeout=REACHED_WITHIN_S)
        if not any(name in one.headers for one in (*answer.history, answer) for name in OF_HUB):
            raise UnreachableError(f"something else answers, with HTTP {answer.status_code}")

    within_limit(ask, urlsplit(url).hostname or "", "no answer")


class NotAtHandError(EncoderError):
    """Files of the hub that are neither in its cache nor can be fetched.

    Attributes:
        reason: why they cannot be fetched.
    """

    reason: str

    @classmethod
    def of(cls, repository: str, files: Sequence[str], revision: str | None, reason: str) -> "NotAtHandError":
        """The error of some files of a repository."""
        name, cause = f"{repository}@{revision}" if revision else repository, reason.rstrip(".")
        error = cls(
            f"{' or '.join(files)} of the hub's repository {name!r} is not in its cache and cannot be fetched: "
            f"{cause}. Where there is no network, fetch it elsewhere and set HF_HOME to the cache, or name a folder"
        )
        error.reason = cause
        return error
