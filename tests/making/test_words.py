"""Which templates, by encoder and device."""

import pytest
from plain_encoder import PlainEncoder

from ood_lightning.corpora.prompts import BARE, SIMPLE_7
from ood_lightning.encoders.openclip import OpenClip
from ood_lightning.making.words import PHOTO, default_prompts


@pytest.mark.parametrize(("device", "templates"), [("cpu", PHOTO), ("cuda", SIMPLE_7)])
def test_a_processor_takes_one_template_and_a_gpu_seven(device: str, templates: tuple[str, ...]):
    assert default_prompts(PlainEncoder(), device).templates == templates


def test_the_drawing_model_takes_the_bare_word():
    assert default_prompts(OpenClip("builtin:pictograms/model"), "cuda").templates == BARE
