"""Preprocessing as plain data: followed to the pixel, or refused."""

import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pytest
from PIL import Image
from plain_encoder import PlainEncoder
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Normalize, Resize, ToTensor

from ood_lightning.detector_folder.preprocessing import Preprocessing, preprocessing_of, words_of
from ood_lightning.encoders.openclip import OpenClip
from ood_lightning.encoders.preprocess import preset, with_fast_resize
from ood_lightning.errors import DetectorError

NORMALIZE = Normalize((0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
BICUBIC = InterpolationMode.BICUBIC


@dataclass
class Prepared(PlainEncoder):
    """With a transform of one's choice."""

    steps: Any = None

    @property
    def transform(self) -> Any:
        return self.steps


@pytest.mark.parametrize(
    "steps",
    [
        Compose([Resize(24, BICUBIC), CenterCrop(24), ToTensor(), NORMALIZE]),
        Compose([Resize(31), CenterCrop((24, 20)), ToTensor(), NORMALIZE]),
        Compose([Resize((24, 20), BICUBIC), ToTensor(), NORMALIZE]),
        Compose([Resize(20), CenterCrop(24), ToTensor(), NORMALIZE]),  # black around it
        preset("legacy-bilinear224", 224, "x"),
        preset("openood-256", 224, "x"),
    ],
)
def test_what_is_written_down_gives_the_pixels_of_the_transform(steps: Compose):
    described = Preprocessing(**json.loads(json.dumps(asdict(preprocessing_of(Prepared(steps=steps))))))
    rng = np.random.default_rng(1)
    for shape in ((40, 77, 3), (123, 31, 3), (300, 301, 3)):
        picture = Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8))
        np.testing.assert_allclose(described(picture), steps(picture).numpy(), atol=1e-6)
    assert "divide grey of 16 bits by 256" in words_of(described)[0]
    assert f"subtract {described.mean}" in words_of(described)[3]


def test_the_drawing_models_is_written_down():
    described = preprocessing_of(OpenClip("builtin:pictograms/model", precision="fp32"))
    assert (described.resize, described.size, described.filter) == ([64, 64], [64, 64], "BILINEAR")


@pytest.mark.parametrize(
    "steps",
    [
        with_fast_resize(Compose([Resize(24), CenterCrop(24), ToTensor(), NORMALIZE]), "x"),
        Compose([Resize(24), ToTensor(), NORMALIZE]),
        Compose([Resize(24, max_size=30), CenterCrop(24), ToTensor(), NORMALIZE]),
        lambda picture: ToTensor()(picture),
    ],
)
def test_what_cannot_be_written_down_is_refused(steps: Any):
    with pytest.raises(DetectorError, match="encoder 'plain' cannot be written down for other programs") as refused:
        preprocessing_of(Prepared(steps=steps))
    assert "\n" not in str(refused.value)
