"""Mahalanobis: distance to the nearest class of labelled ID images.

    S(x) = - min_k (x - mu_k)' Sigma^-1 (x - mu_k)

Source: Lee et al., NeurIPS 2018, https://arxiv.org/abs/1807.03888; estimator of PLP's code, TMLR 2024: the unweighted
    mean of unbiased class covariances.
Differs: on projected, unit-norm features unless `features: tower`; PLP's stored features are the tower's output before
    the projection, its zero-shot evaluation hands the estimator logits, and which ones ClusterMine's row used is not
    stated. A singular covariance is refused, where the code inverts what there is. With `labels`, classes are CLIP's
    own guesses.
Expected: ImageNet, ViT-H-14 dfn5b, mean AUROC / FPR95 90.05 / 56.70 in ClusterMine's table.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal

from torch import Tensor

from ood_lightning.detectors.base import Detector, Scorer
from ood_lightning.detectors.evidence import Evidence, IDFeatures, IDLabels, Input, TowerFeatures
from ood_lightning.errors import SettingsError
from ood_lightning.functional.density import fit_gaussians, mahalanobis
from ood_lightning.functional.similarity import top_k
from ood_lightning.ranges import NotNegative


@dataclass(frozen=True)
class Mahalanobis(Detector):
    """Negated squared distance to the nearest class mean under one shared covariance; at most 0.

    Args:
        labels: name of a label set of the run; the class of each ID training image is then its nearest positive, and
            the images' true labels are not read. Empty: the true labels, which the run must have.
        ridge: added to the diagonal of the covariances; without it, fewer images than dimensions are refused. A ViT's
            tower ends in a layer norm, so its outputs lie in a hyperplane but for rounding: give a tiny one, 1e-6.
        features: `image`, projected and unit-norm, or `tower`, before the projection and not normalised.
    """

    formula = staticmethod(mahalanobis)

    labels: str = ""
    ridge: NotNegative = 0.0
    features: Literal["image", "tower"] = "image"

    @property
    def supervision(self) -> frozenset[str]:
        """ID images; their labels too, unless a label set takes their place."""
        return frozenset({"id_images"} if self.labels else {"id_images", "id_labels"})

    @property
    def required_inputs(self) -> frozenset[type[Input]]:
        """Features of training images, and their labels unless a label set takes their place."""
        reads: dict[type[Input], bool] = {
            IDFeatures: True,
            IDLabels: not self.labels,
            TowerFeatures: self.features == "tower",
        }
        return frozenset(kind for kind, is_read in reads.items() if is_read)

    @property
    def columns(self) -> tuple[str, ...]:
        """The column that `features` names."""
        return (self.features,)

    def traceable(self, evidence: Evidence) -> Scorer:
        """See :class:`Detector`."""
        if self.features != "image":
            return super().traceable(evidence)
        scorer = self.bind(evidence)
        scorer.keywords["fitted"].axes  # noqa: B018  # computed once, and not in the graph
        return scorer

    def bind(self, evidence: Evidence) -> partial[Tensor]:
        """The score under Gaussians that are estimated here: class means and covariances of the ID training images.

        Raises:
            SettingsError: if no class has two images, or a covariance is singular.
        """
        try:
            image = evidence[IDFeatures].image if self.features == "image" else evidence[TowerFeatures].image
            classes = (
                top_k(evidence[IDFeatures].image, evidence.labels(self.labels).positives, 1).indices[:, 0]
                if self.labels
                else evidence[IDLabels].label
            )
            return partial(self.formula, fitted=fit_gaussians(image, classes, self.ridge))
        except ValueError as error:
            raise SettingsError(f"{type(self).__name__} on {self.features} features: {error}") from error
