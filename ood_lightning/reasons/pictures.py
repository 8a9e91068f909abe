"""Which pictures a person should look at, and what each word has in their scores."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ood_lightning.detectors.evidence import ReadyLabelSet
from ood_lightning.functional.shares import mass_without_each, shares, text_logits
from ood_lightning.functional.similarity import unit
from ood_lightning.plain_output import one_line
from ood_lightning.reasons.stored import Kind, Picture, Pull
from ood_lightning.reasons.thumbnails import ShownSet

FALSE_ALARMS, MISSES, UNCERTAIN = 48, 80, 32
PER_SET = 6  # of the misses, at least so many of each OOD set
PULLS = 6  # words of each side that are named
AT_ONCE = 16  # pictures: against 80,000 words in float64 20 MB


class Chosen(NamedTuple):
    """A picture that was chosen.

    Attributes:
        set: name of its set.
        row: of its features.
        kind: why.
        score: its own.
    """

    set: str
    row: int
    kind: Kind
    score: float


@dataclass(frozen=True)
class ScoredSet:
    """A set and its scores by the detector that is explained.

    Args:
        pictures: its pictures with their features.
        is_id: whether they are in-distribution.
        scores: float64, shape (n,).
    """

    pictures: ShownSet
    is_id: bool
    scores: Tensor

    @property
    def name(self) -> str:
        """As results call it."""
        return self.pictures.name


def chosen(sets: Sequence[ScoredSet], threshold: float) -> list[Chosen]:
    """The worst false alarms and misses, and those whose score is nearest to the threshold; none comes twice.

    A false alarm is an ID picture below the threshold, a miss an OOD picture at or above it. Of each OOD set the worst
    misses are there, so that one hard set does not hide the others.

    Args:
        sets: of the run.
        threshold: pictures at or above it are accepted.
    """
    alarms: list[list[Chosen]] = []
    misses: list[list[Chosen]] = []
    others: list[Chosen] = []
    for one in sets:
        accepted = one.scores >= threshold
        rows = (accepted if not one.is_id else ~accepted).nonzero()[:, 0]
        order = one.scores[rows].argsort(descending=not one.is_id, stable=True)
        kind: Kind = "false alarm" if one.is_id else "miss"
        errors = [Chosen(one.name, row, kind, float(one.scores[row])) for row in rows[order].tolist()]
        (alarms if one.is_id else misses).append(errors)

        distance = (one.scores - threshold).abs()
        near_rows = distance.argsort(stable=True)[: UNCERTAIN + FALSE_ALARMS + MISSES].tolist()
        others += [Chosen(one.name, row, "uncertain", float(one.scores[row])) for row in near_rows]

    picked = [*_worst(alarms, FALSE_ALARMS, lowest=True), *_worst(misses, MISSES, lowest=False)]
    taken = {(one.set, one.row) for one in picked}
    others.sort(key=lambda one: abs(one.score - threshold))
    return picked + [one for one in others if (one.set, one.row) not in taken][:UNCERTAIN]


def _worst(by_set: Sequence[list[Chosen]], number: int, *, lowest: bool) -> list[Chosen]:
    """The worst of all sets together, but some of each."""

    def badness(one: Chosen) -> float:
        return one.score if lowest else -one.score

    first = [one for of_set in by_set for one in of_set[:PER_SET]]
    rest = [one for of_set in by_set for one in of_set[PER_SET:]]
    first = sorted(first, key=badness)[:number]
    return sorted(first + sorted(rest, key=badness)[: number - len(first)], key=badness)


def explained(
    picked: Sequence[Chosen], sets: Mapping[str, ScoredSet], ready: ReadyLabelSet, scale: float
) -> Iterator[Picture]:
    """Each chosen picture with its reasons, in order.

    Args:
        picked: the pictures.
        sets: by name.
        ready: the label set.
        scale: multiplier of the cosines.
    """
    positives, negatives = ready.positives.features, ready.negatives.features

    for start in range(0, len(picked), AT_ONCE):
        part = picked[start : start + AT_ONCE]
        features = torch.stack([sets[one.set].pictures.images.features.image[one.row : one.row + 1][0] for one in part])
        features = unit(features.to(positives.device).float())
        of_positives = text_logits(features, positives, scale).cpu()
        of_negatives = text_logits(features, negatives, scale).cpu() if len(negatives) else None
        yield from _pictures(part, sets, ready, of_positives, of_negatives)


def _pictures(
    part: Sequence[Chosen],
    sets: Mapping[str, ScoredSet],
    ready: ReadyLabelSet,
    positives: Tensor,
    negatives: Tensor | None,
) -> Iterator[Picture]:
    """The pictures of a block.

    Args:
        part: the pictures.
        sets: by name.
        ready: the label set.
        positives: logits, shape (b, P).
        negatives: logits, shape (b, N); None where there are none.
    """
    id_mass = positives.logsumexp(dim=1)
    if negatives is None:
        for row, one in enumerate(part):
            nearest = positives[row].topk(min(PULLS, positives.shape[1])).indices.tolist()
            pulls = tuple(
                Pull(one_line(ready.texts.positives[i]), float((positives[row, i] - id_mass[row]).exp()), None)
                for i in nearest
            )
            yield _picture(one, sets, None, float(id_mass[row]), None, pulls, ())
        return

    ood_mass = negatives.logsumexp(dim=1)
    log_odds = id_mass - ood_mass
    both = shares(positives, negatives)
    of_positives = _Side(positives, both.positives, ready.texts.positives)
    of_negatives = _Side(negatives, both.negatives, ready.texts.negatives)

    for row, one in enumerate(part):
        towards_id = tuple(
            Pull(word, share, None if mass == -torch.inf else mass - float(ood_mass[row]))
            for word, share, mass in of_positives.pulls(row)
        )
        towards_ood = tuple(
            Pull(word, share, None if mass == -torch.inf else float(id_mass[row]) - mass)
            for word, share, mass in of_negatives.pulls(row)
        )
        yield _picture(
            one, sets, float(log_odds[row]), float(id_mass[row]), float(ood_mass[row]), towards_id, towards_ood
        )


class _Side:
    """Words of one side, those of largest share of each picture, and the side's mass without them.

    Args:
        logits: shape (b, V).
        of_both: shares of both masses, shape (b, V).
        texts: V words.
    """

    def __init__(self, logits: Tensor, of_both: Tensor, texts: Sequence[str]) -> None:
        self.rows = logits.topk(min(PULLS, logits.shape[1]), dim=1).indices  # (b, k)
        self.of_both = of_both.gather(1, self.rows)
        self.without = mass_without_each(logits, self.rows)
        self.texts = texts

    def pulls(self, row: int) -> list[tuple[str, float, float]]:
        """Word, share, and log-mass without it; largest share first."""
        columns = zip(self.rows[row].tolist(), self.of_both[row].tolist(), self.without[row].tolist(), strict=True)
        return [(one_line(self.texts[i]), min(share, 1.0), mass) for i, share, mass in columns]


def _picture(
    one: Chosen,
    sets: Mapping[str, ScoredSet],
    log_odds: float | None,
    id_mass: float,
    ood_mass: float | None,
    positives: tuple[Pull, ...],
    negatives: tuple[Pull, ...],
) -> Picture:
    of_set = sets[one.set]
    key = one_line(of_set.pictures.images.features.keys[one.row])
    return Picture(one.set, key, of_set.is_id, one.kind, one.score, log_odds, id_mass, ood_mass, positives, negatives)
