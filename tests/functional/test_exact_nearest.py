"""The nearest text by stripes equals the first of the best k, bit for bit: blocks, ties, coarse products, threads."""

import math

import pytest
import torch
from random_features import random_unit
from torch import Tensor

from ood_lightning.functional import exact_nearest as module
from ood_lightning.functional.exact_nearest import exact_nearest
from ood_lightning.functional.exact_top import exact_top
from ood_lightning.functional.similarity import unit

IMAGES, TEXTS = random_unit(41, 24, seed=1), random_unit(1030, 24, seed=2)


def check(images: Tensor, texts: Tensor, block: int, row_block: int = 17) -> None:
    values, rows = exact_top(images, texts, 1, 512, [torch.arange(len(images))], exclude_self=False)
    got = exact_nearest(images, texts, block, row_block)
    assert torch.equal(got.cosine, values[:, 0])
    assert torch.equal(got.position, rows[:, 0])


@pytest.mark.parametrize("block", [1, 127, 128, 129, 256, 400, 1030, 5000])
def test_it_is_the_same_for_every_block_size(block: int):
    check(IMAGES, TEXTS, block)
    check(IMAGES.double(), TEXTS.double(), block)
    check(IMAGES.half(), TEXTS.half(), block)
    check(-TEXTS[:9].abs(), TEXTS.abs(), block)  # no cosine is positive


@pytest.mark.parametrize("block", [1, 100, 128, 300, 1030])
def test_of_equal_texts_the_first_wins(block: int):
    texts = TEXTS.clone()
    texts[[900, 3, 130, 131, 258]] = texts[500].clone()
    check(torch.cat([IMAGES, texts[500:501]]), texts, block)
    assert exact_nearest(texts[500:501], texts, block, 8).position.tolist() == [3]
    check(IMAGES, TEXTS[:1].repeat(300, 1), block)


@pytest.mark.parametrize("block", [100, 128, 500])
def test_cosines_that_float32_cannot_tell_apart_are_compared_in_float64(block: int):
    image = torch.ones(1, 400) / 20
    texts = image.repeat(300, 1)
    steps = torch.randperm(300, generator=torch.Generator().manual_seed(0))
    texts[torch.arange(300), torch.arange(300)] *= 1 + steps * 2.0**-23
    check(image, texts, block)
    assert exact_nearest(image, texts, block, 8).position.tolist() == [int(steps.argmax())]


def test_coarse_products_find_the_same_text(monkeypatch: pytest.MonkeyPatch):
    texts = unit(IMAGES[0] + 0.02 * random_unit(400, 24, seed=5))  # closer to one another than bfloat16 can tell
    expected = exact_nearest(IMAGES, texts, 100, 17)
    monkeypatch.setattr(module, "product", lambda a, b: (a.bfloat16() @ b.bfloat16().T).float())
    monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: "medium")
    got = exact_nearest(IMAGES, texts, 100, 17)
    assert torch.equal(got.position, expected.position)
    assert torch.equal(got.cosine, expected.cosine)


def test_no_images_have_no_nearest_text_and_bad_values_are_refused():
    assert exact_nearest(IMAGES[:0], TEXTS, 100, 8).position.shape == (0,)
    with pytest.raises(ValueError, match="no nearest one"):
        exact_nearest(IMAGES, torch.full_like(TEXTS, math.nan), 100, 8)


def test_out_of_memory_halves_the_block(monkeypatch: pytest.MonkeyPatch):
    sizes: list[int] = []

    def short(queries: Tensor, bank: Tensor) -> Tensor:
        sizes.append(len(bank))
        if len(bank) > 300:
            raise torch.cuda.OutOfMemoryError
        return queries @ bank.T

    expected = exact_nearest(IMAGES, TEXTS, 100, 50)
    monkeypatch.setattr(module, "product", short)
    got = exact_nearest(IMAGES, TEXTS, 1000, 50)
    assert sizes == [1000, 500, 250, 250, 250, 250, 30]
    assert torch.equal(got.position, expected.position)
