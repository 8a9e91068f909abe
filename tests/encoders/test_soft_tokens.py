"""Texts with a vector for a word: the same as the word where the vector is its embedding, and differentiable."""

from pathlib import Path
from typing import Any

import pytest
import torch
from open_clip.model import CLIP, CustomTextCLIP
from random_openclip import encoder_of
from tiny_model import TINY
from torch import Tensor

from ood_lightning.encoders.openclip import OpenClip
from ood_lightning.encoders.soft_tokens import SoftTokenTemplates, SoftTokenWords
from ood_lightning.errors import EncoderError

TEXTS = ["a photo of a $ .", "$", "the very large and rather old $ in a video game"]


def embedding_of(encoder: OpenClip, word: str) -> Tensor:
    model, _, tokenizer = encoder._towers
    embedding: Tensor = getattr(model, "text", model).token_embedding(tokenizer([word])[:, 1])
    return embedding


@pytest.mark.parametrize("kind", [CLIP, CustomTextCLIP])
def test_a_words_own_embedding_gives_the_words_own_features(kind: Any):
    encoder = encoder_of(kind(**TINY))
    templates = SoftTokenTemplates(TEXTS, encoder.soft_tower())
    assert (len(templates), templates.width) == (3, 16)
    for word in ("dog", "zebra", "$"):
        features = templates.fill(torch.tensor([2, 0, 1, 0]), embedding_of(encoder, word).repeat(4, 1))
        expected = encoder.encode_text([TEXTS[i].replace("$", word) for i in (2, 0, 1, 0)])
        torch.testing.assert_close(features, expected, atol=1e-5, rtol=1e-5)


def test_rows_take_their_own_vectors():
    encoder = encoder_of(CLIP(**TINY))
    templates = SoftTokenTemplates(TEXTS, encoder.soft_tower())
    vectors = torch.randn(3, 16)
    rows = torch.tensor([1, 0, 1])
    together = templates.fill(rows, vectors)
    alone = torch.cat([templates.fill(rows[i : i + 1], vectors[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=1e-5)
    assert (together[0] - together[2]).abs().max() > 1e-3


def test_the_gradient_is_that_of_finite_differences():
    encoder = encoder_of(CLIP(**TINY).double())
    templates = SoftTokenTemplates(TEXTS, encoder.soft_tower())
    vectors = torch.randn(1, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    rows = torch.tensor([0])
    templates.fill(rows, vectors)[0, 3].backward()
    assert vectors.grad is not None

    step = 1e-2  # features come back in float32
    for i in range(16):
        moved = torch.zeros(1, 16, dtype=torch.float64)
        moved[0, i] = step
        with torch.no_grad():
            slope = (templates.fill(rows, vectors + moved) - templates.fill(rows, vectors - moved))[0, 3] / (2 * step)
        assert float(vectors.grad[0, i]) == pytest.approx(float(slope), abs=1e-4)

    assert all(p.grad is None for p in encoder._towers[0].parameters())


def test_words_in_a_sentence_are_what_they_say_with_their_own_vectors():
    encoder = encoder_of(CLIP(**TINY))
    words = ["dog", "electric guitar", "B-52", "u.s.", "what?!"]
    texts = SoftTokenWords(words, encoder.soft_tower())
    expected = encoder.encode_text([f"a photo of a {word}." for word in words])
    torch.testing.assert_close(texts.fill(torch.arange(5), texts.own_vectors()), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(texts.own_features, torch.nn.functional.normalize(expected), atol=1e-5, rtol=1e-5)

    part = texts.chosen(torch.tensor([3, 0]))
    torch.testing.assert_close(part.filled(part.own_vectors()), texts.own_features[[3, 0]], atol=1e-5, rtol=1e-5)


def test_a_words_last_token_is_the_one_that_is_replaced():
    encoder = encoder_of(CLIP(**TINY))
    texts = SoftTokenWords(["electric guitar"], encoder.soft_tower())
    piano = encoder.encode_text(["a photo of a electric piano."])
    filled = texts.fill(torch.tensor([0]), embedding_of(encoder, "piano"))
    torch.testing.assert_close(filled, piano, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("word", ["", "  "])
def test_a_word_without_a_token_is_refused(word: str):
    encoder = encoder_of(CLIP(**TINY))
    with pytest.raises(EncoderError, match=r"the word ' *' leaves no token to replace"):
        SoftTokenWords(["dog", word], encoder.soft_tower())


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_towers_take_float32_vectors(tiny_model: Path, precision: Any):
    half = OpenClip(f"local-dir:{tiny_model}", precision=precision)
    templates = SoftTokenTemplates(TEXTS, half.soft_tower())
    vectors = torch.randn(2, templates.width, requires_grad=True)
    features = templates.fill(torch.tensor([0, 1]), vectors)
    assert features.dtype == torch.float32
    features.sum().backward()
    assert vectors.grad is not None
    assert vectors.grad.abs().max() > 0


@pytest.mark.parametrize(
    "change", [{"no_causal_mask": True, "pool_type": "last", "proj_bias": True}, {"embed_cls": True}]
)
def test_other_towers_are_refused(change: dict[str, object]):
    encoder = encoder_of(CustomTextCLIP(**{**TINY, "text_cfg": {**TINY["text_cfg"], **change}}))
    assert not encoder.supports_soft_tokens
    with pytest.raises(EncoderError, match="cannot take a vector for a word: it needs a causal text tower"):
        SoftTokenTemplates(TEXTS, encoder.soft_tower())


@pytest.mark.parametrize("text", ["no blank", "$ and $", "a $5 note and a $", f"{'very ' * 20}large $"])
def test_texts_without_exactly_one_blank_are_refused(text: str):
    encoder = encoder_of(CLIP(**TINY))
    with pytest.raises(EncoderError, match=r"does not hold '\$' as one token, once"):
        SoftTokenTemplates(["$", text], encoder.soft_tower())


def test_the_shape_of_a_picture_is_that_of_the_transform(tiny_model: Path):
    assert OpenClip(f"local-dir:{tiny_model}").image_shape == (3, 16, 16)
