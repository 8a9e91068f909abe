"""From a run's scores, features and words to all that `reasons.json` holds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from ood_lightning.detectors.base import Detector
from ood_lightning.detectors.evidence import ReadyLabelSet
from ood_lightning.detectors.label_mass import LabelMass
from ood_lightning.functional.ranked import id_threshold
from ood_lightning.plain_output import one_line
from ood_lightning.plurals import many
from ood_lightning.reasons.pictures import ScoredSet, chosen, explained
from ood_lightning.reasons.stored import Picture, Reasons, Word
from ood_lightning.reasons.thumbnails import ShownSet, thumbnail
from ood_lightning.reasons.words import by_doubt, looked_at, words_of

MAX_THUMBNAILS = 300
PER_WORD = 4  # pictures of a word


class Threshold(NamedTuple):
    """From which score on pictures are accepted.

    Attributes:
        value: pictures at or above it are accepted.
        source: in words.
    """

    value: float
    source: str


@dataclass(frozen=True)
class Explained:
    """A detector whose scores are to be explained.

    Args:
        name: as results call it.
        detector: how it scores.
        label_set: name of its label set.
        ready: the label set.
    """

    name: str
    detector: Detector
    label_set: str
    ready: ReadyLabelSet

    @property
    def scale(self) -> float:
        """Multiplier of the cosines in equation 1."""
        return float(getattr(self.detector, "sharpness", 1.0)) * self.ready.logit_scale


def collect(
    what: Explained,
    sets: Sequence[ScoredSet],
    training: ShownSet | None = None,
    threshold: Threshold | None = None,
    *,
    run: str = "",
    statements: Sequence[str] = (),
) -> Reasons:
    """Reasons of the pictures that a person should look at, and the words behind them.

    Reads the shards that hold these pictures once more. One block of pictures against all words is in memory.

    Args:
        what: the detector.
        sets: of the run; the first ID set gives the threshold where there is none.
        training: ID pictures that words are shown with; None: those of the first ID set.
        threshold: that was calibrated; None: the strictest one that keeps 95 % of the first ID set.
        run: its hash.
        statements: what the run says of itself.
    """
    id_set = next(one for one in sets if one.is_id)
    if threshold is None:
        value = float(id_threshold(id_set.scores.sort().values))
        threshold = Threshold(value, f"keeps at least 95 % of {id_set.name}")

    by_name = {one.name: one for one in sets}
    picked = chosen(sets, threshold.value)
    pictures = list(explained(picked, by_name, what.ready, what.scale))

    shown_with = training or id_set.pictures
    looks = looked_at(shown_with.images.features, what.ready.positives.features)
    mapped = words_of(what.ready, looks)
    positions = {word: i for i, word in enumerate(mapped.words)}
    ordered = by_doubt(mapped.words)

    small = _Thumbnails(MAX_THUMBNAILS)
    pictures = small.of_pictures(pictures, [(one.set, one.row) for one in picked], by_name)
    members = [looks.of_word(positions[word])[:PER_WORD] for word in ordered]
    ordered = small.of_words(ordered, members, shown_with)

    n_looked_at = len(looks.rows)
    source = f"{many(n_looked_at, 'picture')} of {shown_with.name}"
    if n_looked_at < len(shown_with.images.features):
        source += f", evenly spaced among its {len(shown_with.images.features):,}"
    return Reasons(
        what.name,
        isinstance(what.detector, LabelMass),
        what.label_set,
        what.scale,
        id_set.name,
        threshold.value,
        threshold.source,
        len(what.ready.negatives),
        source,
        mapped.by_text,
        tuple(ordered),
        tuple(pictures),
        small.made,
        tuple(small.remarks),
        tuple(map(one_line, statements)),
        run=run,
        explained_pictures=mapped.by_pictures,
    )


class _Thumbnails:
    """Small pictures by name, as many as a page may hold.

    Args:
        room: for how many.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self.made: dict[str, str] = {}
        self.remarks: list[str] = []

    def of_pictures(
        self, pictures: Sequence[Picture], rows: Sequence[tuple[str, int]], sets: dict[str, ScoredSet]
    ) -> list[Picture]:
        """The pictures with the names of their small copies.

        Args:
            pictures: the chosen ones.
            rows: set and row of each.
            sets: by name.
        """
        names: dict[tuple[str, int], str] = {}
        for name, of_set in sets.items():
            due = [row for of, row in rows if of == name]
            names |= {(name, row): made for row, made in self._read(of_set.pictures, due).items()}
        return [replace(one, thumbnail=names.get(row, "")) for one, row in zip(pictures, rows, strict=True)]

    def of_words(self, words: Sequence[Word], members: Sequence[Sequence[int]], images: ShownSet) -> list[Word]:
        """The words with the names of the small copies of their pictures, as far as there is room.

        Args:
            words: in the order of the page.
            members: rows of each word's pictures.
            images: the set that they are of.
        """
        due = [row for of_word in members for row in of_word]
        names = self._read(images, due)
        return [
            replace(word, thumbnails=tuple(names[row] for row in of_word if row in names))
            for word, of_word in zip(words, members, strict=True)
        ]

    def _read(self, images: ShownSet, rows: Sequence[int]) -> dict[int, str]:
        """Names of the small copies of rows of a set, of those that can be read, until there is no room."""
        due = list(dict.fromkeys(rows))[: self._room]
        names: dict[int, str] = {}
        errors: list[str] = []
        for opened in images.opened(set(due)):
            if opened.image is None:
                errors.append(opened.error)
            else:
                names[opened.row] = f"{len(self.made)}"
                self.made[names[opened.row]] = thumbnail(opened.image)

        self._room -= len(names)
        if errors:
            self.remarks.append(one_line(f"{images.name}: {many(len(errors), 'picture')} cannot be shown: {errors[0]}"))
        return names


def first_explained(candidates: Sequence[Explained]) -> Explained | None:
    """The detector to explain: the first whose score is equation 1, else the first with negatives, else the first."""
    by_equation = [one for one in candidates if isinstance(one.detector, LabelMass)]
    with_negatives = [one for one in candidates if len(one.ready.negatives)]
    return next(iter([*by_equation, *with_negatives, *candidates]), None)
