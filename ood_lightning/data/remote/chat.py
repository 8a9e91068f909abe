"""A chat completions server, such as vLLM, llama.cpp or Ollama: questions in words and images, replies in words."""

import json
import os
import re
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from http.client import HTTPException
from itertools import islice
from threading import Event
from typing import Annotated, Any, ClassVar, NamedTuple, TypeVar
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import HTTPErrorProcessor, Request

from ood_lightning.data.artifacts.typed import Count, decode_json
from ood_lightning.data.remote.timed_http import timed_opener
from ood_lightning.errors import SettingsError, UserError
from ood_lightning.masking import mask_of
from ood_lightning.ranges import Range, Ranged
from ood_lightning.retries import GivenUpError, TransientError, UnreachableError, check_reachable, retry

MAX_REPLY_BYTES = 2**20
MAX_PAUSE_S = 60.0
Q = TypeVar("Q")


class ChatError(UserError, RuntimeError):
    """A server that cannot be asked, or whose replies cannot be used."""


class Message(NamedTuple):
    """What a server is asked.

    Attributes:
        text: the question.
        system: what it is told beforehand; "": nothing.
        image: encoded, a JPEG, PNG, WebP or GIF; empty: none.
        subject: what it is about, for errors; "": the question.
    """

    text: str
    system: str = ""
    image: bytes = b""
    subject: str = ""


class Reply(NamedTuple):
    """What a server said.

    Attributes:
        text: of its first choice, masked; "" where it said nothing.
        tokens: number of tokens read and written; 0 where unknown.
    """

    text: str
    tokens: int


class _AnyStatus(HTTPErrorProcessor):
    """Hands over answers of any status: nothing is raised, and no redirection takes the API key to another host."""

    def http_response(self, request: Request, response: Any) -> Any:
        return response

    https_response = http_response


# What is read of a server's reply; it may hold more.
@dataclass
class _Message:
    content: str | None


@dataclass
class _Choice:
    message: _Message


@dataclass
class _Usage:
    total_tokens: Count = 0


@dataclass
class _Completion:
    choices: list[_Choice]
    usage: _Usage | None = None


@dataclass(frozen=True)
class ChatServer(Ranged):
    """Asks a server, several questions at a time.

    Attributes:
        failure: kind of the errors that are raised.

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
    """

    failure: ClassVar[type[UserError]] = ChatError

    url: str
    model: str
    key_variable: str | None = None
    concurrency: Annotated[int, Range(1, 1000)] = 8
    timeout_s: Annotated[float, Range(0, 86_400, True)] = 60.0
    retries: Annotated[int, Range(0, 1000)] = 5
    backoff_s: Annotated[float, Range(0, 3600)] = 1.0
    max_tokens: Annotated[int, Range(1, 1_000_000)] = 16
    sample: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsError(f"url is {parts.scheme}:...: expected http://HOST:PORT/v1 or https://HOST/v1")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise SettingsError(
                "url holds a user, password or query, or a fragment: name the key by `key_variable` instead"
            )
        if not re.fullmatch(r"[A-Za-z_]\w*", self.key_variable or "_", re.ASCII):  # and may be the key itself
            raise SettingsError("key_variable is no name of an environment variable: give the name, not the key")

    @property
    def identity(self) -> str:
        """Server, model and options that can change a reply, as one line."""
        sampling = ", sampled" if self.sample else ""
        return f"{self.model} at {self.url}, at most {self.max_tokens} tokens{sampling}"

    def check(self) -> str:
        """Whether the key is set and the server can be reached; nothing is sent."""
        self._key()
        try:
            check_reachable(self.url)
        except UnreachableError as error:
            raise self.failure(f"{self.url} cannot be asked: {error}. Is the server up?") from None
        return f"{self.identity}, can be reached"

    def replies(self, questions: Sequence[Q], message: Callable[[Q], Message]) -> Iterator[tuple[int, Reply]]:
        """Each reply with its question's row, as soon as it is there, in any order.

        After a failure, running requests are finished before it is raised.

        Args:
            questions: of any kind.
            message: what is sent for a question. It is made when the question's turn comes, so that the images of
                `concurrency` questions are in memory at a time.

        Raises:
            UserError: of the class `failure`; the server cannot be asked, or failed too often. Replies yielded before
                stay valid.
        """
        key = self._key()
        stop = Event()
        failure: BaseException | None = None
        todo = iter(enumerate(questions))
        running: dict[Future[Reply], int] = {}  # to the question's row

        with ThreadPoolExecutor(self.concurrency) as pool:
            try:
                while True:
                    free = self.concurrency - len(running) if failure is None else 0
                    for row, question in islice(todo, free):
                        running[pool.submit(self._ask, partial(message, question), key, stop)] = row
                    if not running:
                        break

                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        row = running.pop(future)
                        if error := future.exception():
                            failure = failure or error
                            stop.set()
                        else:
                            yield row, future.result()
            finally:
                stop.set()  # after Ctrl-C too, so that no thread waits to send its request again

        if failure is not None:
            raise failure

    def _key(self) -> str:
        """The API key; empty where none is sent."""
        key = os.environ.get(self.key_variable or "", "").strip()  # a file of secrets ends with a newline
        if self.key_variable is not None and not key:
            raise self.failure(f"the environment variable {self.key_variable} holds no API key for {self.url}: set it")
        if not re.fullmatch("[!-~]*", key):  # said here, since the HTTP library would print it
            raise self.failure(
                f"the environment variable {self.key_variable} holds no API key: there are blanks, line ends or "
                f"letters beyond ASCII in it. Set it anew."
            )
        return key

    def _ask(self, make: Callable[[], Message], key: str, stop: Event) -> Reply:
        """Put one question, again after failures that may pass, until `stop` is set."""
        message = make()
        try:
            return retry(
                lambda: self._request(message, key), self.retries + 1, self.backoff_s, MAX_PAUSE_S, wait=stop.wait
            )
        except GivenUpError as error:
            raise self.failure(
                f"{self.url} failed {error.tries} times on {message.subject or repr(message.text)}: {error}. Check "
                f"that the server is up; the same command then goes on from the answers it has."
            ) from None

    def _request(self, message: Message, key: str) -> Reply:
        """Send one request and read its reply.

        Raises:
            TransientError: the request may succeed when it is sent again.
            UserError: it cannot.
        """
        body: dict[str, Any] = {
            "model": self.model,
            "messages": _messages(message),
            "max_tokens": self.max_tokens,
            **({} if self.sample else {"temperature": 0}),
        }
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
        request = Request(self.url.rstrip("/") + "/chat/completions", json.dumps(body).encode(), headers)
        mask = mask_of(key)
        return _read_reply(self._send(request, mask), mask)

    def _send(self, request: Request, mask: Callable[[str], str]) -> str:
        """The reply's body, masked."""
        try:
            with timed_opener(_AnyStatus).open(request, timeout=self.timeout_s) as response:
                status, body = response.status, response.read(MAX_REPLY_BYTES + 1)
        except TimeoutError:
            raise TransientError(f"no answer within {self.timeout_s:g} s") from None
        except (URLError, HTTPException, OSError) as error:
            reason = getattr(error, "reason", None) or error
            if isinstance(reason, TimeoutError):
                raise TransientError(f"no connection within {self.timeout_s:g} s") from None
            raise TransientError(f"no connection: {mask(str(reason))[:200]}") from None

        reply = mask(body.decode(errors="replace"))
        if status != HTTPStatus.OK:
            message = f"HTTP status {status}: {reply[:200]}"
            if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                raise TransientError(message)
            raise self.failure(f"{self.url} refuses the model {self.model!r} or the request: {message}")
        if len(body) > MAX_REPLY_BYTES:
            raise TransientError(f"a reply of more than {MAX_REPLY_BYTES:,} bytes, which is no chat completion")
        return reply


def _messages(message: Message) -> list[dict[str, Any]]:
    """In the API's form: an image is a part of the question, as a data URL."""
    content: Any = message.text
    if message.image:
        url = f"data:image/{image_kind(message.image)};base64,{b64encode(message.image).decode()}"
        content = [{"type": "text", "text": message.text}, {"type": "image_url", "image_url": {"url": url}}]

    system = [{"role": "system", "content": message.system}] if message.system else []
    return [*system, {"role": "user", "content": content}]


def image_kind(data: bytes) -> str:
    """`jpeg`, `png`, `webp` or `gif`, as its first bytes say; "" for another kind, which servers do not read."""
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "webp"
    beginnings = {b"\xff\xd8\xff": "jpeg", b"\x89PNG\r\n\x1a\n": "png", b"GIF8": "gif"}
    return next((kind for beginning, kind in beginnings.items() if data.startswith(beginning)), "")


def _read_reply(content: str, mask: Callable[[str], str]) -> Reply:
    """The reply in a chat completion.

    Raises:
        TransientError: it is no chat completion; names the field.
    """
    where = f"no chat completion: {content[:80]!r}"
    completion = decode_json(content, _Completion, where, lambda text: TransientError(mask(text)))
    if not completion.choices:
        raise TransientError(f"{where}: choices is empty")

    tokens = completion.usage.total_tokens if completion.usage else 0
    return Reply(mask(completion.choices[0].message.content or ""), tokens)
