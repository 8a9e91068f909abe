"""Which concepts came more often, or less often, than before."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ood_lightning.functional.proportions import Difference, difference
from ood_lightning.watching.state import Period

CONFIDENCE = 0.95  # of all intervals together


class Change(NamedTuple):
    """A concept whose share of the images changed.

    Attributes:
        concept: the nearest one of these images.
        before: images of it before.
        after: images of it in the period.
        difference: of the shares; positive where it grew.
    """

    concept: str
    before: int
    after: int
    difference: Difference


class Changes(NamedTuple):
    """What is to be said of a period.

    Attributes:
        period: its name.
        n_before: images of all periods before it.
        n_after: images of it.
        n_concepts: that were compared.
        changes: those whose interval is free of 0, the largest first.
    """

    period: str
    n_before: int
    n_after: int
    n_concepts: int
    changes: list[Change]


def changes_in(periods: Sequence[Period], index: int) -> Changes:
    """A period against all before it.

    Each of K concepts has an interval of confidence 1 - 0.05 / K (Bonferroni), so that all of them together hold with
    0.95, as far as Newcombe's approximation does.

    Args:
        periods: in their order.
        index: of the period.
    """
    before: Counter[str] = Counter()
    for period in periods[:index]:
        before.update(period.concepts)
    after: Mapping[str, int] = periods[index].concepts
    n_before, n_after = before.total(), sum(after.values())

    concepts = sorted({*before, *after})
    changes = []
    if n_before and n_after:
        confidence = 1 - (1 - CONFIDENCE) / len(concepts)
        for concept in concepts:
            counts = before[concept], after.get(concept, 0)
            interval = difference(counts[0], n_before, counts[1], n_after, confidence)
            if interval.low > 0 or interval.high < 0:
                changes.append(Change(concept, *counts, interval))
    changes.sort(key=lambda change: -abs(change.difference.value))
    return Changes(periods[index].name, n_before, n_after, len(concepts), changes)
