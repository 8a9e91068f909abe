"""Cosines in blocks: unit vectors, log-mass of texts, best texts of an image, nearest images of an image.

Every score of the package begins with cosines between B images and V texts. All of them at once would not fit (50,000
images and 80,000 texts are 16 GB in float32), so these functions multiply a block at a time and keep of it only what
the result needs: a running sum, or the best few. All but :func:`unit` take unit vectors, and ignore autocast.

One image, two ID names and two negatives, in two dimensions, at a scale of 10 (CLIP's is about 100):

    >>> image = unit(torch.tensor([[3.0, 4.0]]))  # of length 5 before, (0.6, 0.8) now
    >>> names = torch.tensor([[0.0, 1.0], [0.6, 0.8]])
    >>> negatives = torch.tensor([[1.0, 0.0], [0.8, -0.6]])
    >>> cosines(image, names)
    tensor([[0.8000, 1.0000]])
    >>> id_mass = log_mass(image, names, 10.0)  # log(exp(8) + exp(10))
    >>> ood_mass = log_mass(image, negatives, 10.0)  # log(exp(6) + exp(0))
    >>> (id_mass - ood_mass).sigmoid()  # the names' share of the softmax over all four texts
    tensor([0.9841], dtype=torch.float64)
    >>> top_k(image, names, 1).indices  # the second name is the nearest
    tensor([[1]])

What is computed in which precision, and why:

- **Products in float32** (float64 if an input is): in bfloat16 the cosines 0.901 and 0.903 are one number. Leave
  ``torch.set_float32_matmul_precision`` at ``"highest"``: at a scale of 1000 a cosine that is off by 1e-7 moves a
  log-mass by 1e-4 nats, and TF32's cosines, off by 1e-3, move it by one nat.
- **Sums of exponentials in float64**, so that they add no error of their own, however many texts there are.
- **The best k exactly**: float32 only chooses candidates, see :mod:`ood_lightning.functional.exact_top`.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from ood_lightning.functional.blocks import in_blocks
from ood_lightning.functional.exact_nearest import exact_nearest
from ood_lightning.functional.exact_top import exact_top
from ood_lightning.functional.log_sum_exp import log_sum_exp
from ood_lightning.functional.products import product, same_precision
from ood_lightning.functional.rows import FeatureRows

_BLOCKS = 1024, 2048  # rows and columns of a product on a processor: 8 MiB, which stay in its cache
_BLOCKS_ON_A_GPU = 4096, 16384  # 256 MiB


class Top(NamedTuple):
    """The best texts of each image; of equal cosines the lowest row comes first."""

    values: Tensor  # cosines, float64, (B, k), descending
    indices: Tensor  # rows of the texts, int64, (B, k)


def unit(x: Tensor) -> Tensor:
    """Scale vectors to length one.

    Args:
        x: vectors, shape ``(..., D)``, any float dtype.

    Returns:
        Same shape; half precision comes back as float32, since a norm overflows float16 at 65,504.

    Raises:
        ValueError: if a vector is zero or not finite; names the first one.
    """
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    norms: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True)  # (..., 1)

    bad = ((norms == 0) | ~norms.isfinite()).flatten().nonzero()[:, 0]
    if len(bad):
        kind = "is zero" if norms.flatten()[bad[0]] == 0 else "holds NaN or infinity"
        raise ValueError(f"row {int(bad[0])} {kind} ({len(bad)} of {norms.numel()} rows are bad): it has no direction")

    return x / norms


def directions(x: Tensor) -> Tensor:
    """What :func:`unit` gives, but vectors without a direction come back as NaN, in all of their numbers.

    Looking for them would wait for a GPU; here nothing does.

    Args:
        x: vectors, shape ``(..., D)``, any float dtype.

    Example:
        >>> directions(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
        tensor([[0.6000, 0.8000],
                [   nan,    nan]])
    """
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    norms: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True)  # (..., 1)
    return x / norms.where(norms.isfinite() & (norms != 0), torch.nan)


def cosines(features: Tensor, texts: Tensor) -> Tensor:
    """All products with a few texts, such as the ID names; holds ``B * V * 4`` bytes.

    For a whole corpus use :func:`log_mass` or :func:`top_k`, which hold one block at a time.

    Args:
        features: unit vectors, shape ``(B, D)``.
        texts: unit vectors, shape ``(V, D)``.

    Returns:
        Cosines, float32 (float64 if an input is), shape ``(B, V)``.

    Raises:
        ValueError: if there are no texts or the dimensions differ.
    """
    return product(*same_precision(features, texts))


def log_mass(features: Tensor, texts: Tensor, scale: float, *, block: int = 4096) -> Tensor:
    """Log of the softmax mass that texts receive: ``log sum_v exp(scale * cosine_v)``.

    Peak memory beside the inputs: ``B * block * 4`` bytes and 4 MiB on a processor, five times the former on a GPU;
    a GPU that runs out of memory goes on with half the block.

    Args:
        features: unit image features, shape ``(B, D)``.
        texts: unit text features, shape ``(V, D)``.
        scale: multiplier of the cosines, ``1 / temperature``; CLIP's is about 100.
        block: texts per product.

    Returns:
        Nats, float64, shape ``(B,)``.

    Raises:
        ValueError: if there are no texts, D differs, or the scale is not positive.

    Source: ClusterMine, https://arxiv.org/abs/2511.07068, Eq. 1.

    Example:
        >>> log_mass(torch.eye(2), torch.eye(2), 1.0)  # log(e + 1)
        tensor([1.3133, 1.3133], dtype=torch.float64)
    """
    features, texts = same_precision(features, texts, block)

    total = torch.full((len(features),), -torch.inf, dtype=torch.float64, device=features.device)

    def add(start: int, stop: int) -> None:
        nonlocal total
        total = torch.logaddexp(total, log_sum_exp(product(features, texts[start:stop]), scale))  # of (B, block)

    in_blocks(len(texts), block, add)
    return total


def log_masses(features: Tensor, texts: Tensor, scale: float, *, groups: Tensor, block: int = 4096) -> Tensor:
    """Log-mass of each group of texts; see :func:`log_mass`, also for precision and memory.

    Args:
        features: unit image features, shape ``(B, D)``.
        texts: unit text features, shape ``(V, D)``.
        scale: multiplier of the cosines.
        groups: rows of ``texts``, integers, shape ``(G, n)``; groups may share rows.
        block: texts per product.

    Returns:
        Nats, float64, shape ``(B, G)``.

    Raises:
        ValueError: as :func:`log_mass`; if a group is empty or names a row that does not exist.

    Source: NegLabel, Jiang et al., ICLR 2024, https://arxiv.org/abs/2403.20078 (grouping).
    """
    features, texts = same_precision(features, texts, block)
    if groups.ndim != 2 or not groups.numel() or groups.min() < 0 or groups.max() >= len(texts):
        raise ValueError(f"groups {tuple(groups.shape)} must be (G, n) rows of the {len(texts)} texts, none empty")

    size = groups.shape[1]
    if size > block:  # one group is more than a product may hold
        return torch.stack([log_mass(features, texts[rows], scale, block=block) for rows in groups], dim=1)

    products = (  # (B, g, n): whole groups, at most `block` texts together
        product(features, texts[members.flatten()]).view(len(features), len(members), size)
        for members in groups.split(block // size)
    )
    return torch.cat([log_sum_exp(part, scale) for part in products], dim=1)


def top_k(features: Tensor, texts: Tensor, k: int, *, block: int = 2048, row_block: int = 1024) -> Top:
    """The k texts of highest cosine, the same for every block size, thread count and device.

    Peak memory beside the inputs: about ``row_block * block * 4`` bytes, and 64 MiB.

    Args:
        features: unit features, shape ``(B, D)``.
        texts: unit features, shape ``(V, D)``.
        k: texts per image, 1 to V.
        block: texts per product.
        row_block: features per product.

    Returns:
        Float64 cosines and int64 rows, each ``(B, k)``, descending.

    Raises:
        ValueError: if k is not in 1..V, D differs, or a value is not finite.
    """
    if not 1 <= k <= len(texts):
        raise ValueError(f"k is {k}, expected 1 to {len(texts)} (the number of texts)")

    if k == 1:
        cosine, row = exact_nearest(features, texts, block, row_block)
        return Top(cosine[:, None], row[:, None])

    row_blocks = torch.arange(len(features)).split(row_block)
    return Top(*exact_top(features, texts, k, block, row_blocks, exclude_self=False))


def neighbours(
    features: FeatureRows,
    k: int,
    *,
    block: int | None = None,
    row_block: int | None = None,
    rows: range | Tensor | None = None,
) -> Tensor:
    """The k nearest other images by cosine, exact as :func:`top_k`; two copies of one image are neighbours.

    Args:
        features: unit features, shape ``(n_all, D)``, any float type; in float32 there is only a block of them.
        k: neighbours of each image, less than ``n_all``.
        block: features per product on the side that is searched; None: what the device does best.
        row_block: features per product on the side whose neighbours are searched; None: alike.
        rows: images whose neighbours are searched, a range or int64, so that ranks can share the work; all if None.

    Returns:
        FeatureRows of ``features``, int64, shape ``(n, k)``, nearest first.

    Raises:
        ValueError: if k is not in 1..n_all - 1, rows lie outside, or a value is not finite.

    Source: TEMI, Adaloglou et al., BMVC 2023, https://arxiv.org/abs/2303.17896.
    Differs: excludes an image by its row. Above 80,000 images the published code hides columns 0..63 of each chunk
    instead, so that nearly every image is its own first neighbour.
    """
    if not 1 <= k < len(features):
        raise ValueError(f"k is {k}, expected 1 to {len(features) - 1} (one less than the number of images)")
    rows = range(len(features)) if rows is None else rows
    if isinstance(rows, range):
        rows = torch.arange(rows.start, rows.stop, rows.step)
    if len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < len(features):
        raise ValueError(f"rows {int(rows.min())} to {int(rows.max())} lie outside the {len(features)} images")

    best_rows, best_columns = _BLOCKS if features.device.type == "cpu" else _BLOCKS_ON_A_GPU
    row_blocks = rows.split(row_block or best_rows)
    return exact_top(features, features, k, block or best_columns, row_blocks, exclude_self=True, with_values=False)[1]
