"""What a card says of fetching a set without an account: addresses, size, hash, and which part of the archive it is.

These are data: the code that fetches, uncompresses and packs is the package's own, and nothing of a card is run.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import annotated_types

from ood_lightning.data.artifacts.typed import NOT_EMPTY, STRICT, Count, Text
from ood_lightning.data.pack.classes import Order

NAME = "{name}"  # in an address, what each line of a list puts there
HEX = {"md5": 32, "sha256": 64}  # digits
NameSource = Literal["folders", "numbered folders", "imagenet", "imagenet folders"]


def _is_hex(text: str) -> bool:
    return set(text) <= set("0123456789abcdef")


Digest = Annotated[str, annotated_types.Predicate(_is_hex)]


@dataclass(frozen=True, kw_only=True)
class ArchiveEntries:
    """What the file of an archive says. Of several addresses each holds the same bytes.

    Args:
        file: name that it gets.
        addresses: where it lies, tried in this order; `https:` only.
        bytes: its size; None: no source says it to the byte.
        md5: of its bytes; empty: no source says it.
        sha256: of its bytes; empty: no source says it.
        stated_by: who says size and hash.
        addresses_by: who names the addresses.
        fetched_by_us: we have had it from there ourselves.
        picture_addresses: the file is a list of names, a line each (`name`, or `name label`), and these are the
            addresses of the picture of a line, tried in this order, with `{name}` for the last part of its path; empty:
            an archive.
    """

    __pydantic_config__: ClassVar = STRICT

    file: Text
    addresses: Annotated[tuple[Text, ...], NOT_EMPTY]
    bytes: Count | None = None
    md5: Digest = ""
    sha256: Digest = ""
    stated_by: str = ""
    addresses_by: Text
    fetched_by_us: bool = False
    picture_addresses: tuple[Text, ...] = ()

    @property
    def digest(self) -> tuple[str, str]:
        """The stated hash as its kind and its digits, SHA-256 before MD5; two empty texts: none is stated."""
        return next(((kind, text) for kind in ("sha256", "md5") if (text := getattr(self, kind))), ("", ""))


@dataclass(frozen=True, kw_only=True)
class Fetch:
    """Which pictures of which archive are a set, and how they are packed.

    Args:
        archive: name of a file in `cards/archives/`.
        folder: within the archive, that holds the pictures; its name is no part of their keys. Empty: all.
        leave_out: folders (with `/` at the end) and pictures below it that are no part of the set.
        endings_out: of files that are no part of the set, such as `gif`.
        labels: `auto`: class folders; `none`: no classes.
        class_order: of class folders.
        names: `folders`: the folders' own; `numbered folders`: what stands behind the number, as in
            `001.Laysan_Albatross`; `imagenet`: CLIP's names of ImageNet's 1,000 classes, in order; `imagenet folders`:
            the same, by synset, for those folders that occur.
    """

    __pydantic_config__: ClassVar = STRICT

    archive: Text
    folder: str = ""
    leave_out: tuple[str, ...] = ()
    endings_out: tuple[str, ...] = ()
    labels: Literal["auto", "none"] = "auto"
    class_order: Order = "auto"
    names: NameSource = "folders"
