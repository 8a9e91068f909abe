"""Which device a process computes on where no Trainer chooses it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def pick_device(local_rank: int = 0) -> torch.device:
    """The process's own GPU where there is one, else the CPU."""
    import torch

    n_gpus = torch.cuda.device_count()
    return torch.device("cuda", local_rank % n_gpus) if n_gpus else torch.device("cpu")
