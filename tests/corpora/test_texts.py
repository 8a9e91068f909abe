"""Text features: templates by part of speech, and the files in which features are kept."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from ood_lightning.corpora import texts
from ood_lightning.corpora.prompts import Order, Prompts
from ood_lightning.corpora.texts import TextBank
from ood_lightning.corpora.words import Part, Words
from ood_lightning.data.artifacts.text_features import ScaleFile
from ood_lightning.errors import FeatureError, UnwritableError

CONFIGS = Path(__file__).parents[2] / "configs" / "prompts"
WORDS = ("sky", "red", "cat", "wide open", "blue")
PARTS: tuple[Part, ...] = ("noun", "adj", "noun", "adj", "adj")
PROMPTS = Prompts(("a {}", "the {}", "{}"), "mean-then-normalise", ("{} thing", "a {} one"))


class FakeEncoder:
    """Gives each text a vector; their lengths differ."""

    fingerprint = "fake"

    def __init__(self) -> None:
        self.encoded: list[str] = []

    def encode_text(self, texts: Sequence[str], on_progress: Callable[[int], object]) -> Tensor:
        self.encoded += texts
        on_progress(len(texts))
        return torch.stack([vector(text) for text in texts])


def vector(text: str) -> Tensor:
    draw = torch.Generator().manual_seed(sum(i * ord(letter) for i, letter in enumerate(text, 1)))
    return torch.randn(6, generator=draw) * (1 + len(text))


def by_loop(word: str, part: str, order: str) -> Tensor:
    templates = PROMPTS.adjectives if part == "adj" and PROMPTS.adjectives else PROMPTS.templates
    total = torch.zeros(6, dtype=torch.float64)
    for template in templates:
        sentence = vector(template.replace("{}", word)).double()
        total += sentence / sentence.norm() if order == "normalise-then-mean" else sentence
    return (total / total.norm()).float()


@pytest.fixture
def encoder() -> FakeEncoder:
    return FakeEncoder()


@pytest.fixture
def bank(encoder: FakeEncoder) -> TextBank:
    return TextBank(cast(Any, encoder), "cache")


@pytest.mark.parametrize("at_once", [1, 2, 100])
@pytest.mark.parametrize("order", ["normalise-then-mean", "mean-then-normalise"])
def test_each_word_is_the_mean_over_the_templates_of_its_part(
    bank: TextBank, order: Order, at_once: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(texts, "WORDS_AT_ONCE", at_once)
    prompts = Prompts(PROMPTS.templates, order, PROMPTS.adjectives)
    expected = torch.stack([by_loop(word, part, order) for word, part in zip(WORDS, PARTS, strict=True)])
    features = bank.features(WORDS, prompts, parts=PARTS)
    torch.testing.assert_close(features, expected)
    torch.testing.assert_close(bank.features(WORDS, prompts, parts=PARTS), features, rtol=0, atol=0)  # from the file


def test_a_word_as_noun_and_as_adjective_is_stored_twice(bank: TextBank, encoder: FakeEncoder):
    features = [bank.features(WORDS, PROMPTS, parts=parts) for parts in (PARTS, None, PARTS[::-1])]
    assert len(list(Path("cache").rglob("*.safetensors"))) == 3
    assert not features[0].equal(features[1])
    assert not features[0].equal(features[2])
    n_encoded = len(encoder.encoded)
    assert features[0].equal(bank.features(WORDS, PROMPTS, parts=PARTS))
    assert len(encoder.encoded) == n_encoded


def test_words_that_are_all_nouns_share_their_file_with_prompts_that_know_no_adjectives(
    bank: TextBank, encoder: FakeEncoder
):
    plain = bank.features(WORDS, PROMPTS.without_adjectives())
    n_encoded = len(encoder.encoded)
    for parts in (None, ("noun",) * 5):
        assert bank.features(WORDS, PROMPTS, parts=cast(Any, parts)).equal(plain)
    assert bank.features(WORDS, PROMPTS.without_adjectives(), parts=PARTS).equal(plain)
    assert len(encoder.encoded) == n_encoded
    (file,) = Path("cache").rglob("*.safetensors")
    words, prompts = Words("w", WORDS, "here").sha256[:16], PROMPTS.without_adjectives().fingerprint[:16]
    assert file.stem == f"{words}-{prompts}"  # as before there were parts of speech


def test_words_with_line_feeds_are_not_taken_for_those_of_another_list(bank: TextBank):
    for words in (["red\ngreen", "dog"], ["red", "green\ndog"]):
        torch.testing.assert_close(bank.features(words, PROMPTS), bank.encode(words, PROMPTS.without_adjectives()))


@pytest.mark.parametrize("parts", [PARTS, None])
@pytest.mark.parametrize("stopped_after", [1, 2, 3])
def test_a_stopped_process_goes_on_at_the_piece_that_it_was_in(
    parts: tuple[Part, ...] | None, stopped_after: int, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(texts, "WORDS_AT_ONCE", 2)
    undisturbed = TextBank(cast(Any, FakeEncoder()), "elsewhere").features(WORDS, PROMPTS, parts=parts)

    calls = 0

    def stop(words: Sequence[str], on_progress: Callable[[int], object]) -> Tensor:
        nonlocal calls
        calls += 1
        if calls > stopped_after:
            raise KeyboardInterrupt
        return FakeEncoder.encode_text(encoder, words, on_progress)

    stopping = FakeEncoder()
    monkeypatch.setattr(stopping, "encode_text", stop)
    try:
        TextBank(cast(Any, stopping), "cache").features(WORDS, PROMPTS, parts=parts)
    except KeyboardInterrupt:
        kept = len(list(Path("cache").rglob("*.safetensors")))
        assert kept <= stopped_after
    else:
        kept = 0  # it was through before

    again = TextBank(cast(Any, encoder), "cache")
    done = len(encoder.encoded)
    assert again.features(WORDS, PROMPTS, parts=parts).equal(undisturbed)
    n_texts = sum(len(PROMPTS.of(part)) for part in parts or ("noun",) * 5)
    assert len(encoder.encoded) - done <= n_texts - 2 * 2 * kept
    assert len(list(Path("cache").rglob("*.safetensors"))) == 1  # the pieces are gone


def test_a_damaged_piece_is_encoded_anew(bank: TextBank, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(texts, "WORDS_AT_ONCE", 2)
    piece = bank.file(WORDS[:2], PROMPTS, PARTS[:2]).path
    piece.parent.mkdir(parents=True)
    piece.write_bytes(b"cut")
    expected = torch.stack([by_loop(word, part, PROMPTS.order) for word, part in zip(WORDS, PARTS, strict=True)])
    torch.testing.assert_close(bank.features(WORDS, PROMPTS, parts=PARTS), expected)
    assert not piece.exists()


def length_by_loop(word: str, part: str) -> float:
    templates = PROMPTS.adjectives if part == "adj" and PROMPTS.adjectives else PROMPTS.templates
    sentences = [vector(template.replace("{}", word)) for template in templates]
    return float(torch.stack(sentences).mean(dim=0).norm())


@pytest.mark.parametrize("at_once", [2, 100])
@pytest.mark.parametrize("order", ["normalise-then-mean", "mean-then-normalise"])
def test_lengths_are_those_of_the_mean_sentence_and_come_with_the_features(
    bank: TextBank, encoder: FakeEncoder, order: Order, at_once: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(texts, "WORDS_AT_ONCE", at_once)
    prompts = Prompts(PROMPTS.templates, order, PROMPTS.adjectives)
    features = bank.features(WORDS, prompts, parts=PARTS)
    n_encoded = len(encoder.encoded)
    lengths = bank.lengths(WORDS, prompts, parts=PARTS)
    assert len(encoder.encoded) == n_encoded
    expected = torch.tensor([length_by_loop(word, part) for word, part in zip(WORDS, PARTS, strict=True)])
    torch.testing.assert_close(lengths, expected)
    assert bank.features(WORDS, prompts, parts=PARTS).equal(features)


@pytest.mark.parametrize("at_once", [2, 100])
def test_features_without_lengths_are_kept_and_their_words_encoded_once_more(
    bank: TextBank, encoder: FakeEncoder, at_once: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(texts, "WORDS_AT_ONCE", at_once)
    stored = torch.eye(5, 6)
    bank.file(WORDS, PROMPTS, PARTS).write(stored)  # as an earlier version did
    lengths = bank.lengths(WORDS, PROMPTS, parts=PARTS)
    n_encoded = len(encoder.encoded)
    assert torch.equal(bank.lengths(WORDS, PROMPTS, parts=PARTS), lengths)
    assert len(encoder.encoded) == n_encoded == sum(len(PROMPTS.of(part)) for part in PARTS)
    assert torch.equal(bank.features(WORDS, PROMPTS, parts=PARTS), stored)
    assert len(list(Path("cache").rglob("*.safetensors"))) == 1


def test_a_length_that_no_text_can_have_is_named(bank: TextBank):
    bank.file(WORDS, PROMPTS, PARTS).write(torch.eye(5, 6), torch.tensor([1.0, 2, 0, 1, 1]))
    with pytest.raises(FeatureError, match=r"the length of a word is not positive and finite: remove it and run again"):
        bank.lengths(WORDS, PROMPTS, parts=PARTS)


class Scaled(FakeEncoder):
    """Counts how often it is asked."""

    n_asked = 0

    @property
    def logit_scale(self) -> float:
        self.n_asked += 1
        return 99.99999

    def load(self, device: torch.device) -> None:
        self.encoded.append(f"loaded onto {device}")


def test_the_scale_is_read_from_the_encoder_once_and_then_from_the_cache():
    encoder = Scaled()
    assert [TextBank(cast(Any, encoder), "cache").logit_scale for _ in range(2)] == [99.99999] * 2  # all 53 bits
    assert encoder.n_asked == 1

    (file,) = Path("cache").rglob("*.safetensors")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(bytes(content))
    with pytest.raises(FeatureError, match=r"logit_scale\.safetensors.*damaged"):
        _ = TextBank(cast(Any, encoder), "cache").logit_scale


def test_the_scale_of_a_cache_that_takes_nothing_is_read_from_the_encoder(monkeypatch: pytest.MonkeyPatch):
    """One that others filled with an earlier version, and own."""

    def refuse(*arguments: object) -> None:
        raise UnwritableError("logit_scale.safetensors", "Permission denied")

    monkeypatch.setattr(ScaleFile, "write", refuse)
    assert TextBank(cast(Any, Scaled()), "cache").logit_scale == 99.99999


@pytest.mark.parametrize("scale", [0.0, -1.0, float("inf"), float("nan")])
def test_a_stored_scale_that_is_none_is_refused(scale: float):
    ScaleFile.at("cache", "fake").write(scale)
    with pytest.raises(FeatureError, match="expected a positive number"):
        _ = TextBank(cast(Any, FakeEncoder()), "cache").logit_scale


def test_weights_are_brought_to_a_device_only_where_something_is_encoded():
    encoder = Scaled()
    bank = TextBank(cast(Any, encoder), "cache", torch.device("cpu"))
    bank.features(WORDS, PROMPTS)
    assert encoder.encoded[0] == "loaded onto cpu"
    encoder.encoded.clear()
    bank.features(WORDS, PROMPTS)
    assert encoder.encoded == []
