"""Texts of open_clip's models: trimmed ones give the features of untrimmed ones, in their order."""

from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from open_clip.model import CLIP, CustomTextCLIP
from random_openclip import at_full_context, encoder_of
from tiny_model import TINY
from torch import Tensor

from ood_lightning.encoders.openclip import OpenClip
from ood_lightning.errors import EncoderError

TEXTS = [
    "dog",
    "a photo of a very large and rather old dog.",
    "!",
    "wow! so much! fun!",
    "",
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen",
    "cat",
    "the naïve café 猫",
    "dog!",
    "!%",  # here the exclamation mark is token 0, the number of the padding
]


def lengths(monkeypatch: pytest.MonkeyPatch, model: Any) -> list[int]:
    """Numbers of tokens that the first layer of a text tower is given."""
    first = getattr(model, "text", model).transformer.resblocks[0].ln_1
    seen: list[int] = []
    original = first.forward

    def spy(x: Tensor) -> Tensor:
        seen.append(x.shape[1])
        normed: Tensor = original(x)
        return normed

    monkeypatch.setattr(first, "forward", spy)
    return seen


@pytest.fixture(scope="module")
def tiny(tiny_model: Path) -> OpenClip:
    encoder = OpenClip(f"local-dir:{tiny_model}", text_batch=2)
    encoder.load(torch.device("cpu"))
    return encoder


@pytest.mark.parametrize("text_batch", [1, 2, 4, 512])
def test_a_causal_tower_gives_the_same_features_for_trimmed_texts(monkeypatch: pytest.MonkeyPatch, text_batch: int):
    encoder = encoder_of(CLIP(**TINY), text_batch)
    seen = lengths(monkeypatch, encoder._towers[0])
    features = encoder.encode_text(TEXTS)
    assert max(seen) <= 16
    if text_batch < 512:
        assert min(seen) <= 4  # start, one token, end: it did trim
    torch.testing.assert_close(features, at_full_context(encoder, TEXTS), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "change",
    [{"proj_bias": True}, {"proj_type": "none", "width": 16}, {"ls_init_value": 0.5}, {"block_type": "custom"}],
)
def test_other_projections_of_a_plain_tower(change: dict[str, object]):
    encoder = encoder_of(CLIP(**{**TINY, "text_cfg": {**TINY["text_cfg"], **change}}))
    torch.testing.assert_close(encoder.encode_text(TEXTS), at_full_context(encoder, TEXTS), atol=1e-5, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "trimmed"),
    [
        ({}, True),  # causal, reads the end-of-text token
        ({"no_causal_mask": True, "pool_type": "last", "proj_bias": True}, False),  # SigLIP
        ({"no_causal_mask": True}, False),  # attends to what follows, the padding included
        ({"pool_type": "last"}, False),
        ({"pool_type": "first", "no_causal_mask": True}, False),
    ],
    ids=["causal", "siglip", "no mask", "last", "first"],
)
@pytest.mark.parametrize("kind", [CLIP, CustomTextCLIP])
def test_only_causal_towers_that_read_the_end_are_trimmed(
    monkeypatch: pytest.MonkeyPatch, kind: Any, change: dict[str, object], trimmed: bool
):
    encoder = encoder_of(kind(**{**TINY, "text_cfg": {**TINY["text_cfg"], **change}}))
    seen = lengths(monkeypatch, encoder._towers[0])
    features = encoder.encode_text(TEXTS)
    assert (min(seen) < 16) == trimmed
    torch.testing.assert_close(features, at_full_context(encoder, TEXTS), atol=1e-5, rtol=1e-5)


def test_a_tower_with_a_class_token_keeps_its_padding():
    encoder = encoder_of(CustomTextCLIP(**{**TINY, "text_cfg": {**TINY["text_cfg"], "embed_cls": True}}))
    torch.testing.assert_close(encoder.encode_text(TEXTS), at_full_context(encoder, TEXTS), atol=1e-5, rtol=1e-5)


def test_untrimmed_would_be_wrong_without_a_causal_mask():
    """What the tests above would miss if a tower gave one feature for all texts."""
    encoder = encoder_of(CustomTextCLIP(**{**TINY, "text_cfg": {**TINY["text_cfg"], "no_causal_mask": True}}))
    model, _, tokenizer = encoder._towers
    tokens = tokenizer(["dog"])
    with torch.inference_mode():
        cut = model.encode_text(tokens[:, :3])
    assert (cut - at_full_context(encoder, ["dog"])).abs().max() > 1e-3


def test_the_order_of_texts_is_kept(tiny: OpenClip):
    shuffled = [TEXTS[i] for i in (3, 8, 0, 5, 9, 2, 7, 1, 6, 4)]
    together = tiny.encode_text(shuffled)
    alone = torch.cat([tiny.encode_text([text]) for text in shuffled])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    assert len({tuple(row) for row in together.tolist()}) == len(TEXTS)


def test_many_texts_pass_the_sorting_chunks(tiny: OpenClip):
    texts = [f"{'very ' * (i % 7)}number {i}" for i in range(300)]  # 64 * text_batch are sorted together: 128 here
    progress: list[int] = []
    features = tiny.encode_text(texts, progress.append)
    assert progress == [2] * 150
    torch.testing.assert_close(features, at_full_context(tiny, texts), atol=1e-5, rtol=1e-5)


def test_a_text_longer_than_the_context_is_cut_by_the_tokenizer_and_keeps_its_end(tiny: OpenClip):
    """Words beyond the context do not count; the last token becomes end-of-text, as open_clip's tokenizer has it."""
    long = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
    tokens = tiny._towers[2]([long, long + " fifteen sixteen"])
    assert tokens.shape == (2, 16)
    assert tokens[1].tolist() == tokens[0].tolist()
    assert tokens[1, -1] == 49407
    first, second = tiny.encode_text([long, long + " fifteen sixteen"])
    torch.testing.assert_close(first, second, atol=1e-6, rtol=0)


def test_an_exclamation_mark_is_not_taken_for_padding(tiny: OpenClip):
    one, two, none = tiny.encode_text(["dog!", "dog! !", "dog"])
    assert (one - two).abs().max() > 1e-4
    assert (one - none).abs().max() > 1e-4


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_tower_that_open_clip_cannot_compute_in_16_bits_is_named(precision: Any):
    """CoCa's texts have a class token in float32."""
    text = {**TINY["text_cfg"], "embed_cls": True}  # type: ignore[dict-item]
    made = CustomTextCLIP(**{**TINY, "text_cfg": text}, cast_dtype=open_clip.get_cast_dtype(precision))  # type: ignore[arg-type]
    open_clip.convert_weights_to_lp(made, open_clip.get_cast_dtype(precision))
    encoder = encoder_of(made)
    encoder.precision = precision
    with pytest.raises(EncoderError, match=f"open_clip cannot compute it in {precision} .*precision: fp32"):
        encoder.encode_text(TEXTS)
