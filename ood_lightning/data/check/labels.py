"""Whether the labels of a set fit its class names and the folders that its images were packed from. Needs no torch."""

import re
from collections.abc import Iterable, Mapping, Sequence

from ood_lightning.data.pack.classes import class_folders, in_order
from ood_lightning.errors import SourceError
from ood_lightning.plurals import many


def label_problems(
    labels: Mapping[int, int], folders: Iterable[Mapping[str, set[int]]], names: Sequence[str]
) -> list[str]:
    """What is wrong with the labels of a set.

    Args:
        labels: number of images of each class; -1: none.
        folders: of each shard, the class numbers of the images in each folder.
        names: of the classes; empty: unknown.

    Returns:
        A text for labels out of range, one for images without a class, and one for class numbers that run in another
        order than names or folders.
    """
    problems = []

    if outside := sorted(label for label in labels if label < -1 or (names and label >= len(names))):
        n_images = sum(labels[label] for label in outside)
        expected = f"class_names go from 0 to {len(names) - 1}" if names else "expected 0 or more, or -1 for no class"
        problems.append(f"{many(n_images, 'picture')} with a label such as {outside[0]}: {expected}")
    if names and (n_without := labels.get(-1, 0)) < sum(labels.values()) and n_without:
        problems.append(
            f"{many(n_without, 'picture')} without a class, though the set has {many(len(names), 'class name')}"
        )

    number_of = _class_numbers(folders)
    another_order = _names_in_another_order(number_of, names) or _sorted_as_text(number_of)
    return [*problems, another_order] if another_order else problems


def _class_numbers(folders: Iterable[Mapping[str, set[int]]]) -> dict[str, int]:
    """The number of each class folder; empty where folders are no classes: a list or table numbered the images."""
    labels_in = [entry for of_shard in folders for entry in of_shard.items()]  # a folder may be in several shards
    try:
        classes = class_folders([f"{folder}/" for folder, _ in labels_in])
    except SourceError:  # images beside folders
        return {}

    labels_of: dict[str, set[int]] = {}
    for class_folder, (_, labels) in zip(classes, labels_in, strict=True):
        labels_of.setdefault(class_folder or "", set()).update(labels)
    number_of = {folder: min(labels) for folder, labels in labels_of.items()}
    has_one_each = all(len(labels) == 1 for labels in labels_of.values())
    return number_of if has_one_each and len(set(number_of.values())) == len(number_of) else {}


def _names_in_another_order(number_of: Mapping[str, int], names: Sequence[str]) -> str:
    """A folder that is called as another class is than the one of its number; empty: there is none."""
    plain_names = [_plain(name) for name in names]
    for folder, number in number_of.items():
        if number < len(names) and _plain(folder) in plain_names and _plain(folder) != plain_names[number]:
            right = plain_names.index(_plain(folder))
            return (
                f"the names of classes and folders do not run alike: folder {folder!r} has label {number}, which "
                f"class_names calls {names[number]!r}; {names[right]!r} is {right} there"
            )
    return ""


def _sorted_as_text(number_of: Mapping[str, int]) -> str:
    """A folder that is a number and has not its label, as where 10 comes before 2; empty: there is none."""
    if not all(folder.isascii() and folder.isdigit() for folder in number_of):
        return ""
    by_label = sorted(number_of, key=lambda folder: number_of[folder])
    for folder, expected in zip(by_label, in_order(by_label, "number"), strict=True):
        if folder != expected:
            return (
                f"the folders are numbers, but the labels do not run with them: folder {folder!r} has label "
                f"{number_of[folder]}. They seem to be sorted as text."
            )
    return ""


def _plain(name: str) -> str:
    """A name without case, underscores and a number before it, as in `001.Black_footed_Albatross`."""
    return re.sub(r"[\W_]+", " ", re.sub(r"^\d+\.", "", name)).strip().casefold()
