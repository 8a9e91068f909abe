"""Stored text features: found by what they were made from, and never another word's."""

from collections.abc import Callable

import pytest
import torch
from damaged_stores import rewrite
from torch import Tensor

from ood_lightning.data.artifacts.text_features import TextFile
from ood_lightning.errors import FeatureError


def test_text_features_are_found_by_encoder_words_and_prompts_alone():
    TextFile.at("cache", "e", "w" * 64, "p" * 64).write(torch.eye(2))
    features = TextFile.at("cache", "e", "w" * 64, "p" * 64).read(2)
    assert features is not None
    assert features.tolist() == [[1, 0], [0, 1]]
    for names in (("f", "w" * 64, "p" * 64), ("e", "v" * 64, "p" * 64), ("e", "w" * 64, "q" * 64)):
        assert TextFile.at("cache", *names).read(2) is None
    TextFile.at("cache", "e", "w" * 64, "p" * 64).path.write_bytes(b"cut")
    with pytest.raises(FeatureError, match=r"is missing or damaged.*run again"):
        TextFile.at("cache", "e", "w" * 64, "p" * 64).read(2)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (torch.zeros_like, r"feature of word 0 is zero \(2 of 2 are bad\)"),
        (lambda rows: rows * torch.nan, "feature of word 0 is not finite"),
        (lambda rows: 7 * rows, "feature of word 0 is of length 7"),
        (lambda rows: rows[1:], r"text is float32 \[1, 2\], expected float32 \[2, 'any'\]"),
        (Tensor.half, "text is float16"),
    ],
)
def test_what_no_text_file_can_hold_is_named(change: Callable[[Tensor], Tensor], words: str):
    file = TextFile.at("cache", "e", "w" * 64, "p" * 64)
    file.write(torch.eye(2))
    rewrite(file.path, "text", change)
    with pytest.raises(FeatureError, match=rf"\.safetensors.*{words}.*: remove it and run again"):
        file.read(2)


def test_the_texts_of_another_list_are_named():
    here, other = (TextFile.at("cache", "e", words * 64, "p" * 64) for words in "wv")
    other.write(torch.eye(2))
    here.path.write_bytes(other.path.read_bytes())
    with pytest.raises(FeatureError, match=r"belongs to another words, 'v+' instead of 'w+'"):
        here.read(2)
