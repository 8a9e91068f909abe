"""Texts of a multimodal model on a chat completions server, which is shown the images.

The questions are ours, with what ANTS's code says of its own: fewer than eight words on an image, and five class names
with similar visual features for a class, one a line, numbered.
"""

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, ClassVar, TypeVar

from ood_lightning.data.remote.chat import ChatServer, Message, Reply, image_kind
from ood_lightning.data.remote.thoughts import after_thoughts
from ood_lightning.data.shards.decode import decode
from ood_lightning.detectors.image_texts import ImageTextError, ImageTexts, StreamImage
from ood_lightning.detectors.stored_texts import TextsFile
from ood_lightning.errors import UserError
from ood_lightning.places import expanded
from ood_lightning.plurals import many
from ood_lightning.progress import bar
from ood_lightning.ranges import Range

DESCRIBE = "Describe what this image shows in fewer than eight words. Reply with the description alone."
LOOK_ALIKES = (
    "Name five other classes of things whose visual features are similar to those of the class '{name}', so that their "
    "photographs could be mistaken for one another. None of the five may contain '{name}'. Reply with five class names "
    "alone, numbered from 1. to 5., one a line."
)
MOST_LABELS = 5

_NUMBERED = re.compile(r"\s*\**\d+\s*[.):-]\s*(.+)")
Q = TypeVar("Q")


@dataclass(frozen=True)
class AskedTexts(ChatServer, ImageTexts):
    """Asks a server, several questions at a time. Every answer is appended to a file, and asked for once.

    Args:
        url: of the API, such as http://localhost:8000/v1; `/chat/completions` is appended.
        model: as the server calls it; one that is shown images.
        key_variable: environment variable that holds the API key; None sends no key.
        concurrency: requests that run at the same time.
        timeout_s: of one request and all of its answer, in seconds; a server that takes longer counts as failed.
        retries: how often a request is sent again after a time-out, a lost connection, a status of 429 or 5xx, or a
            reply that is no chat completion.
        backoff_s: seconds to wait before a request is sent again for the first time. Each further wait is twice as
            long, with a random part, and at most a minute.
        max_tokens: of a reply; set more for models that write down their thoughts before they answer.
        sample: leave the temperature to the server instead of asking for 0.
        path: file of the answers, in the form of :mod:`ood_lightning.detectors.stored_texts`.
    """

    failure: ClassVar[type[UserError]] = ImageTextError

    max_tokens: Annotated[int, Range(1, 1_000_000)] = 100
    path: str = "runs/ants/texts.jsonl"

    def check(self) -> str:
        """Whether the server can be reached, unless answers of its are kept, which may be all that is needed."""
        n_kept = len(self._file.sentences) + len(self._file.labels)
        return f"{many(n_kept, 'answer')} kept in {self.path}" if n_kept else super().check()

    def describe(self, images: Sequence[StreamImage]) -> list[str]:
        """What the model says of each image; an answer of several lines becomes one."""
        new = [image for image in images if (image.set, image.key) not in self._file.sentences]

        def keep(image: StreamImage, reply: Reply) -> None:
            self._file.add_sentence(image, " ".join(after_thoughts(reply.text).split()))

        self._ask_all(new, _shown, keep, "describe images")
        return [self._file.sentences[image.set, image.key] for image in images]

    def look_alikes(self, names: Sequence[str]) -> list[list[str]]:
        """The numbered lines of each answer, at most five."""
        new = [name for name in dict.fromkeys(names) if name not in self._file.labels]

        def keep(name: str, reply: Reply) -> None:
            self._file.add_labels(name, numbered(after_thoughts(reply.text)))

        self._ask_all(new, lambda name: Message(LOOK_ALIKES.format(name=name)), keep, "ask for look-alikes")
        return [list(self._file.labels[name]) for name in names]

    def _ask_all(
        self, questions: Sequence[Q], message: Callable[[Q], Message], keep: Callable[[Q, Reply], None], what: str
    ) -> None:
        """Put questions; each answer is kept before the next one is looked at."""
        if not questions:
            return

        with bar(len(questions), what, "question", delay_s=3) as progress_bar:
            for row, reply in self.replies(questions, message):
                keep(questions[row], reply)
                progress_bar.update(1)

    @cached_property
    def _file(self) -> TextsFile:
        return TextsFile(expanded(self.path), self.identity)


def numbered(text: str) -> list[str]:
    r"""Class names on numbered lines, without full stops and repetitions, at most five.

    Example:
        >>> numbered("Sure:\n1. Snow leopard.\n2) lynx\n3: Lynx\n4 - **ocelot**")
        ['Snow leopard', 'lynx', 'ocelot']
    """
    labels: dict[str, str] = {}
    for line in text.splitlines():
        if match := _NUMBERED.fullmatch(line):
            label = " ".join(match[1].strip().strip("*").rstrip(".").split())
            if label:
                labels.setdefault(label.lower(), label)
    return list(labels.values())[:MOST_LABELS]


def _shown(image: StreamImage) -> Message:
    """The question on an image, which is sent as it is stored where servers read its kind, else as a PNG."""
    data = image.read()
    if not image_kind(data):
        file = io.BytesIO()
        decode(data).save(file, "PNG")
        data = file.getvalue()
    return Message(DESCRIBE, image=data, subject=f"image {image.key!r} of set {image.set!r}")
