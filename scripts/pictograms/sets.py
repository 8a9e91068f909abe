"""Which drawings make up which set of the benchmark, and which belong to neither side.

The split is by vendor: the model and the methods learn from five vendors' drawings; the test pictures were drawn by
others. Nothing here was chosen by a test score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from concepts import Concept
from sources import LOCKED_VENDORS, TRAINING_VENDORS

# Parts, traces and doubtful cases of the animal group: neither ID nor OOD.
NOT_AN_ANIMAL = {"paw prints", "pig nose", "feather", "wing", "spider web", "spiral shell", "microbe", "coral"}

# Drawings outside the animal group that show an animal all the same: not OOD.
SHOWS_AN_ANIMAL = {
    "carousel horse",
    "carp streamer",
    "fishing pole",
    "fried shrimp",
    "horse racing",
    "pinata",
    "teddy bear",
}
ANIMAL_FACES = ("cat-face", "monkey-face")

# Flags whose emblem is an animal to the eye: bird, lion, dragon, sheep and the like.
# fmt: off
FLAGS_WITH_ANIMALS = {
    "albania", "american samoa", "andorra", "anguilla", "bermuda", "bhutan", "bolivia",
    "british indian ocean territory", "cayman islands", "christmas island", "dominica", "ecuador", "egypt",
    "falkland islands", "fiji", "grenada", "guatemala", "kazakhstan", "kiribati", "mexico", "moldova", "montenegro",
    "montserrat", "papua new guinea", "serbia", "south georgia and south sandwich islands", "sri lanka",
    "st helena", "tristan da cunha", "uganda", "us virgin islands", "wales", "zambia", "zimbabwe",
}
# fmt: on


@dataclass(frozen=True)
class PictureSet:
    """One set: whose drawings of which group, how often each, for which role.

    Args:
        number: times 1000 it is the seed of the first rendering; never reused.
        role: ``id``, ``covariate`` or ``ood``.
        renderings: pictures made of each drawing.
        labelled: False for the pictures that methods mine from.
    """

    name: str
    number: int
    role: str
    group: str
    vendors: tuple[str, ...]
    renderings: int
    labelled: bool = True

    @property
    def locked(self) -> bool:
        """True where the pictures are measured once, at the very end."""
        return any(vendor in LOCKED_VENDORS for vendor in self.vendors)


FLAT = ("fluent-emoji-flat",)
SETS = (
    PictureSet("id_train", 1, "id", "animals", TRAINING_VENDORS, 6, labelled=False),
    PictureSet("id_val", 2, "id", "animals", TRAINING_VENDORS, 2),
    PictureSet("val_activities", 3, "ood", "activities", TRAINING_VENDORS, 1),
    PictureSet("id_test", 4, "id", "animals", FLAT, 4),
    PictureSet("shaded", 5, "covariate", "animals", ("fluent-emoji",), 4),
    PictureSet("contrast", 6, "covariate", "animals", ("fluent-emoji-high-contrast",), 4),
    PictureSet("outlined", 7, "covariate", "animals", LOCKED_VENDORS, 4),
    PictureSet("plants", 8, "ood", "plants", FLAT, 4),
    PictureSet("food", 9, "ood", "food", FLAT, 2),
    PictureSet("transport", 10, "ood", "transport", FLAT, 2),
    PictureSet("places", 11, "ood", "places", FLAT, 2),
    PictureSet("objects", 12, "ood", "objects", FLAT, 2),
    PictureSet("faces", 13, "ood", "faces", FLAT, 2),
    PictureSet("people", 14, "ood", "people", FLAT, 2),
    PictureSet("symbols", 15, "ood", "symbols", FLAT, 2),
    PictureSet("flags", 16, "ood", "flags", LOCKED_VENDORS, 2),
)
VALIDATION = ("id_val", "val_activities")


def is_id(concept: Concept) -> bool:
    """True for animals, fabled and extinct ones included."""
    return concept.group == "animals" and concept.cldr not in NOT_AN_ANIMAL


def is_ood(concept: Concept) -> bool:
    """True for drawings that show no animal."""
    shows_one = concept.cldr in SHOWS_AN_ANIMAL or concept.subgroup in ANIMAL_FACES
    flag = concept.name.removeprefix("flag of ") in FLAGS_WITH_ANIMALS
    return concept.group != "animals" and not shows_one and not (concept.group == "flags" and flag)


def members(picture_set: PictureSet, concepts: Sequence[Concept]) -> list[Concept]:
    """The concepts of a set, whoever drew them."""
    belongs = is_id if picture_set.group == "animals" else is_ood
    return [concept for concept in concepts if concept.group == picture_set.group and belongs(concept)]


def class_names(picture_set: PictureSet, concepts: Sequence[Concept]) -> list[str]:
    """Sorted names; the same list for every set of animals."""
    return sorted({concept.name for concept in members(picture_set, concepts)})
