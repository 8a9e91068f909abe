"""KNN: how near are the nearest ID images?

    S(x) = log mean_{i in k nearest} exp(c(x, x_i) / T)

Source: the evaluation code of PLP, TMLR 2024, metric `temp-cos-sim` with k = 1 and T = 0.02.
Differs: the logarithm is returned, which ranks alike and does not overflow.
Expected: no published number.
"""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from ood_lightning.detectors.base import Detector, Scorer
from ood_lightning.detectors.evidence import Evidence, IDFeatures, Input
from ood_lightning.errors import SettingsError
from ood_lightning.functional.density import nearest_neighbours


@dataclass(frozen=True)
class KNN(Detector):
    """Logarithm of a mean of exponentials of cosines, in nats.

    Args:
        k: neighbours; 1 ranks like the largest cosine to an ID image.
        temperature: T, divides cosines.
    """

    supervision: ClassVar[frozenset[str]] = frozenset({"id_images"})
    required_inputs: ClassVar[frozenset[type[Input]]] = frozenset({IDFeatures})

    k: int = 1
    temperature: float = 0.02

    def bind(self, evidence: Evidence) -> Scorer:
        """The score against the run's ID images."""
        bank = evidence[IDFeatures].image
        if self.k > len(bank):
            raise SettingsError(f"KNN asks for {self.k} neighbours, there are {len(bank)} ID images")
        return partial(nearest_neighbours, bank=bank, k=self.k, temperature=self.temperature)
