"""The nearest text by products that are known equals that of an exact search."""

import pytest
import torch
from random_features import random_unit

from ood_lightning.functional.nearest import nearest
from ood_lightning.functional.similarity import cosines, top_k, unit


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_the_nearest_by_known_products_is_the_nearest_also_of_coarse_ones_and_ties(dtype: torch.dtype):
    images = random_unit(9, 24, seed=0)
    texts = torch.cat([random_unit(40, 24, seed=1), images[:4] + 1e-4, images[2:6], images[2:6]])
    products = cosines(images, unit(texts)).to(dtype)
    assert torch.equal(nearest(images, unit(texts), products), top_k(images, unit(texts), 1).indices[:, 0])


def test_the_nearest_of_no_image_and_of_one_that_is_no_number():
    texts = random_unit(5, 24, seed=0)
    assert nearest(texts[:0], texts, cosines(texts[:0], texts)).shape == (0,)
    with pytest.raises(ValueError, match="NaN"):
        nearest(texts * torch.nan, texts, texts @ texts.T * torch.nan)
