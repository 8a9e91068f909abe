"""Templates by part of speech: which sentences a word is put into, and under which name its features are kept."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import published_prompts as published
import pytest
import torch
import yaml
from torch import Tensor

from ood_lightning.corpora import texts
from ood_lightning.corpora.prompts import Order, Prompts
from ood_lightning.corpora.texts import TextBank
from ood_lightning.corpora.words import Part, Words
from ood_lightning.errors import CorpusError

CONFIGS = Path(__file__).parents[2] / "configs" / "prompts"
WORDS = ("sky", "red", "cat", "wide open", "blue")
PARTS: tuple[Part, ...] = ("noun", "adj", "noun", "adj", "adj")
PROMPTS = Prompts(("a {}", "the {}", "{}"), "mean-then-normalise", ("{} thing", "a {} one"))


class FakeEncoder:
    """A vector a text, of a length of its own."""

    fingerprint = "fake"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode_text(self, some: Sequence[str], on_progress: Callable[[int], object]) -> Tensor:
        self.asked += some
        on_progress(len(some))
        return torch.stack([vector(text) for text in some])


def vector(text: str) -> Tensor:
    draw = torch.Generator().manual_seed(sum(at * ord(letter) for at, letter in enumerate(text, 1)))
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
    found = bank.features(WORDS, prompts, parts=PARTS)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(bank.features(WORDS, prompts, parts=PARTS), found, rtol=0, atol=0)  # from the file


def test_a_word_as_noun_and_as_adjective_is_stored_twice(bank: TextBank, encoder: FakeEncoder):
    features = [bank.features(WORDS, PROMPTS, parts=parts) for parts in (PARTS, None, PARTS[::-1])]
    assert len(list(Path("cache").rglob("*.safetensors"))) == 3
    assert not features[0].equal(features[1])
    assert not features[0].equal(features[2])
    asked = len(encoder.asked)
    assert features[0].equal(bank.features(WORDS, PROMPTS, parts=PARTS))
    assert len(encoder.asked) == asked


def test_words_that_are_all_nouns_share_their_file_with_prompts_that_know_no_adjectives(
    bank: TextBank, encoder: FakeEncoder
):
    plain = bank.features(WORDS, PROMPTS.without_adjectives())
    asked = len(encoder.asked)
    for parts in (None, ("noun",) * 5):
        assert bank.features(WORDS, PROMPTS, parts=cast(Any, parts)).equal(plain)
    assert bank.features(WORDS, PROMPTS.without_adjectives(), parts=PARTS).equal(plain)
    assert len(encoder.asked) == asked
    (file,) = Path("cache").rglob("*.safetensors")
    words, prompts = Words("w", WORDS, "here").sha256[:16], PROMPTS.without_adjectives().fingerprint[:16]
    assert file.stem == f"{words}-{prompts}"  # as before there were parts of speech


def test_prompts_know_their_parts_apart():
    assert PROMPTS.fill("red", "adj") == ["red thing", "a red one"]
    assert PROMPTS.fill("red") == ["a red", "the red", "red"]
    assert PROMPTS.without_adjectives().fill("red", "adj") == ["a red", "the red", "red"]


def test_the_fingerprint_knows_adjectives_and_is_the_old_one_without():
    old = "ece5cbf14cd9496bf649e808a8d855fcc55ec8f440482732fe8096aac4af8d99"
    assert Prompts().fingerprint == Prompts(adjectives=None).fingerprint == old
    made = [Prompts(("{}",)), Prompts(("{}",), adjectives=("{}",)), Prompts(("{}",), adjectives=("a {}",))]
    assert len({prompts.fingerprint for prompts in made}) == 3


def test_adjectives_templates_are_checked_as_the_others():
    with pytest.raises(CorpusError, match=r"adjectives' template 1, 'photo', has 0 slots"):
        Prompts(("{}",), adjectives=("{}", "photo"))
    with pytest.raises(CorpusError, match=r"no prompt adjectives: give at least one"):
        Prompts(("{}",), adjectives=())
    with pytest.raises(CorpusError, match=r"adjectives is the text 'a \{\}'; a list is expected"):
        Prompts(("{}",), adjectives="a {}")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("neglabel", Prompts(published.NEGLABEL_NOUN, adjectives=published.NEGLABEL_ADJECTIVE)),
        ("oovlm", Prompts(published.OOVLM_NOUN, adjectives=published.OOVLM_ADJECTIVE)),
        ("csp", Prompts(published.CSP_NOUN, "mean-then-normalise", published.CSP_ADJECTIVE)),
        ("mcm", Prompts(published.MCM_NAME)),
    ],
)
def test_configs_of_the_methods_are_their_constants(name: str, expected: Prompts):
    assert Prompts(**yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())) == expected
    assert (len(published.CSP_NOUN), len(published.CSP_ADJECTIVE)) == (8, 4)
