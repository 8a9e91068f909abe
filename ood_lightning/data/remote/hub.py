"""Files of data sets on the Hugging Face hub, through its own client, with its cache (`$HF_HOME`) and its token."""

import errno
from pathlib import Path

from ood_lightning.data.remote import download
from ood_lightning.data.remote.addresses import ON_HUB
from ood_lightning.errors import SourceError, first_line
from ood_lightning.file_names import path_fault
from ood_lightning.masking import mask_of, masked
from ood_lightning.retries import GivenUpError, TransientError, UnreachableError, check_reachable, retry


def hub_file(source: str) -> Path:
    """Where a file of the hub lies on this machine; the client fetches it if it is not there.

    Args:
        source: `hf:OWNER/DATASET/PATH`, with `@REVISION` behind the data set if wanted.

    Raises:
        SourceError: the address is no file's, or the file cannot be fetched.
    """
    from huggingface_hub import hf_hub_download, try_to_load_from_cache
    from huggingface_hub.constants import ENDPOINT, HF_HUB_OFFLINE

    parts = ON_HUB.fullmatch(source)
    if not parts or not parts[3]:
        raise SourceError(f"{source!r}: expected hf:OWNER/DATASET/PATH, or hf:OWNER/DATASET@REVISION/PATH")
    repository, revision, path = parts.groups()
    if fault := path_fault(path):
        raise SourceError(f"{source!r}: {fault}")

    try:
        if not HF_HUB_OFFLINE:
            check_reachable(ENDPOINT)
    except UnreachableError as error:  # said at once: tries of ours, each with tries of the client, take minutes
        cached = try_to_load_from_cache(repository, path, repo_type="dataset", revision=revision)
        if not isinstance(cached, str):
            raise _not_fetched(source, str(error)) from None
        return Path(cached)

    def attempt() -> Path:
        try:
            return Path(hf_hub_download(repository, path, repo_type="dataset", revision=revision))
        except Exception as error:  # also those of its HTTP library, which has been another in each major version
            if _may_pass(error) and not HF_HUB_OFFLINE:
                raise TransientError(client_words(error)) from None
            raise _not_fetched(source, client_words(error)) from None

    try:
        return retry(attempt, download.TRIES, download.FIRST_WAIT_S, download.MAX_WAIT_S)
    except GivenUpError as error:
        raise _not_fetched(source, str(error), f", given up after {error.tries} tries") from None


def client_words(error: Exception) -> str:
    """The first line of an error of the hub's client, which quotes the server: without tokens and signatures."""
    from huggingface_hub import get_token

    return mask_of(get_token() or "")(masked(first_line(error)))


def _not_fetched(source: str, cause: str, tries: str = "") -> SourceError:
    return SourceError(
        f"{source} cannot be fetched{tries}: {cause} (a data set with restricted access needs `hf auth login` or "
        f"HF_TOKEN)"
    )


def _may_pass(error: Exception) -> bool:
    """Whether another try may mend what the hub's client gave up on: it does not try again after a reset or a 503."""
    cause: BaseException | None = error
    while cause is not None:  # a refusal may stand behind "not found in the cache"
        status = getattr(getattr(cause, "response", None), "status_code", None)
        if isinstance(status, int):
            return download.may_pass(status)
        cause = cause.__cause__ or cause.__context__

    if isinstance(error, OSError):
        return error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS}
    # by name: they are httpx's or httpx2's, and no OSErrors
    return any(kind.__name__ == "TransportError" for kind in type(error).__mro__)
