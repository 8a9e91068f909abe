"""Where a fetched file came from and what it was: a small JSON file beside it, for the next fetch to compare with."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

from ood_lightning.data.artifacts.files import write_json
from ood_lightning.data.artifacts.typed import STRICT, Count, Text, decode_json
from ood_lightning.data.cards.fetching import ArchiveEntries
from ood_lightning.errors import SettingsError

OURS = "this SHA-256 was computed here when the file first came; nobody else vouches for it"
HERE = "lay here already"  # in place of an address


@dataclass(frozen=True)
class Provenance:
    """Of one fetched file.

    Args:
        address: that it came from.
        bytes: its size.
        sha256: of its bytes, computed here.
        stated: the hash that a source states and that these bytes have, and who says so; empty: none is stated.
        note: what that means.
    """

    __pydantic_config__: ClassVar = STRICT

    address: Text
    bytes: Count
    sha256: Text
    stated: str
    note: str


def record_of(file: Path) -> Path:
    """Where the provenance of a file lies, whether or not the file itself is still there."""
    return file.with_name(f"{file.name}.fetched.json")


def read_provenance(file: Path) -> Provenance | None:
    """Of a file that was fetched before; None: it was not.

    Raises:
        SettingsError: it cannot be read.
    """
    path = record_of(file)
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):  # of a file in the folder's place it is said when it is made
        return None
    return decode_json(
        content, Provenance, str(path), lambda text: SettingsError(f"{text}. Remove it, and the file is taken as new")
    )


def write_provenance(file: Path, archive: ArchiveEntries, address: str, n_bytes: int, sha256: str) -> Provenance:
    """Note what was fetched, beside where it lies."""
    kind, digits = archive.digest
    stated = f"{kind} {digits}, {archive.stated_by}" if kind else ""
    note = f"its {kind} is the stated one" if kind else OURS
    provenance = Provenance(address, n_bytes, sha256, stated, note)
    write_json(record_of(file), asdict(provenance))
    return provenance
