"""Where the samples of a tar lie, from its headers alone. Needs no torch; groups members as webdataset does."""

import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ood_lightning.data.pack.archives import Slice
from ood_lightning.data.shards.tars import IMAGE_SUFFIXES, ends_well
from ood_lightning.errors import ShardContentError
from ood_lightning.plurals import many


class Located(NamedTuple):
    """One sample: its key, and where picture, class and `.json` lie."""

    key: str
    suffix: str
    picture: Slice
    label: Slice | None
    about: Slice | None


def located(path: Path) -> Iterator[Located]:
    """Samples of a tar that hold a picture, in order; those before a damage come first.

    Raises:
        ShardContentError: the tar is damaged or cut, also where the format would end early without an error.
    """
    key, held, n = None, dict[str, Slice](), 0
    try:
        with tarfile.open(path, "r:") as tar, path.open("rb") as raw:
            for member in tar:
                named = re.fullmatch(r"((?:.*/)?[^./]+)\.([^/]*)", member.name, flags=re.DOTALL)
                if not member.isreg() or not named or re.match(r"__[^/]*__($|/)", member.name):
                    continue
                if named.group(1) != key:
                    yield from _sample(key, held)
                    key, held = named.group(1), {}
                held[named.group(2).lower()] = Slice(str(path), member.offset_data, member.size)
                n += 1
            yield from _sample(key, held)
            sound = ends_well(tar, raw)
    except (tarfile.TarError, OSError) as error:
        raise ShardContentError(f"is no sound tar after {many(n, 'member')}: {error}") from None
    if not sound:
        raise ShardContentError(f"is damaged or cut after {many(n, 'member')}")


def _sample(key: str | None, held: dict[str, Slice]) -> Iterator[Located]:
    suffix = next((s for s in IMAGE_SUFFIXES if s in held), None)
    if key is not None and suffix is not None:
        yield Located(key, suffix, held[suffix], held.get("cls"), held.get("json"))
