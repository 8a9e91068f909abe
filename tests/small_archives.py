"""Archives of small pictures."""

import io
import tarfile
from collections.abc import Mapping

from shard_files import encoded

COLOURS = [(200, 30, 30), (30, 200, 30), (30, 30, 200)]


def picture(i: int) -> bytes:
    """A small PNG, another one for each number."""
    return encoded(COLOURS[i % 3], i)


def tar_of(members: Mapping[str, bytes], mode: str = "w") -> bytes:
    """A tar with these members, as bytes; `w:gz` compresses it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:  # type: ignore[call-overload]
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()
