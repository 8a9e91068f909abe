"""What the reference outputs of ANTS were made with: a table of answers in place of a multimodal model."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor

from ood_lightning.detectors.ants import ANTS, Describing
from ood_lightning.detectors.evidence import LabelFeatures
from ood_lightning.detectors.image_texts import BareTexts, ImageTexts, StreamImage


class Table(ImageTexts):
    """Answers by the image's number and the class's."""

    def __init__(self, arrays: dict[str, Tensor]) -> None:
        self.sentence_of_image, self.labels_of_class = arrays["sentence_of_image"], arrays["labels_of_class"]
        self.order: list[str] = []  # in which new sentences are said

    def describe(self, images: Sequence[StreamImage]) -> list[str]:
        said = [f"sentence {int(self.sentence_of_image[int(image.key)])}" for image in images]
        assert set(said) <= set(self.order)
        return [f"{sentence}." for sentence in sorted(said, key=self.order.index)]

    def look_alikes(self, names: Sequence[str]) -> list[list[str]]:
        return [[f"label {label}" for label in self.labels_of_class[int(name)].tolist()] for name in names]


def ants_stream(arrays: dict[str, Tensor], prefix: str, history_group: int, updates: int, eta: float) -> Any:
    """A stream with a case's settings."""
    mode = cast(Any, prefix.rstrip("_"))
    table = Table(arrays)
    settings = ANTS(texts=table, mode=mode, history_group=history_group, updates=updates, eta=eta)

    def encode(texts: Sequence[str]) -> Tensor:
        sides = {"sentence": arrays["sentences"], "label": arrays["labels"]}
        return torch.stack([sides[text.split()[0]][int(text.split()[1])] for text in texts])

    labels = LabelFeatures(arrays["pos"], arrays["neg"], float(arrays["scale"]))
    images = [StreamImage("stream", str(i), bytes) for i in range(len(arrays["img"]))]
    names = [str(i) for i in range(len(arrays["pos"]))]
    return Describing(settings, labels, names, images, table, BareTexts(encode))
