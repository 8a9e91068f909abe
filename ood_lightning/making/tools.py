"""What the steps of a run work with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from ood_lightning.encoders.base import Encoder


@dataclass(frozen=True)
class Tools:
    """What all steps work with.

    Args:
        encoder: loaded.
        device: where is computed.
        folder: of the run.
        cache_dir: folder of all features.
        num_workers: processes that decode pictures.
        seed: of everything that is drawn.
        say: takes a line that says what a step did.
    """

    encoder: Encoder
    device: torch.device
    folder: Path
    cache_dir: str
    num_workers: int
    seed: int
    say: Callable[[str], object]
