"""Pictures that a list names, each fetched by itself; what lies there is not fetched again.

Nobody states hashes of single pictures. Ours are kept in a file that `sha256sum -c` reads too, and a picture has to
have the one that it had first, whether it is fetched once more or lies there.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

from ood_lightning.data.artifacts.files import atomic_write, make_folder
from ood_lightning.data.cards.fetching import NAME
from ood_lightning.data.pack.listings import TOO_LARGE, Entry, Listing, Refused, file_entry
from ood_lightning.data.remote.addresses import redacted
from ood_lightning.data.remote.download import download
from ood_lightning.data.shards.formats import MAX_BYTES, may_be_picture
from ood_lightning.errors import RefusedError, SourceError, UnwritableError, UserError
from ood_lightning.file_names import name_fault
from ood_lightning.hashes import sha256_of
from ood_lightning.progress import bar
from ood_lightning.text_files import lines_of, read_text

SUMS = "SHA256SUMS"
AT_ONCE = 8  # transfers


def names_in(path: Path) -> list[str]:
    """The last parts of a list's paths, each once, in its order; labels are not read.

    Raises:
        SourceError: the list is empty, or a name is none of a picture's file.
    """
    names = []
    for number, line in enumerate(lines_of(read_text(path, "list", SourceError)), 1):
        words = line.rsplit(maxsplit=1)
        if not words:
            continue
        is_label = len(words) == 2 and words[1].removeprefix("-").isdecimal()
        name = (words[0] if is_label else line.strip()).rpartition("/")[2]

        fault = name_fault(name) or ("" if may_be_picture(name) else "it is no picture by its ending")
        if fault:
            raise SourceError(f"{path}, line {number}: names the picture {name!r}, but {fault}")
        names.append(name)

    if not names:
        raise SourceError(f"{path} names no pictures")
    return list(dict.fromkeys(names))


def fetched_pictures(names: Sequence[str], addresses: Sequence[str], folder: Path) -> Listing:
    """Fetch those pictures that are not there, and verify those that are.

    Args:
        names: of files.
        addresses: with `{name}`, tried in this order.
        folder: where they lie.

    Returns:
        All of them, in the order of the list; one that every address refuses, or that has other bytes than it had
        first, is an entry that cannot be read.

    Raises:
        SourceError: a server does not answer, so that it is no use to ask it for the others.
        UnwritableError: the disk is full.
    """
    make_folder(folder)
    sums = _read_sums(folder)
    refused: dict[str, str] = {}

    def get(name: str) -> None:
        try:
            if (folder / name).is_file():  # a call that was killed has kept no hash of it
                sums[name] = _verified_there(name, folder, sums.get(name, ""))
            else:
                sums[name] = _fetch(name, addresses, folder, sums.get(name, ""))
        except RefusedError as error:
            refused[name] = str(error)

    executor = ThreadPoolExecutor(AT_ONCE)
    try:
        with bar(len(names), f"fetch {folder.name}", "img") as progress_bar:
            for _ in executor.map(get, names):
                progress_bar.update()
    except UserError:
        raise
    except OSError as error:
        raise UnwritableError(folder, error.strerror or str(error)) from None
    finally:
        executor.shutdown(cancel_futures=True)
        atomic_write(folder / SUMS, "".join(f"{digits}  {name}\n" for name, digits in sorted(sums.items())).encode())

    entries = [Entry(n, Refused(refused[n]), "") if n in refused else file_entry(n, folder / n) for n in names]
    return Listing(entries)


def _read_sums(folder: Path) -> dict[str, str]:
    """SHA-256 of the pictures that have been fetched into a folder, by name."""
    path = folder / SUMS
    lines = lines_of(read_text(path, "list of hashes", SourceError)) if path.is_file() else []
    pairs = [line.split("  ", 1) for line in lines if line.strip()]
    return {pair[-1]: pair[0] for pair in pairs}


def _verified_there(name: str, folder: Path, expected: str) -> str:
    """SHA-256 of a picture that lies there."""
    sha256 = sha256_of(folder / name)
    if expected and sha256 != expected:
        raise RefusedError(
            f"{folder / name} has other bytes than at the first fetch (kept by us: {folder / SUMS}): remove it, and it "
            f"is fetched anew"
        )
    return sha256


def _fetch(name: str, addresses: Sequence[str], folder: Path, expected: str) -> str:
    """Fetch one picture from the first address that has it; returns its SHA-256."""
    part = folder / f".{name}.part"
    causes = []

    for address in addresses:
        url = address.replace(NAME, quote(name))
        try:
            with part.open("w+b") as file:
                download(url, file, watcher=_Bounded(url))
        except RefusedError as error:
            causes.append(str(error))
            continue

        sha256 = sha256_of(part)
        if not expected or sha256 == expected:
            part.replace(folder / name)
            return sha256
        causes.append(f"{redacted(url)} gives other bytes than at the first fetch (kept by us: {folder / SUMS})")

    part.unlink(missing_ok=True)
    raise RefusedError("; ".join(causes))


class _Bounded:
    """Refuses to write more than any picture has."""

    def __init__(self, url: str) -> None:
        self.url, self.n_bytes = url, 0

    def answered(self, held: int, total: int | None, etag: str) -> None:
        """See :class:`~ood_lightning.data.remote.download.Watcher`."""
        self.n_bytes = held
        if total is not None and total > MAX_BYTES:
            raise RefusedError(f"{redacted(self.url)} is {TOO_LARGE}")

    def received(self, n_bytes: int) -> None:
        """See :class:`~ood_lightning.data.remote.download.Watcher`."""
        self.n_bytes += n_bytes
        if self.n_bytes > MAX_BYTES:
            raise RefusedError(f"{redacted(self.url)} is {TOO_LARGE}")
