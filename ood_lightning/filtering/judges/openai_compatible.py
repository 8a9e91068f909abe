"""OpenAICompatibleJudge: any server with a chat completions endpoint, such as vLLM, llama.cpp or Ollama."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from http.client import HTTPException
from threading import Event
from typing import Any, ClassVar
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from ood_lightning.errors import SettingsError
from ood_lightning.filtering.judges.base import SYSTEM_MESSAGE, Answer, Judge, JudgeError, Question, wording, yes_or_no

LONGEST_REPLY = 2**20  # bytes
LONGEST_PAUSE_S = 60.0
BUSY = 429


class Passing(Exception):
    """What may be over at the next try."""


class StayHere(HTTPRedirectHandler):
    """Follows no redirection: the key must not reach another host."""

    def redirect_request(self, *_: Any) -> None:
        """Refuse; urllib then raises the 3xx itself."""


@dataclass(frozen=True)
class OpenAICompatibleJudge(Judge):
    """Asks a server, several questions at a time.

    Args:
        url: of the API, such as http://localhost:8000/v1; `/chat/completions` is appended.
        model: as the server calls it.
        key_variable: environment variable that holds the API key; None sends no key.
        concurrency: questions under way at once.
        timeout_s: of one request; a server that hangs longer counts as failed.
        retries: further tries after a time-out, a lost connection, an answer of 429 or 5xx, or one that is no chat
            completion.
        backoff_s: pause before the first of them; each further one doubles it, with a random part, up to a minute.
        max_tokens: of a reply; more for models that think before they answer.
        misspelt: 'subcatgeory', as NegRefine's code asks.
        sample: leave the temperature to the server instead of asking for 0.
    """

    llm: ClassVar[bool] = True
    remembered: ClassVar[bool] = True
    url: str
    model: str
    key_variable: str | None = None
    concurrency: int = 8
    timeout_s: float = 60.0
    retries: int = 5
    backoff_s: float = 1.0
    max_tokens: int = 16
    misspelt: bool = False
    sample: bool = False

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsError(f"url is {parts.scheme}:...: expected http://HOST:PORT/v1 or https://HOST/v1")
        if parts.username or parts.password or parts.query:
            raise SettingsError("url holds a user, password or query: name the key by `key_variable` instead")
        if self.concurrency < 1 or self.retries < 0 or self.timeout_s <= 0 or self.backoff_s < 0:
            raise SettingsError("concurrency and timeout_s must be above 0, retries and backoff_s not below it")

    @property
    def identity(self) -> str:
        """Server, model and wording."""
        options = [f"at most {self.max_tokens} tokens"] + ["misspelt"] * self.misspelt + ["sampled"] * self.sample
        return f"{self.model} at {self.url}, {', '.join(options)}"

    def answer(self, questions: Sequence[Question]) -> Iterator[list[tuple[int, Answer]]]:
        """Each answer as it comes; after a failure those still under way are waited for, and then it is raised."""
        key, stop = self._key(), Event()
        failure: BaseException | None = None
        todo = iter(enumerate(questions))
        running: dict[Future[Answer], int] = {}
        with ThreadPoolExecutor(self.concurrency) as pool:
            try:
                while True:
                    while failure is None and len(running) < self.concurrency and (following := next(todo, None)):
                        running[pool.submit(self._ask, following[1], key, stop)] = following[0]
                    if not running:
                        break
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        row = running.pop(future)
                        if error := future.exception():
                            failure = failure or error
                            stop.set()
                        else:
                            yield [(row, future.result())]
            finally:
                stop.set()  # also on Ctrl-C: no thread waits for its next try
        if failure is not None:
            raise failure

    def _key(self) -> str | None:
        if self.key_variable is None:
            return None
        key = os.environ.get(self.key_variable)
        if not key:
            raise JudgeError(f"the environment variable {self.key_variable} holds no API key for {self.url}: set it")
        return key

    def _ask(self, question: Question, key: str | None, stop: Event) -> Answer:
        """One question, tried again where that may help and nobody has called a stop."""
        for tried in range(self.retries + 1):
            try:
                return self._request(question, key)
            except Passing as problem:
                if tried == self.retries or stop.is_set():
                    raise JudgeError(
                        f"{self.url} failed {tried + 1} times on {wording(question, self.misspelt)!r}: {problem}. See "
                        f"whether the server is up; the same command then goes on from the answers it has."
                    ) from None
            stop.wait(min(self.backoff_s * 2**tried * random.uniform(0.5, 1.5), LONGEST_PAUSE_S))
        raise AssertionError("the last try returns or raises")

    def _request(self, question: Question, key: str | None) -> Answer:
        messages = [
            {"role": "system", "content": SYSTEM_MESSAGE},
            {"role": "user", "content": wording(question, self.misspelt)},
        ]
        body: dict[str, Any] = {"model": self.model, "messages": messages, "max_tokens": self.max_tokens}
        if not self.sample:
            body["temperature"] = 0
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        request = Request(self.url.rstrip("/") + "/chat/completions", json.dumps(body).encode(), headers)
        try:
            with build_opener(StayHere).open(request, timeout=self.timeout_s) as response:
                content = response.read(LONGEST_REPLY)
        except HTTPError as error:
            told = error.read(200).decode(errors="replace")
            told = f"HTTP status {error.code}: {told.replace(key, '***') if key else told}"
            if error.code == BUSY or error.code >= 500:
                raise Passing(told) from None
            raise JudgeError(f"{self.url} refuses the model {self.model!r} or the request: {told}") from None
        except TimeoutError:
            raise Passing(f"no answer within {self.timeout_s:g} s") from None
        except (URLError, HTTPException, OSError) as error:
            reason = getattr(error, "reason", None) or error
            if isinstance(reason, TimeoutError):
                raise Passing(f"no connection within {self.timeout_s:g} s") from None
            raise Passing(f"no connection: {reason}") from None
        try:
            reply = json.loads(content)
            said = str(reply["choices"][0]["message"]["content"] or "")
            tokens = int((reply.get("usage") or {}).get("total_tokens", 0))
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            raise Passing(f"no chat completion: {content[:80]!r}") from None
        return Answer(yes_or_no(said), said=said.strip()[:200], tokens=tokens)
