"""Texts whose beginnings are computed once have the features of texts computed whole."""

import pytest
import torch
from open_clip.model import CLIP, CustomTextCLIP, convert_weights_to_lp
from open_clip.tokenizer import SimpleTokenizer
from random_openclip import at_full_context, encoder_of
from tiny_model import TINY

from ood_lightning.encoders import shared_beginnings
from ood_lightning.encoders.openclip_text import causal_tower
from ood_lightning.encoders.shared_beginnings import can_share, shared_lengths

DEEP = {**TINY, "text_cfg": {**TINY["text_cfg"], "layers": 3}}
PAIRS = [
    f"{template} {positive} and {negative}{end}"
    for template, end in (("a photo of the", "."), ("a", " in a game."), ("", ""))
    for positive in ("dog", "golden finch", "cat")
    for negative in ("tree", "old oak tree", "sea", "a very deep and stormy sea", "cat")
]


def saved_by_hand(rows: list[list[int]], ends: list[int]) -> list[int]:
    """For each row the number of first tokens that saves it the most, tried one by one."""
    best = []
    for row, end in zip(rows, ends, strict=True):
        saved = [0.0]
        for length in range(1, end + 1):
            alike = sum(other[:length] == row[:length] for other in rows)
            saved.append(length - length / alike)
        best.append(saved.index(max(saved)))
    return best


@pytest.mark.parametrize("texts", [PAIRS, PAIRS[:1], PAIRS[:2] * 3, ["dog", "dog!", "", "dog"]])
def test_each_text_shares_what_saves_it_the_most(texts: list[str]):
    tokens = SimpleTokenizer(context_length=20)(texts)
    ends = tokens.argmax(dim=1)
    assert shared_lengths(tokens, ends).tolist() == saved_by_hand(tokens.tolist(), ends.tolist())


@pytest.mark.slow
@pytest.mark.parametrize("kept", [1, 3000, 2**28])  # bytes: one beginning at a time, a few, all
@pytest.mark.parametrize("text_batch", [1, 7, 512])
def test_features_are_those_of_whole_texts(monkeypatch: pytest.MonkeyPatch, text_batch: int, kept: int):
    monkeypatch.setattr(shared_beginnings, "_KEPT", kept)
    encoder = encoder_of(CLIP(**DEEP), text_batch)
    done: list[int] = []
    for texts in (PAIRS, PAIRS[::-1], PAIRS[:1], [PAIRS[0]] * 9, ["word " * 40, "word " * 40 + "dog", "word"]):
        features = encoder.encode_text(texts, done.append)
        torch.testing.assert_close(features, at_full_context(encoder, texts), atol=1e-5, rtol=1e-5)
    assert sum(done) == 2 * len(PAIRS) + 13


def test_a_common_beginning_is_computed_once(monkeypatch: pytest.MonkeyPatch):
    encoder = encoder_of(CLIP(**DEEP), 512)
    first, seen = encoder._towers[0].transformer.resblocks[0].ln_1, []
    original = first.forward
    monkeypatch.setattr(first, "forward", lambda x: (seen.append(x.shape[0] * x.shape[1]), original(x))[1])
    encoder.encode_text([f"a photo of the large {word}" for word in ("dog", "cat", "sea", "tree")])
    assert seen == [6, 4 * 2]  # start and five words once; then a word and the end of each


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_towers_in_half_precision(precision: torch.dtype):
    encoder = encoder_of(CLIP(**DEEP, cast_dtype=precision), 7)
    convert_weights_to_lp(encoder._towers[0], precision)
    expected = at_full_context(encoder, PAIRS)
    torch.testing.assert_close(encoder.encode_text(PAIRS), expected, atol=0.05 * float(expected.abs().max()), rtol=0)


def test_only_layers_that_are_known_are_shared():
    def tower(**change: object) -> object:
        return causal_tower(CustomTextCLIP(**{**DEEP, "text_cfg": {**DEEP["text_cfg"], **change}}))

    assert can_share(tower())
    assert can_share(tower(ls_init_value=0.5))
    assert not can_share(tower(block_type="custom"))
    assert tower(no_causal_mask=True) is None
