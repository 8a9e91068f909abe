"""What a multimodal model says of images and classes, for detectors that learn from its words.

A source of such texts is one class below :class:`ImageTexts`; a config names it by its class path.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from ood_lightning.checks import Check
from ood_lightning.detectors.base import Stream, StreamDetector
from ood_lightning.detectors.evidence import Evidence, Input
from ood_lightning.errors import UserError
from ood_lightning.ranges import Ranged

if TYPE_CHECKING:
    from torch import Tensor


class ImageTextError(UserError, RuntimeError):
    """A model that cannot be asked for texts, or texts that cannot be used."""


class StreamImage(NamedTuple):
    """An image of a test stream.

    Attributes:
        set: name of its set.
        key: of the image, unique in the set.
        read: its encoded bytes, such as a JPEG's.
    """

    set: str
    key: str
    read: Callable[[], bytes]


class ImageTexts(Ranged, ABC):
    """Descriptions of images, and classes that look like others.

    Attributes:
        llm: whether a language model wrote the texts; detectors that read them then say `llm`.
    """

    llm: ClassVar[bool] = True

    def check(self) -> str:
        """Whether texts can be had, before any picture is embedded; nothing is asked. Returns what was found.

        Raises:
            ImageTextError: they cannot.
        """
        return f"of {type(self).__name__}"

    @abstractmethod
    def describe(self, images: Sequence[StreamImage]) -> list[str]:
        """A short description of each image, in their order; "" where there is none.

        Raises:
            ImageTextError: it cannot go on.
        """

    @abstractmethod
    def look_alikes(self, names: Sequence[str]) -> list[list[str]]:
        """For each class name, at most five classes that look like it; none where it knows none.

        Raises:
            ImageTextError: it cannot go on.
        """


@dataclass(frozen=True)
class BareTexts(Input):
    """Texts encoded as they are, without a template.

    Args:
        encode: n texts to unit-norm features (n, D), on the run's device.
    """

    how_to_provide: ClassVar[str] = "a text tower"

    encode: Callable[[Sequence[str]], Tensor]


class ImageStreamDetector(StreamDetector):
    """A stream detector that also wants to see the images themselves."""

    def open(self, evidence: Evidence) -> Stream:
        """A stream that is told of no image."""
        return self.open_on(evidence, ())

    @abstractmethod
    def open_on(self, evidence: Evidence, images: Sequence[StreamImage]) -> Stream:
        """A fresh stream of these images; see :meth:`StreamDetector.open`.

        Args:
            evidence: of the run.
            images: in stream order. Their features come in the same order.
        """


def text_checks(streams: Mapping[str, StreamDetector]) -> list[Check]:
    """Whether those that read such texts can have them.

    Args:
        streams: by name.
    """
    texts = {name: getattr(one, "texts", None) for name, one in streams.items()}
    return [Check(f"texts of {name}", one.check) for name, one in texts.items() if isinstance(one, ImageTexts)]
