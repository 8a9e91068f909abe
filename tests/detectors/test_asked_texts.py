"""A multimodal model behind a chat completions server: what it is shown, what is kept, and how it fails."""

import io
import json
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chat_server import Server, completion, serving
from PIL import Image

from ood_lightning.detectors.ants import ANTS
from ood_lightning.detectors.asked_texts import DESCRIBE, AskedTexts, numbered
from ood_lightning.detectors.image_texts import ImageTextError, StreamImage, text_checks
from ood_lightning.detectors.stored_texts import StoredTexts
from ood_lightning.detectors.tins import TINS


def encoded(colour: str, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (4, 4), colour).save(file, kind)
    return file.getvalue()


IMAGES = [StreamImage("pets", colour, lambda c=colour: encoded(c)) for colour in ("red", "green", "blue", "black")]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with serving(monkeypatch) as running:
        running.reply = lambda question, times: (200, completion("<think>1. hm</think> A plain\nsquare. "))
        yield running


def texts(server: Server, path: Path, **options: Any) -> AskedTexts:
    quick = {"timeout_s": 5.0, "retries": 1, "backoff_s": 0.01, "concurrency": 2}
    return AskedTexts(server.url, "sees", path=str(path), **{**quick, **options})


def test_thoughts_that_were_cut_before_an_answer_are_no_text(server: Server, tmp_path: Path):
    server.reply = lambda question, times: (200, completion("<think>1. A lynx? 2. An ocelot, since"))
    assert texts(server, tmp_path / "texts.jsonl").describe(IMAGES[:1]) == [""]
    assert texts(server, tmp_path / "texts.jsonl").look_alikes(["tiger"]) == [[]]


def test_each_image_is_shown_once_and_its_sentence_kept(server: Server, tmp_path: Path):
    path = tmp_path / "runs" / "texts.jsonl"
    model = texts(server, path)
    assert model.describe(IMAGES) == ["A plain square."] * 4
    assert model.describe(IMAGES[:2]) == ["A plain square."] * 2
    assert len(server.seen) == 4

    contents = [body["messages"][-1]["content"] for body in server.seen]
    assert {len(body["messages"]) for body in server.seen} == {1}
    assert {content[0]["text"] for content in contents} == {DESCRIBE}
    images = set()
    for content in contents:
        kind, _, data = content[1]["image_url"]["url"].partition(",")
        assert kind == "data:image/png;base64"
        images.add(b64decode(data))
    assert images == {image.read() for image in IMAGES}
    assert {(body["temperature"], body["max_tokens"]) for body in server.seen} == {(0, 100)}

    # a later run, and one that only reads the file
    assert texts(server, path).describe(IMAGES) == ["A plain square."] * 4
    assert StoredTexts(str(path)).describe(IMAGES) == ["A plain square."] * 4
    assert len(server.seen) == 4
    assert texts(server, path, max_tokens=7).describe(IMAGES[:1])  # another model or option is asked anew
    assert len(server.seen) == 5


def test_kinds_that_servers_do_not_read_are_sent_as_png(server: Server, tmp_path: Path):
    for number, kind in enumerate(("BMP", "TIFF", "JPEG", "WEBP", "GIF")):
        image = StreamImage("pets", kind, lambda k=kind: encoded("red", k))
        texts(server, tmp_path / "t.jsonl").describe([image])
        url = server.seen[number]["messages"][-1]["content"][1]["image_url"]["url"]
        expected = "png" if kind in ("BMP", "TIFF") else kind.lower()
        assert url.startswith(f"data:image/{expected};base64,")
        assert Image.open(io.BytesIO(b64decode(url.partition(",")[2]))).size == (4, 4)


def test_look_alikes_are_asked_for_by_name_without_an_image(server: Server, tmp_path: Path):
    server.reply = lambda question, times: (
        200,
        completion("1. Lynx\n2. ocelot.\n\n3) lynx" if "'cat'" in question else "I cannot say."),
    )
    model = texts(server, tmp_path / "t.jsonl")
    assert model.look_alikes(["cat", "fox {x}", "cat"]) == [["Lynx", "ocelot"], [], ["Lynx", "ocelot"]]
    assert sorted("five" in question for question in server.questions) == [True, True]
    assert model.look_alikes(["fox {x}"]) == [[]]  # kept, though it said nothing
    assert len(server.seen) == 2


@pytest.mark.parametrize(
    ("reply", "labels"),
    [
        ("1. a\n2. b\n3. c\n4. d\n5. e\n6. f", ["a", "b", "c", "d", "e"]),
        ("1: a.\n2- **b c**\n 3 ) d", ["a", "b c", "d"]),
        ("1.\n2. .\nlynx\n- ocelot", []),
        ("", []),
    ],
)
def test_numbered_lines_are_labels(reply: str, labels: list[str]):
    assert numbered(reply) == labels


def test_a_server_that_fails_names_the_image_and_loses_nothing(server: Server, tmp_path: Path):
    def reply(question: str, times: int) -> tuple[int, bytes]:
        return (500, b"oops") if times > 2 else (200, completion("A square."))

    server.reply = reply
    path = tmp_path / "t.jsonl"
    with pytest.raises(ImageTextError, match=r"failed 2 times on image '\w+' of set 'pets': HTTP status 500.*goes on"):
        texts(server, path, concurrency=1).describe(IMAGES)
    kept = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["image"] for line in kept] == ["red", "green"]

    server.seen.clear()
    server.reply = lambda question, times: (200, completion("A square."))
    assert texts(server, path).describe(IMAGES) == ["A square."] * 4
    assert len(server.seen) == 2


def test_a_server_is_looked_for_before_work_unless_answers_are_kept(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    streams = {"ANTS": ANTS(texts=texts(server, tmp_path / "a.jsonl")), "TINS": TINS(), "ANTS, not run": ANTS()}
    (check,) = text_checks(streams)
    assert check.what == "texts of ANTS"
    assert check.look().endswith("can be reached")
    assert not server.seen

    with serving(monkeypatch) as gone:
        model = texts(gone, tmp_path / "b.jsonl")
    with pytest.raises(ImageTextError, match="cannot be asked"):
        model.check()
    model._file.add_labels("okapi", ["zebra"])
    assert model.check() == f"1 answer kept in {tmp_path / 'b.jsonl'}"


def test_passing_failures_are_tried_again(server: Server, tmp_path: Path):
    server.reply = lambda question, times: (503, b"") if times == 1 else (200, completion("A square."))
    assert texts(server, tmp_path / "t.jsonl").describe(IMAGES[:1]) == ["A square."]
    assert len(server.seen) == 2
