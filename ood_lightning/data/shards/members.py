"""Where the samples of a tar lie, from its headers alone. Needs no torch; groups members as webdataset does."""

import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ood_lightning.data.shards.tars import IMAGE_SUFFIXES, Slice, ends_well
from ood_lightning.errors import ShardContentError
from ood_lightning.plurals import many

# as webdataset splits them: a key ends at the first dot of the file's name; `__...__` are its own notes
_MEMBER_NAME = re.compile(r"((?:.*/)?[^./]+)\.([^/]*)", flags=re.DOTALL)
_NOTE_NAME = re.compile(r"__[^/]*__($|/)")


class Located(NamedTuple):
    """One sample: its key, and where picture, class and `.json` lie."""

    key: str
    suffix: str
    picture: Slice
    label: Slice | None
    metadata: Slice | None


def located(path: Path) -> Iterator[Located]:
    """Samples of a tar that hold an image, in order; those before a damage come first.

    Raises:
        ShardContentError: the tar is damaged or cut, also where the format would end early without an error.
    """
    key = ""
    members: dict[str, Slice] = {}  # of the key, by ending
    n_members = 0

    try:
        with tarfile.open(path, "r:") as tar, path.open("rb") as raw:
            for member in tar:
                name = _MEMBER_NAME.fullmatch(member.name)
                if not member.isreg() or name is None or _NOTE_NAME.match(member.name):
                    continue

                if name[1] != key:
                    yield from _sample(key, members)
                    key, members = name[1], {}
                members[name[2].lower()] = Slice(str(path), member.offset_data, member.size)
                n_members += 1

            yield from _sample(key, members)
            whole = ends_well(tar, raw)
    except (tarfile.TarError, OSError) as error:
        raise ShardContentError(f"is no sound tar after {many(n_members, 'member')}: {error}") from None

    if not whole:
        raise ShardContentError(f"is damaged or cut after {many(n_members, 'member')}")


def _sample(key: str, members: dict[str, Slice]) -> Iterator[Located]:
    suffix = next((suffix for suffix in IMAGE_SUFFIXES if suffix in members), None)
    if suffix is not None:
        yield Located(key, suffix, members[suffix], members.get("cls"), members.get("json"))
