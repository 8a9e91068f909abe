"""ScoreCollector: every score of one set with its image's id, exact over any number of ranks.

Differs: torchmetrics' own ROC metrics send scores outside [0, 1] through a sigmoid, batch by batch, and call NaN a
perfect score; here scores are only gathered, and ``functional.roc`` sees them raw.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from ood_lightning.errors import NotFiniteScoresError


class Collected:
    """What a ScoreCollector holds after gathering.

    Not a tuple or dataclass: torchmetrics looks into those and squeezes the tensors of a set of one image to scalars.

    Attributes:
        ids: image ids, int64, shape ``(n,)``, ascending, each once.
        scores: one row per id, one column per detector, float64, shape ``(n, K)``; higher = more in-distribution.
        duplicates: rows that were dropped because their id had come before.
    """

    def __init__(self, ids: Tensor, scores: Tensor, duplicates: int) -> None:
        self.ids = ids
        self.scores = scores
        self.duplicates = duplicates


class ScoreCollector(Metric):
    """Every score of one set with the image's id.

    Call :meth:`compute` on every rank, and for all sets in one order, also on a rank that had no batch.

    Args:
        names: the detectors, one per column of scores.

    Raises:
        ValueError: if there are no names or one occurs twice.
    """

    full_state_update = False
    scores: list[Tensor]
    ids: list[Tensor]

    def __init__(self, names: Sequence[str], **kwargs: Any) -> None:  # kwargs: those of torchmetrics.Metric
        super().__init__(**kwargs)
        self.names = tuple(names)
        if not self.names or len(set(self.names)) < len(self.names):
            raise ValueError(f"names are {self.names}: expected at least one detector, each named once")
        self.add_state("scores", default=[], dist_reduce_fx="cat")
        self.add_state("ids", default=[], dist_reduce_fx="cat")
        self.reset()

    def update(self, scores: Tensor, ids: Tensor) -> None:
        """Take one batch.

        Args:
            scores: one column per detector, shape ``(B, K)``; higher = more in-distribution.
            ids: a number per image that is the same on every rank and in every run, integers, shape ``(B,)``.

        Raises:
            NotFiniteScoresError: if a score is NaN or infinite; names the detector and the first image.
            ValueError: if shapes do not fit or the ids are not integers.
        """
        if scores.ndim != 2 or scores.shape[1] != len(self.names) or ids.shape != scores.shape[:1]:
            raise ValueError(
                f"scores {tuple(scores.shape)} and ids {tuple(ids.shape)} must be (B, {len(self.names)}) and (B,), one "
                f"column for each of {', '.join(self.names)}"
            )
        if ids.is_floating_point() or ids.dtype == torch.bool:
            raise ValueError(f"ids are {ids.dtype}, expected integers: float32 cannot tell 16,777,217 from 16,777,216")

        not_finite = ~scores.isfinite()  # (B, K)
        if not_finite.any():
            column = int(not_finite.any(dim=0).nonzero()[0])
            wrong = ids[not_finite[:, column]]
            raise NotFiniteScoresError(
                f"detector {self.names[column]!r} gave NaN or infinity for {len(wrong)} of {len(ids)} images of a "
                f"batch, the first with id {int(wrong[0])}"
            )

        self.scores.append(scores.detach().double())  # a copy in float64: bfloat16 scores would tie
        self.ids.append(ids.detach().long())

    def compute(self) -> Collected:
        """Gather over ranks, order by id and drop repeated ids.

        Returns:
            The same on every rank. Of a repeated id (a sampler that pads to equal ranks) the first copy stays.
        """
        ids, order = dim_zero_cat(self.ids).sort(stable=True)
        first = torch.ones_like(ids, dtype=torch.bool)  # of the equal ids, which now stand side by side
        first[1:] = ids[1:] != ids[:-1]

        return Collected(ids[first], dim_zero_cat(self.scores)[order][first], int((~first).sum()))

    def reset(self) -> None:
        """Forget all scores."""
        super().reset()
        # torchmetrics 1.9 sends an empty list as 1-D float32 when it gathers: gloo then aborts on the int64 of others.
        self.scores.append(torch.empty(0, len(self.names), dtype=torch.float64, device=self.device))
        self.ids.append(torch.empty(0, dtype=torch.long, device=self.device))
