"""The texts of one side of a label set, and what a detector asks of them: their log-mass, and the nearest one.

Label sets mined from one corpus are rows of one matrix, whose product with the images is nearly all the work. So a
detector asks beforehand, when it is bound, and gets a function of a batch:

    >>> corpus = CorpusProducts(torch.eye(3))
    >>> positives, negatives = corpus.rows(torch.tensor([2])), corpus.rows(torch.tensor([0, 1]))
    >>> mass, nearest = negatives.log_mass(1.0), positives.nearest()
    >>> image = torch.tensor([[0.6, 0.0, 0.8]])
    >>> mass(image), nearest(image)  # the second one is answered from the product that the first one took
    (tensor([1.0375], dtype=torch.float64), tensor([0]))

The first function that is called with a batch answers all that anybody has asked; the others find their answers there.
A detector that needs more than masses and nearest texts reads `features` and multiplies for itself.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Protocol

import torch
from torch import Tensor

from ood_lightning.functional.one_product import Answers, Mass, Selection, compare
from ood_lightning.functional.products import longest
from ood_lightning.functional.similarity import log_mass, top_k

OfBatch = Callable[[Tensor], Tensor]  # unit-norm image features (B, D), on the texts' device, to values (B,)


class ComparedTexts(Protocol):
    """Texts that images are compared with."""

    @property
    def features(self) -> Tensor:
        """Unit-norm, shape (n, D)."""

    def __len__(self) -> int:
        """How many there are."""

    def log_mass(self, scale: float) -> OfBatch:
        """Nats, float64; see :func:`ood_lightning.functional.similarity.log_mass`.

        Args:
            scale: multiplier of the cosines.
        """

    def nearest(self) -> OfBatch:
        """Position of the nearest text, int64; the first of equally near ones, and -1 where there is no text."""


@dataclass(frozen=True)
class OwnTexts:
    """Texts with a matrix of their own.

    Args:
        features: unit-norm, shape (n, D).
    """

    features: Tensor

    def __len__(self) -> int:
        return len(self.features)

    def log_mass(self, scale: float) -> OfBatch:
        """See :class:`ComparedTexts`."""
        return partial(log_mass, texts=self.features, scale=scale)

    def nearest(self) -> OfBatch:
        """See :class:`ComparedTexts`."""
        return self._nearest if len(self) else _nothing

    def _nearest(self, features: Tensor) -> Tensor:
        return top_k(features, self.features, 1).indices[:, 0]


class CorpusProducts:
    """A matrix of texts that label sets share, and the answers to all they ask of a batch.

    Holds the matrix once, whatever the number of label sets; for each of them 16 bytes a text and side.

    Args:
        texts: unit-norm, shape (V, D), on the device where detectors compute.
    """

    def __init__(self, texts: Tensor) -> None:
        self.texts = texts
        self._masses: list[Mass] = []
        self._nearest: list[Selection] = []
        self._answered: tuple[Tensor, Answers] | None = None  # the last batch

    def rows(self, rows: Tensor) -> ComparedTexts:
        """The texts of these rows, int64, shape (n,), in this order; a row may come more than once."""
        rows = rows.to(self.texts.device)
        return _SharedTexts(self, rows) if len(rows) else OwnTexts(self.texts[:0])

    def log_mass(self, selection: Selection, scale: float) -> OfBatch:
        """Ask for the log-mass of a selection of the texts."""
        mass = Mass(selection, scale)
        if mass not in self._masses:
            self._masses.append(mass)
        index = self._masses.index(mass)
        return lambda features: self._answers(features).masses[index]

    def nearest(self, selection: Selection) -> OfBatch:
        """Ask for the nearest of a selection of the texts."""
        if selection not in self._nearest:
            self._nearest.append(selection)
        index = self._nearest.index(selection)
        return lambda features: self._answers(features).nearest[index]

    @cached_property
    def _longest(self) -> float:
        return longest(self.texts)

    def _answers(self, features: Tensor) -> Answers:
        known = self._answered
        # the very tensor: detectors of one step are handed the same one
        if known is None or known[0] is not features or not self._all_in(known[1]):
            known = features, compare(features, self.texts, self._masses, self._nearest, longest=self._longest)
            self._answered = known
        return known[1]

    def _all_in(self, answers: Answers) -> bool:
        return len(answers.masses) == len(self._masses) and len(answers.nearest) == len(self._nearest)


class _SharedTexts:
    """Rows of a matrix that other label sets read too."""

    def __init__(self, corpus: CorpusProducts, rows: Tensor) -> None:
        self.corpus, self._rows = corpus, rows
        self._selection = Selection.of(rows, len(corpus.texts))

    @property
    def features(self) -> Tensor:
        """A copy of the rows."""
        return self.corpus.texts[self._rows]

    def __len__(self) -> int:
        return len(self._rows)

    def log_mass(self, scale: float) -> OfBatch:
        return self.corpus.log_mass(self._selection, scale)

    def nearest(self) -> OfBatch:
        return self.corpus.nearest(self._selection)


def _nothing(features: Tensor) -> Tensor:
    return torch.full((len(features),), -1, device=features.device)
