"""Files of a repository of the hub, all of one commit: the one that the hub's cache holds, else the newest.

So all processes of a run take the same files, and a new commit of the repository changes no features unnoticed.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from ood_lightning.errors import EncoderError, first_line


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
    from huggingface_hub import hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    reason = ""
    try:
        for file in files:
            cached = try_to_load_from_cache(repository, file, cache_dir=cache_dir, revision=revision)
            if isinstance(cached, str):
                return Path(cached).parent

        for file in files:
            try:
                return Path(hf_hub_download(repository, file, cache_dir=cache_dir, revision=revision)).parent
            except LocalEntryNotFoundError:  # nobody answered
                raise
            except EntryNotFoundError as error:
                reason = first_line(error)
    except (OSError, ValueError) as error:
        reason = first_line(error)

    name = f"{repository}@{revision}" if revision else repository
    raise EncoderError(
        f"{' or '.join(files)} of the hub's repository {name!r} is not in its cache and cannot be fetched: {reason} "
        f"Where there is no network, fetch it elsewhere and set HF_HOME to the cache, or name a folder"
    )
