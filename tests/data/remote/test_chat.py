"""What a chat completions server is sent; how it may fail is tested with the judges that ask it."""

from base64 import b64encode

import pytest
from chat_server import completion, serving

from ood_lightning.data.remote.chat import ChatError, ChatServer, Message, image_kind

PNG = b"\x89PNG\r\n\x1a\n and so on"


def test_words_and_images_are_sent_in_the_apis_form(monkeypatch: pytest.MonkeyPatch):
    messages = [Message("what is it?", "be brief", PNG), Message("hello")]
    with serving(monkeypatch) as server:
        server.reply = lambda question, times: (200, completion(question.upper(), tokens=4))
        replies = dict(ChatServer(server.url, "sees", concurrency=1).replies(messages, lambda message: message))
        first, second = (body["messages"] for body in server.seen)

    url = f"data:image/png;base64,{b64encode(PNG).decode()}"
    assert first == [
        {"role": "system", "content": "be brief"},
        {
            "role": "user",
            "content": [{"type": "text", "text": "what is it?"}, {"type": "image_url", "image_url": {"url": url}}],
        },
    ]
    assert second == [{"role": "user", "content": "hello"}]
    assert {row: (reply.text, reply.tokens) for row, reply in replies.items()} == {
        0: ("WHAT IS IT?", 4),
        1: ("HELLO", 4),
    }


def test_a_failure_names_the_subject_of_the_message(monkeypatch: pytest.MonkeyPatch):
    with serving(monkeypatch) as server:
        server.reply = lambda question, times: (500, b"busy")
        chat = ChatServer(server.url, "sees", retries=0)
        with pytest.raises(ChatError, match=r"failed 1 times on image 7: HTTP status 500: busy"):
            list(chat.replies([Message("what is it?", image=PNG, subject="image 7")], lambda message: message))


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (PNG, "png"),
        (b"\xff\xd8\xff\xe0", "jpeg"),
        (b"GIF89a", "gif"),
        (b"RIFF0000WEBPVP8 ", "webp"),
        (b"BM", ""),
        (b"", ""),
    ],
)
def test_kinds_of_images(data: bytes, kind: str):
    assert image_kind(data) == kind
