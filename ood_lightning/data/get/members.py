"""The pictures of a set within an archive that may hold other sets too; nothing is unpacked."""

from collections import Counter
from pathlib import Path

from ood_lightning.data.cards.fetching import Fetch
from ood_lightning.data.pack.archives import tar_listing, zip_listing
from ood_lightning.data.pack.listings import Entry, Listing
from ood_lightning.data.shards.formats import ending_of
from ood_lightning.errors import SourceError


def pictures_of(archive: Path, fetch: Fetch) -> Listing:
    """The pictures of the folder that is meant, without those that are left out.

    Their paths start from that folder, so keys are those of a packing from the unpacked folder.

    Args:
        archive: a tar without compression, or a zip.
        fetch: which folder, and what is no part of the set.

    Raises:
        SourceError: it is damaged, or the folder or something that is left out is not in it.
    """
    with archive.open("rb") as file:
        is_zip = file.read(2) == b"PK"
    listing = zip_listing(archive) if is_zip else tar_listing(archive)

    if fetch.folder:
        listing.passed_over = Counter()  # it counts the whole archive
        start = f"{fetch.folder.strip('/')}/"
        listing.entries = [e._replace(path=e.path[len(start) :]) for e in listing.entries if e.path.startswith(start)]

    for left_out in fetch.leave_out:
        if not any(_matches(entry, left_out) for entry in listing.entries):
            raise SourceError(
                f"{archive} holds no {fetch.folder}/{left_out}, which the card leaves out: is it another?"
            )
    listing.entries = [entry for entry in listing.entries if not _is_out(entry, fetch)]

    if not listing.entries:
        raise SourceError(f"{archive} holds no pictures in {fetch.folder or 'it'}: is it the archive of the card?")
    return listing


def _matches(entry: Entry, left_out: str) -> bool:
    """Whether a picture is left out by a line: a folder with `/` at its end, or a picture."""
    return entry.path.startswith(left_out) if left_out.endswith("/") else entry.path == left_out


def _is_out(entry: Entry, fetch: Fetch) -> bool:
    if ending_of(entry.path) in fetch.endings_out:
        return True
    return any(_matches(entry, left_out) for left_out in fetch.leave_out)
