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
from ood_lightning.functional.log_sum_exp import check_scale, powers_below_one
from ood_lightning.functional.products import longest as longest_of
from ood_lightning.functional.products import norms, product, rounding, same_precision

_SAFE_SCALE = 300.0  # exp(scale * (-1 - 1)) is a normal number of float64 up to here
_LOST = 1e-250  # a sum below may lack terms that were too small for float64


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
    block: int = 8192,
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
    slack = rounding(texts.shape[1]) * longest * norms(features)

    scales = list(dict.fromkeys(mass.scale for mass in masses))
    for scale in scales:
        check_scale(scale)
    empty = torch.full((len(features),), -torch.inf, dtype=torch.float64, device=features.device)
    totals = [empty for _ in masses]
    bests = [Best.none_yet(len(features), features.device) for _ in nearest]

    def add(start: int, stop: int) -> None:
        nonlocal totals, bests
        part = texts[start:stop]
        products = product(features, part)  # (B, block)

        added = [empty for _ in masses]
        for scale in scales:
            at_scale = [i for i, mass in enumerate(masses) if mass.scale == scale]
            counts = [masses[i].selection.of_block(start, stop).counts for i in at_scale]
            columns = in_cached_rows(partial(_masses, counts=counts, scale=scale), products).unbind(dim=1)
            for i, column in zip(at_scale, columns, strict=True):
                added[i] = column

        after = [
            _nearer(best, features, part, products, selection.of_block(start, stop), slack)
            for best, selection in zip(bests, nearest, strict=True)
        ]
        totals = [torch.logaddexp(total, more) for total, more in zip(totals, added, strict=True)]
        bests = after

    in_blocks(len(texts), block, add)
    return Answers(totals, [best.position for best in bests])


def _masses(products: Tensor, counts: Sequence[Tensor], scale: float) -> Tensor:
    """Log-masses of a block's products (n, w) under several counts (w,), float64, (n, selections)."""
    powers, largest = powers_below_one(products, scale)
    masses = []

    for count in counts:
        sums = powers @ count  # (n,)
        mass = sums.log() + scale * largest[:, 0]

        # A selection far from the nearest text of all: exp(1000 * (0.1 - 0.9)) is 0 in float64.
        if scale > _SAFE_SCALE and (lost := sums < _LOST).any() and count.any():
            alone = products[lost].masked_fill(count == 0, -torch.inf)
            own_powers, own_largest = powers_below_one(alone, scale)
            mass[lost] = (own_powers @ count).log() + scale * own_largest[:, 0]

        masses.append(mass)
    return torch.stack(masses, dim=1)


def _nearer(best: Best, features: Tensor, texts: Tensor, products: Tensor, selection: Selection, slack: Tensor) -> Best:
    """The nearest texts after one more block, of which some rows are selected; see :func:`nearer`."""
    selected = selection.counts > 0  # (w,)

    if 2 * int(selected.sum()) < len(selected):
        columns = selected.nonzero()[:, 0]
        if not len(columns):
            return best
        few = products.index_select(1, columns)  # indexing with a slice takes six times as long
        return nearer(best, features, texts[columns], few, selection.positions[columns], slack)

    columns = (~selected).nonzero()[:, 0]
    kept = products.index_select(1, columns)
    products.index_fill_(1, columns, -torch.inf)  # in position, since a copy would take as much memory again
    best = nearer(best, features, texts, products, selection.positions, slack)
    products.index_copy_(1, columns, kept)
    return best
