"""A sum whose bits do not depend on how many processes share the work."""

from collections.abc import Sequence

from torch import Tensor


def tree_sum(parts: Sequence[Tensor]) -> Tensor:
    """Sum of 1, 2, 4, 8, ... tensors as a binary tree: the sum of the left half plus the sum of the right half.

    Each half is summed in the same way. So a process that holds one half (or a quarter that starts at a quarter) can
    add it up alone, and the total is the same to the last bit.

    Args:
        parts: tensors of one shape, as many as a power of two.

    Raises:
        ValueError: for another number of parts.

    Example:
        >>> import torch
        >>> tree_sum(torch.tensor([1e8, 1.0, 1.0, -1e8]).unbind())  # (1e8 + 1) + (1 - 1e8) in float32
        tensor(0.)
    """
    n = len(parts)
    if n < 1 or n & (n - 1):
        raise ValueError(f"{n} parts; expected a power of two, so that halves stay aligned")

    while len(parts) > 1:
        parts = [left + right for left, right in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]
