"""Every group's question to a chat server, several at a time; answers are kept as they come."""

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from ood_lightning.data.artifacts.files import write_json
from ood_lightning.filtering.judges.openai_compatible import OpenAICompatibleJudge
from ood_lightning.growing.questions import MAX_TOKENS, messages
from ood_lightning.progress import bar


class GroupQuestion(NamedTuple):
    """A question, and the contact sheet that goes with it, if one does."""

    text: str
    picture: Path | None

    @property
    def key(self) -> str:
        """Equal for equal questions about equal pictures."""
        picture = b"" if self.picture is None else self.picture.read_bytes()
        return hashlib.sha256(self.text.encode() + b"\0" + picture).hexdigest()


def model_of(server: OpenAICompatibleJudge) -> str:
    """What can change an answer beside the question, in words."""
    return f"{server.model} at {server.url}{', sampled' if server.sample else ''}"


def answers_to(questions: Sequence[GroupQuestion], server: OpenAICompatibleJudge, file: Path) -> list[str]:
    """The answer to each question; those that a file has are not asked again.

    Args:
        questions: in the order of the answers.
        server: that is asked.
        file: of the answers of this server's model, by question; it grows as they come.

    Raises:
        JudgeError: the server cannot be asked, or refuses.
    """
    kept = _read(file, model_of(server))
    lock = Lock()

    def ask(question: GroupQuestion) -> str:
        if question.key not in kept:
            max_tokens = max(server.max_tokens, MAX_TOKENS)  # a judge's yes or no takes fewer
            answer = server.reply(messages(question.text, question.picture), max_tokens)
            with lock:
                kept[question.key] = answer
                write_json(file, {"model": model_of(server), "answers": kept})
        return kept[question.key]

    executor = ThreadPoolExecutor(server.concurrency)
    try:
        with bar(len(questions), f"ask {server.model}", "group") as progress_bar:
            answers = []
            for answer in executor.map(ask, questions):
                answers.append(answer)
                progress_bar.update()
    finally:
        executor.shutdown(cancel_futures=True)
    return answers


def _read(file: Path, identity: str) -> dict[str, str]:
    """Answers by question; none where another model gave them, or the file is damaged."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        answers = {str(key): str(answer) for key, answer in content["answers"].items()}
        return answers if content["model"] == identity else {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
