"""Vectors without a direction, which encoders give as NaN, are refused by column and row."""

import pytest
import torch

from ood_lightning.data.artifacts.unit_vectors import check_directions
from ood_lightning.errors import FeatureError


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_the_first_image_is_named_and_images_are_counted_not_patches(dtype: torch.dtype):
    columns = {"image": torch.ones(5, 3, dtype=dtype), "patches": torch.ones(5, 4, 3, dtype=dtype)}
    check_directions(columns, "here")
    columns["patches"][3, 1:] = torch.nan
    columns["patches"][4, 0] = torch.nan
    with pytest.raises(FeatureError, match=r"here: .* \(row 3 of 5 is zero.*; 2 are bad\)\. Use precision fp32"):
        check_directions(columns, "here")


def test_nothing_is_no_error():
    check_directions({}, "here")
    check_directions({"image": torch.empty(0, 3)}, "here")
