"""The nearest text of each image, exactly, at the price of one pass over the float32 products.

:mod:`ood_lightning.functional.exact_top` keeps k + 8 candidates of each block, which costs an eighth of the product at
D = 512. For k = 1 the largest product of each of 128 stripes of the block tells enough, and takes a fiftieth:

1. A text whose exact cosine is at least that of the best one so far has a float32 product of at least that, less
   ``slack``, the largest possible rounding error. The same holds for the best of the block, known to ``slack``.
2. Few products reach this floor, most often one for an image: they are taken again in float64, added in one fixed
   order, and compared. Of equal ones the first text wins.

So the answer depends neither on blocks nor on threads nor on the device, and equals that of `exact_top` to the bit.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from ood_lightning.functional.blocks import in_blocks
from ood_lightning.functional.products import exact_products, longest, norms, product, rounding, same_precision

_PAIRS = 2**17  # float64 factors of exact products at once: 1 MiB, which stays in a processor's cache
_STRIPES = 128  # of the columns of a block; of each only the largest product is looked at first


class Best(NamedTuple):
    """The nearest text of each image so far.

    Attributes:
        cosine: exact, float64, (B,); -inf where no text came yet.
        position: of the text, int64, (B,); the lowest of equally near ones.
    """

    cosine: Tensor
    position: Tensor

    @classmethod
    def none_yet(cls, n_images: int, device: torch.device) -> "Best":
        """Before the first block."""
        cosine = torch.full((n_images,), -torch.inf, dtype=torch.float64, device=device)
        return cls(cosine, torch.full((n_images,), torch.iinfo(torch.int64).max, device=device))


def exact_nearest(queries: Tensor, bank: Tensor, block: int, row_block: int) -> Best:
    """The nearest row of the bank for each query; of equal ones the lowest.

    Args:
        queries: unit vectors, shape ``(B, D)``.
        bank: unit vectors, shape ``(V, D)``.
        block: rows of the bank per product; halved where a GPU runs out of memory.
        row_block: queries per product.

    Raises:
        ValueError: if D differs, the bank is empty, or a value is not finite.
    """
    queries, bank = same_precision(queries, bank, block)
    slack = rounding(bank.shape[1]) * longest(bank) * norms(queries)
    positions = torch.arange(len(bank), device=bank.device)

    per_block = []
    for rows, row_slack in zip(queries.split(row_block), slack.split(row_block), strict=True):
        best = Best.none_yet(len(rows), rows.device)

        def compare(start: int, stop: int, rows: Tensor = rows, row_slack: Tensor = row_slack) -> None:
            nonlocal best
            texts = bank[start:stop]
            best = nearer(best, rows, texts, product(rows, texts), positions[start:stop], row_slack)

        in_blocks(len(bank), block, compare)
        per_block.append(best)

    return Best(*(torch.cat(column) for column in zip(*per_block, strict=True)))


def nearer(best: Best, features: Tensor, texts: Tensor, products: Tensor, positions: Tensor, slack: Tensor) -> Best:
    """The nearest texts after one more block.

    Args:
        best: before it.
        features: unit vectors, shape (B, D).
        texts: of the block, unit vectors, shape (w, D).
        products: of both in their own precision, shape (B, w); -inf where a text does not take part.
        positions: of the texts, int64, shape (w,).
        slack: how far each image's products may be from the true ones, float64, shape (B,).
    """
    images, columns = _at_least(products, best.cosine, slack)
    exact = _exact(features, texts, images, columns)

    cosine = best.cosine.scatter_reduce(0, images, exact, "amax")
    as_near = exact == cosine[images]
    position = best.position.masked_fill(best.cosine < cosine, torch.iinfo(torch.int64).max)
    return Best(cosine, position.scatter_reduce(0, images[as_near], positions[columns[as_near]], "amin"))


def _at_least(products: Tensor, cosine: Tensor, slack: Tensor) -> tuple[Tensor, Tensor]:
    """Rows and columns of all products (B, w) that may belong to a text at least as near as the best one known."""
    depth = products.shape[1] // _STRIPES
    n_striped = depth * _STRIPES
    striped = products[:, :n_striped].unflatten(1, (depth, _STRIPES)) if depth else None  # column j in stripe j % 128
    rest = products[:, n_striped:]
    maxima = rest if striped is None else torch.cat([striped.amax(dim=1), rest], dim=1)

    floor = torch.maximum(cosine, maxima.amax(dim=1).double() - slack) - slack  # (B,)
    floor.clamp_(min=torch.finfo(torch.float64).min)  # -inf, as where no text of the block takes part, is below it
    images, at = (maxima >= floor[:, None]).nonzero(as_tuple=True)
    if striped is None:
        return images, at

    in_stripe = at < _STRIPES
    stripe_images, stripes = images[in_stripe], at[in_stripe]
    members = striped[stripe_images, :, stripes]  # (n, depth)
    hit, member = (members >= floor[stripe_images, None]).nonzero(as_tuple=True)

    columns = [member * _STRIPES + stripes[hit], at[~in_stripe] - _STRIPES + n_striped]
    return torch.cat([stripe_images[hit], images[~in_stripe]]), torch.cat(columns)


def _exact(features: Tensor, texts: Tensor, images: Tensor, columns: Tensor) -> Tensor:
    """Float64 products of pairs of an image and a text, shape (n,)."""
    at_once = max(1, _PAIRS // features.shape[1])
    pairs = zip(images.split(at_once), columns.split(at_once), strict=True)
    return torch.cat([exact_products(features[rows], texts, at[:, None])[:, 0] for rows, at in pairs])
