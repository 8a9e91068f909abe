"""Each image's nearest word, whatever the blocks."""

import pytest
import torch

from ood_lightning.functional.similarity import unit
from ood_lightning.label_sets.training_images import nearest_words

CPU = torch.device("cpu")


def test_nearest_words_is_the_arg_max_in_float64():
    generator = torch.Generator().manual_seed(0)
    image, words = torch.randn(37, 6, generator=generator), unit(torch.randn(50, 6, generator=generator))
    top = nearest_words(image.half(), words, CPU)
    products = unit(image.half()).double() @ words.double().T
    assert top.indices.tolist() == products.argmax(dim=1).tolist()
    torch.testing.assert_close(top.values, products.amax(dim=1))
    assert top.indices.shape == top.values.shape == (37,)


def test_nearest_words_does_not_depend_on_its_blocks(monkeypatch: pytest.MonkeyPatch):
    generator = torch.Generator().manual_seed(1)
    image, words = unit(torch.randn(37, 6, generator=generator)), unit(torch.randn(50, 6, generator=generator))
    whole = nearest_words(image, words, CPU)
    monkeypatch.setattr("ood_lightning.label_sets.training_images.ROWS", 4)
    blocks = nearest_words(image, words, CPU)
    for name in ("indices", "values"):
        torch.testing.assert_close(getattr(blocks, name), getattr(whole, name), atol=0, rtol=0)
