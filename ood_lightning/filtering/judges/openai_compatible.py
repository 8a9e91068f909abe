"""OpenAICompatibleJudge: any server with a chat completions endpoint, such as vLLM, llama.cpp or Ollama."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from ood_lightning.data.remote.chat import ChatServer, Message
from ood_lightning.errors import UserError
from ood_lightning.filtering.judges.base import (
    SYSTEM_MESSAGE,
    Answer,
    Judge,
    JudgeError,
    Question,
    said_in,
    wording,
    yes_or_no,
)


@dataclass(frozen=True)
class OpenAICompatibleJudge(ChatServer, Judge):
    """Asks a server, several questions at a time.

    Args:
        url: of the API, such as http://localhost:8000/v1; `/chat/completions` is appended.
        model: as the server calls it.
        key_variable: environment variable that holds the API key; None sends no key.
        concurrency: requests that run at the same time.
        timeout_s: of one request and all of its answer, in seconds; a server that takes longer counts as failed.
        retries: how often a request is sent again after a time-out, a lost connection, a status of 429 or 5xx, or a
            reply that is no chat completion.
        backoff_s: seconds to wait before a request is sent again for the first time. Each further wait is twice as
            long, with a random part, and at most a minute.
        max_tokens: of a reply; set more for models that write down their thoughts before they answer.
        sample: leave the temperature to the server instead of asking for 0.
        misspelt: write 'subcatgeory', as NegRefine's code does.
    """

    failure: ClassVar[type[UserError]] = JudgeError

    misspelt: bool = False

    @property
    def identity(self) -> str:
        """Server, model and wording."""
        spelling = ", misspelt" if self.misspelt else ""
        sampling = ", sampled" if self.sample else ""
        return f"{self.model} at {self.url}, at most {self.max_tokens} tokens{spelling}{sampling}"

    def answer(self, questions: Sequence[Question]) -> Iterator[list[tuple[int, Answer]]]:
        """Each answer as soon as it is there. After a failure, running requests are finished before it is raised."""
        for row, reply in self.replies(questions, self._message):
            yield [(row, Answer(yes_or_no(reply.text), said=said_in(reply.text)[:200], tokens=reply.tokens))]

    def _message(self, question: Question) -> Message:
        return Message(wording(question, self.misspelt), SYSTEM_MESSAGE)
