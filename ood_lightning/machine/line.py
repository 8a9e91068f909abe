"""One line of `doctor`: what was looked at, how it stands, and what mends it."""

from dataclasses import dataclass
from typing import Literal, Self

Verdict = Literal["PASS", "WARN", "FAIL"]
GIB = 2**30


@dataclass(frozen=True)
class Line:
    """What was seen of one part of the machine.

    Args:
        what: the part.
        verdict: FAIL: commands will stop there; WARN: some will, or will be slow.
        state: what is there.
        mend: what to do about it; "" where nothing has to be done.
    """

    what: str
    verdict: Verdict
    state: str
    mend: str = ""

    @classmethod
    def passed(cls, what: str, state: str) -> Self:
        """Nothing to mend."""
        return cls(what, "PASS", state)

    @classmethod
    def warned(cls, what: str, state: str, mend: str) -> Self:
        """Some commands will stop there, or will be slow."""
        return cls(what, "WARN", state, mend)

    @classmethod
    def failed(cls, what: str, state: str, mend: str) -> Self:
        """Commands will stop there."""
        return cls(what, "FAIL", state, mend)

    @property
    def text(self) -> str:
        """The line for people.

        Example:
            >>> Line.warned("disk", "3.0 GiB free in x", "make room").text
            'WARN  disk: 3.0 GiB free in x. To mend it: make room'
        """
        mend = f". To mend it: {self.mend}" if self.mend else ""
        return f"{self.verdict}  {self.what}: {self.state}{mend}"
