"""Texts of a multimodal model in a file: one JSON line for each image and each class.

    {"model": "llava-1.5-7b", "set": "textures", "image": "banded_0002", "sentence": "black and white stripes"}
    {"model": "llava-1.5-7b", "name": "dalmatian", "labels": ["spotted hyena", "dappled horse"]}

`model` says who wrote the line; it may be left out. The set is called as in results, the image as in its shards.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from ood_lightning.data.artifacts.typed import STRICT, decode_json
from ood_lightning.data.rows.appended_lines import AppendedLines
from ood_lightning.detectors.image_texts import ImageTextError, ImageTexts, StreamImage
from ood_lightning.places import expanded
from ood_lightning.plurals import many


@dataclass(frozen=True)
class _Line:
    """One line of the file: a sentence on an image, or the labels of a class."""

    __pydantic_config__: ClassVar = STRICT

    set: str | None = None
    image: str | None = None
    sentence: str | None = None
    name: str | None = None
    labels: tuple[str, ...] | None = None
    model: str = ""


class TextsFile:
    """A file of such texts, by any number of models.

    Args:
        path: of the file; it need not exist.
        model: whose lines count; None: all, the last of several on one image or class.

    Attributes:
        sentences: by set and image.
        labels: by class name.

    Raises:
        ImageTextError: the file cannot be read, or a finished line is neither.
    """

    def __init__(self, path: Path, model: str | None = None) -> None:
        self.path, self.model = path, model
        self.sentences: dict[tuple[str, str], str] = {}
        self.labels: dict[str, tuple[str, ...]] = {}
        self._file = AppendedLines(path, ImageTextError)

        for number, line in enumerate(self._file.lines, start=1):
            where = f"{path}, line {number}"
            one = decode_json(line, _Line, where, ImageTextError)
            image, of_class = (one.set, one.image, one.sentence), (one.name, one.labels)
            if (None in image) == (None in of_class) or (any(image) and any(of_class)):
                raise ImageTextError(f"{where}: expected `set`, `image` and `sentence`, or `name` and `labels`")
            if model is not None and one.model != model:
                continue

            if one.set is not None and one.image is not None and one.sentence is not None:
                self.sentences[one.set, one.image] = one.sentence
            elif one.name is not None and one.labels is not None:
                self.labels[one.name] = one.labels

    def add_sentence(self, image: StreamImage, sentence: str) -> None:
        """Append what was said of an image; it is in the file when this returns."""
        self._add({"set": image.set, "image": image.key, "sentence": sentence})
        self.sentences[image.set, image.key] = sentence

    def add_labels(self, name: str, labels: Sequence[str]) -> None:
        """Append what looks like a class."""
        self._add({"name": name, "labels": list(labels)})
        self.labels[name] = tuple(labels)

    def _add(self, entry: Mapping[str, object]) -> None:
        self._file.add([json.dumps({"model": self.model or "", **entry}, ensure_ascii=False)])


@dataclass(frozen=True)
class StoredTexts(ImageTexts):
    """Texts that were written before, by a model or by hand.

    What the file does not hold is not there: an image without a sentence adds none, a class without labels none.

    Args:
        path: of the file, JSON lines.
        model: whose lines count; None: all, the last of several on one image or class.
    """

    path: str
    model: str | None = None

    def check(self) -> str:
        """Reads the file."""
        sentences, names = many(len(self._file.sentences), "sentence"), many(len(self._file.labels), "name")
        return f"{sentences}, and look-alikes of {names}, in {self.path}"

    def describe(self, images: Sequence[StreamImage]) -> list[str]:
        """By look-up."""
        return [self._file.sentences.get((image.set, image.key), "") for image in images]

    def look_alikes(self, names: Sequence[str]) -> list[list[str]]:
        """By look-up."""
        return [list(self._file.labels.get(name, ())) for name in names]

    @cached_property
    def _file(self) -> TextsFile:
        path = expanded(self.path)
        if not path.is_file():
            raise ImageTextError(f"there is no file of texts {path}: expected a JSON line for each image and class")
        return TextsFile(path, self.model)
