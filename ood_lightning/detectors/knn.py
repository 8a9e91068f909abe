"""KNN: how near are the nearest ID images?

    soft:      S(x) = log mean_{i in k nearest} exp(c(x, x_i) / T)
    distance:  S(x) = - | unit(x) - unit(x_k) |,   x_k the k-th nearest

Source: `soft` is metric `temp-cos-sim` of the evaluation code of PLP, TMLR 2024, with k = 1 and T = 0.02; `distance` is
    Sun et al., ICML 2022, https://arxiv.org/abs/2204.06507, with k = 1000 for all of ImageNet's training images.
Differs: the logarithm of the mean is returned, which ranks alike and does not overflow. On projected features unless
    `features: tower`, which both codes take: PLP the tower's output before the projection, Sun et al. a classifier's
    last hidden layer.
Expected: no published number for CLIP.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from ood_lightning.detectors.base import Detector, Scorer
from ood_lightning.detectors.evidence import Evidence, IDFeatures, Input, TowerFeatures
from ood_lightning.errors import SettingsError
from ood_lightning.functional.density import kth_neighbour, nearest_neighbours
from ood_lightning.functional.log_sum_exp import traceable_log_sum_exp
from ood_lightning.functional.similarity import unit
from ood_lightning.ranges import Positive

ALL = -1


@dataclass(frozen=True)
class KNN(Detector):
    """Logarithm of a mean of exponentials of cosines, in nats, or a negated distance of unit vectors, in [-2, 0].

    Args:
        k: neighbours; 1 ranks like the largest cosine to an ID image, whatever the score. -1: all ID images.
        temperature: T, divides cosines; not read by `distance`.
        score: `soft`, over the k nearest together, or `distance`, to the k-th of them alone.
        features: `image`, projected, or `tower`, before the projection; of length one in both cases.
    """

    supervision: ClassVar[frozenset[str]] = frozenset({"id_images"})

    k: int = 1
    temperature: Positive = 0.02
    score: Literal["soft", "distance"] = "soft"
    features: Literal["image", "tower"] = "image"

    @property
    def required_inputs(self) -> frozenset[type[Input]]:
        """Features of training images."""
        return frozenset({IDFeatures, TowerFeatures} if self.features == "tower" else {IDFeatures})

    @property
    def columns(self) -> tuple[str, ...]:
        """The column that `features` names."""
        return (self.features,)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.k < 1 and self.k != ALL:
            raise SettingsError(f"KNN: k is {self.k}, expected 1 or more, or -1 for all ID images")

    def traceable(self, evidence: Evidence) -> Scorer:
        """See :class:`Detector`."""
        if self.features != "image":
            return super().traceable(evidence)
        bank = evidence[IDFeatures].image
        k = len(bank) if self.k == ALL else self.k

        def score(features: Tensor) -> Tensor:
            nearest = (features @ bank.T).topk(k, dim=1).values.double()  # (B, k)
            if self.score == "distance":
                return -(2 - 2 * nearest[:, -1]).clamp_min(0).sqrt()
            return traceable_log_sum_exp(nearest, 1 / self.temperature) - math.log(k)

        return score

    def bind(self, evidence: Evidence) -> Scorer:
        """The score against the run's ID images."""
        projected = self.features == "image"
        bank = evidence[IDFeatures].image if projected else unit(evidence[TowerFeatures].image)
        k = len(bank) if self.k == ALL else self.k
        if k > len(bank):
            raise SettingsError(f"KNN asks for {k} neighbours, there are {len(bank)} ID images: -1 takes them all")

        def score(features: Tensor) -> Tensor:
            features = features if projected else unit(features)
            if self.score == "distance":
                return kth_neighbour(features, bank, k)
            return nearest_neighbours(features, bank, k, self.temperature)

        return score
