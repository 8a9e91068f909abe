"""Every group's question to a chat server, several at a time; answers are kept as they come."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ood_lightning.data.artifacts.files import write_json
from ood_lightning.data.remote.chat import ChatServer, Message
from ood_lightning.growing.questions import MAX_TOKENS, SYSTEM
from ood_lightning.progress import bar


class GroupQuestion(NamedTuple):
    """A question, and the contact sheet that goes with it, if one does."""

    text: str
    picture: Path | None

    @property
    def image(self) -> bytes:
        """The contact sheet as it lies on disk; empty where none goes with it."""
        return b"" if self.picture is None else self.picture.read_bytes()

    @property
    def key(self) -> str:
        """Equal for equal questions about equal pictures."""
        return hashlib.sha256(self.text.encode() + b"\0" + self.image).hexdigest()

    def message(self) -> Message:
        """What the server is sent."""
        return Message(self.text, SYSTEM, self.image)


def model_of(server: ChatServer) -> str:
    """Who is asked, in words."""
    return f"{server.model} at {server.url}{', sampled' if server.sample else ''}"


def answers_to(questions: Sequence[GroupQuestion], server: ChatServer, file: Path) -> list[str]:
    """The answer to each question; those that a file has are not asked again.

    Args:
        questions: in the order of the answers.
        server: that is asked.
        file: of the answers of this server's model, with as many tokens at most, by question; it grows as they come.

    Raises:
        UserError: the server cannot be asked, or refuses. What it answered before is in the file.
    """
    # a judge's yes or no takes fewer tokens than words do
    to_ask = replace(server, max_tokens=max(server.max_tokens, MAX_TOKENS))
    kept = _read(file, to_ask.identity)
    by_key = {question.key: question for question in questions}
    open_keys = [key for key in by_key if key not in kept]

    with bar(len(open_keys), f"ask {server.model}", "group") as progress_bar:
        for row, reply in to_ask.replies(open_keys, lambda key: by_key[key].message()):
            kept[open_keys[row]] = reply.text
            write_json(file, {"model": to_ask.identity, "answers": kept})
            progress_bar.update()
    return [kept[question.key] for question in questions]


def _read(file: Path, identity: str) -> dict[str, str]:
    """Answers by question; none where another model or fewer tokens gave them, or the file is damaged."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        answers = {str(key): str(answer) for key, answer in content["answers"].items()}
        return answers if content["model"] == identity else {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
