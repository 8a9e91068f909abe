"""Many short texts in one piece of memory, such as the keys of a set's images."""

from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Self, overload


class PackedTexts(Sequence[str]):
    """A sequence that holds of each text its UTF-8 bytes and where they end; a list of strings takes 57 bytes more.

    Args:
        texts: of any length.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        encoded = [text.encode() for text in texts]
        self._bytes = b"".join(encoded)
        self._ends = array("q", accumulate(map(len, encoded)))

    @classmethod
    def joined(cls, parts: Iterable[Sequence[str]]) -> Self:
        """The texts of all parts, one part behind the other; of packed ones no text is unpacked."""
        packed = [part if isinstance(part, cls) else cls(part) for part in parts]
        whole = cls(())
        whole._bytes = b"".join(part._bytes for part in packed)
        for part in packed:
            first = whole._ends[-1] if whole._ends else 0
            whole._ends.extend(first + end for end in part._ends)
        return whole

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...

    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[i] for i in range(len(self))[index]]

        position = range(len(self))[index]  # counts from the end, and knows where that is
        start = self._ends[position - 1] if position else 0
        return self._bytes[start : self._ends[position]].decode()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # as of a list

    def __repr__(self) -> str:
        first = [repr(text) for text in self[:3]]
        return f"{type(self).__name__}({', '.join(first)}, ...; {len(self)} in all)"
