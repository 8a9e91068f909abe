"""Stored text features: found by what they were made from, and never another word's."""

import pytest
import torch

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
