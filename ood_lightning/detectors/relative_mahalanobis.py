"""RelativeMahalanobis: distance to the nearest class, less the distance to all of them together.

    S(x) = - min_k [ (x - mu_k)' Sigma^-1 (x - mu_k) - (x - mu_0)' Sigma_0^-1 (x - mu_0) ]

Source: Ren et al., 2021, https://arxiv.org/abs/2106.09022; estimator of PLP's code, TMLR 2024.
Differs: on projected, unit-norm features; PLP's code uses the tower's output before the projection, and which one
    ClusterMine's row used is not stated.
Expected: ImageNet, ViT-H-14 dfn5b, mean AUROC / FPR95 91.25 / 42.58 in ClusterMine's table.
"""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from ood_lightning.detectors.base import Detector, Evidence, Scorer
from ood_lightning.functional.density import fit_gaussians, relative_mahalanobis


@dataclass(frozen=True)
class RelativeMahalanobis(Detector):
    """The Mahalanobis score relative to one Gaussian for all ID images.

    Args:
        ridge: added to the diagonal of the covariances; without it, fewer images than dimensions are refused.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"id_images", "id_labels"})
    inputs: ClassVar[frozenset[str]] = frozenset({"id_features", "id_labels"})

    ridge: float = 0.0

    def bind(self, evidence: Evidence) -> Scorer:
        """Estimate the Gaussians."""
        assert evidence.id_features is not None  # `inputs` says so
        assert evidence.id_labels is not None
        return partial(relative_mahalanobis, fitted=fit_gaussians(evidence.id_features, evidence.id_labels, self.ridge))
