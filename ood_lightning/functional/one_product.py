"""Masses and nearest texts of many selections of one matrix of texts, from one product with each block of it.

Label sets mined from one corpus differ in which of its words are positive. Their masses and nearest words need the same
cosines, and the product costs several times all that is done with it afterwards:

    selections    rows of the matrix, such as the positives of one label set, and the rest of the corpus
    masses        log sum_v n_v exp(scale * cosine_v), n_v: how often row v is selected
    nearest       position in the selection of the text with the largest cosine

A mass is a sum of its own terms, never the difference of two sums, so that it stays exact beside one that
outweighs it. The answer for a selection does not depend on what else is asked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Self

import torch
from torch import Tensor

from ood_lightning.functional.blocks import in_blocks, in_cached_rows
from ood_lightning.functional.exact_nearest import Best, nearer
from ood_lightning.functional.log_sum_exp import check_scale, powers, powers_below_one
from ood_lightning.functional.products import longest as longest_of
from ood_lightning.functional.products import norms, product, rounding, same_precision

_SAFE_NATS = 300.0  # exp(-300), exp(300) and sums of billions of them are normal numbers of float64
_LOST = 1e-250  # a sum below may lack terms that were too small for float64
_FEW = 1 / 8  # of a block: below it copying the columns that count is faster than a sum over all


@dataclass(frozen=True, eq=False)
class Selection:
    """Some rows of a matrix of texts.

    Args:
        counts: how often each row is selected, float64, shape (V,).
        positions: of each row in the list of selected rows, the first where it stands there more than once, int64,
            shape (V,); not read where the count is 0.
    """

    counts: Tensor
    positions: Tensor

    @classmethod
    def of(cls, rows: Tensor, n_texts: int) -> Self:
        """The rows of a list, each as often as it stands there.

        Args:
            rows: in 0..V-1, int64, shape (n,).
            n_texts: V.

        Example:
            >>> Selection.of(torch.tensor([2, 0, 2]), 4)
            Selection(counts=tensor([1., 0., 2., 0.], dtype=torch.float64), positions=tensor([1, 3, 0, 3]))
        """
        counts = torch.bincount(rows, minlength=n_texts).double()
        listed = torch.arange(len(rows), device=rows.device)
        positions = torch.full((n_texts,), len(rows), device=rows.device).scatter_reduce(0, rows, listed, "amin")
        return cls(counts, positions)

    def of_block(self, start: int, stop: int) -> Self:
        """Of rows start to stop."""
        return type(self)(self.counts[start:stop], self.positions[start:stop])


class Mass(NamedTuple):
    """Log-mass of a selection is asked for.

    Attributes:
        selection: of texts.
        scale: multiplier of the cosines.
    """

    selection: Selection
    scale: float


class Answers(NamedTuple):
    """What was asked, in the order of asking.

    Attributes:
        masses: nats, float64, each (B,); -inf for an empty selection.
        nearest: positions, int64, each (B,).
    """

    masses: list[Tensor]
    nearest: list[Tensor]


def compare(
    features: Tensor,
    texts: Tensor,
    masses: Sequence[Mass],
    nearest: Sequence[Selection],
    *,
    longest: float | None = None,
    block: int = 4096,
) -> Answers:
    """Masses and nearest texts of selections; see the module's docstring.

    Peak memory beside the inputs: ``B * block * 4`` bytes and some 4 MiB on a processor, five times the former on a
    GPU, whatever V and the number of selections; a GPU that runs out of memory goes on with half the block.

    Args:
        features: unit image features, shape (B, D).
        texts: unit text features, shape (V, D).
        masses: asked for; equal scales share their exponentials.
        nearest: asked for, none empty; of equally near texts the first in the selection.
        longest: length of the longest text, where it is known.
        block: texts per product.

    Raises:
        ValueError: if there are no texts, D differs, a scale is not positive, or a value is not finite where nearest
            texts are asked for.
    """
    features, texts = same_precision(features, texts, block)
    longest = longest_of(texts) if longest is None else longest
    lengths = norms(features)  # (B,)
    slack = rounding(texts.shape[1]) * longest * lengths
    bound = longest * float(lengths.max()) if len(features) else 0.0  # of all cosines

    scales = list(dict.fromkeys(mass.scale for mass in masses))
    for scale in scales:
        check_scale(scale)
    totals = [features.new_full((len(features),), -torch.inf, dtype=torch.float64) for _ in masses]
    bests = [Best.none_yet(len(features), features.device) for _ in nearest]

    def add(start: int, stop: int) -> None:
        nonlocal totals, bests
        part = texts[start:stop]
        products = product(features, part)  # (B, block)

        more = list(totals)
        for scale in scales:
            at_scale = [i for i, mass in enumerate(masses) if mass.scale == scale]
            weights = [_Weights.of(masses[i].selection.counts[start:stop]) for i in at_scale]
            sums = partial(_masses, weights=weights, scale=scale, safe=scale * bound <= _SAFE_NATS)
            for i, added in zip(at_scale, in_cached_rows(sums, products).unbind(dim=1), strict=True):
                more[i] = torch.logaddexp(totals[i], added)

        selections = [selection.of_block(start, stop) for selection in nearest]
        bests = _nearer_of_each(bests, features, part, products, selections, slack)
        totals = more

    in_blocks(len(texts), block, add)
    return Answers(totals, [best.position for best in bests])


class _Weights(NamedTuple):
    """How often each column of a block counts.

    Attributes:
        columns: that count at all, int64, (n,); None: all columns are read.
        counts: of these columns, float64, (n,) or (w,).
    """

    columns: Tensor | None
    counts: Tensor

    @classmethod
    def of(cls, counts: Tensor) -> Self:
        """Of the counts (w,) of all columns."""
        columns = counts.nonzero()[:, 0]
        return cls(columns, counts[columns]) if len(columns) < _FEW * len(counts) else cls(None, counts)

    def sum(self, powers: Tensor) -> Tensor:
        """Weighted sums of the rows (n, w), shape (n,)."""
        return (powers if self.columns is None else powers.index_select(1, self.columns)) @ self.counts

    def alone(self, products: Tensor) -> Tensor:
        """The products (n, w) of columns that count; -inf in the place of others."""
        if self.columns is not None:
            return products.index_select(1, self.columns)
        return products.masked_fill(self.counts == 0, -torch.inf)


def _masses(products: Tensor, weights: Sequence[_Weights], scale: float, safe: bool) -> Tensor:
    """Log-masses of a block's products (n, w) under several weights, float64, (n, selections)."""
    if safe:
        every = powers(products, scale)
        return torch.stack([one.sum(every) for one in weights], dim=1).log_()

    every, largest = powers_below_one(products, scale)
    sums = torch.stack([one.sum(every) for one in weights], dim=1)
    masses = sums.log() + scale * largest

    # a selection far from the nearest text of all: exp(1000 * (0.1 - 0.9)) is 0 in float64
    for column, one in enumerate(weights):
        lost = sums[:, column] < _LOST
        if lost.any() and one.counts.any():
            its_own, largest = powers_below_one(one.alone(products[lost]), scale)
            masses[lost, column] = (its_own @ one.counts).log() + scale * largest[:, 0]
    return masses


def _nearer_of_each(
    bests: list[Best], features: Tensor, texts: Tensor, products: Tensor, selections: Sequence[Selection], slack: Tensor
) -> list[Best]:
    """The nearest texts of each selection after one more block, whose products are overwritten; see :func:`nearer`."""
    after = list(bests)
    of_most = []

    for i, selection in enumerate(selections):
        columns = selection.counts.nonzero()[:, 0]
        if 2 * len(columns) > len(texts):
            of_most.append(i)
        elif len(columns):
            few = products.index_select(1, columns)  # indexing with a slice takes six times as long
            after[i] = nearer(bests[i], features, texts[columns], few, selection.positions[columns], slack)

    for i in of_most:  # in place, since a copy would take as much memory as the products
        left_out = (selections[i].counts == 0).nonzero()[:, 0]
        kept = products.index_select(1, left_out) if i != of_most[-1] else None
        products.index_fill_(1, left_out, -torch.inf)
        after[i] = nearer(bests[i], features, texts, products, selections[i].positions, slack)
        if kept is not None:
            products.index_copy_(1, left_out, kept)

    return after
