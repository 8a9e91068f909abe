"""Thresholds and acceptance, held against MAPIE's split conformal prediction sets.

MAPIE has no one-sided p-value of a novelty. Its least ambiguous set of a class (`lac`) is the same thing: with a
classifier that gives the ID class the score s in (0, 1) as its probability, the class is in the set where 1 - s is not
above the ceil(tpr (n + 1))-th lowest of 1 - s over calibration images of that class.
"""

import numpy as np
import pytest
import torch
from torch import Tensor

from ood_lightning.functional.conformal import p_values, threshold

pytest.importorskip("mapie", reason="MAPIE is not installed: .[dev]")
sklearn_base = pytest.importorskip("sklearn.base")
pytestmark = pytest.mark.filterwarnings("ignore:.*less labels than your training dataset")  # ID images alone, as meant


class ScoreAsProbability(sklearn_base.ClassifierMixin, sklearn_base.BaseEstimator):
    """Gives class 0, the ID one, the only column of its input."""

    classes_ = np.array([0, 1])
    n_features_in_ = 1
    fitted_ = True

    def fit(self, features: np.ndarray, classes: np.ndarray) -> "ScoreAsProbability":
        return self

    def predict(self, features: np.ndarray) -> np.ndarray:
        return (features[:, 0] < 0.5).astype(int)

    def predict_proba(self, features: np.ndarray) -> np.ndarray:
        return np.concatenate([features, 1 - features], axis=1)


def accepted_by_mapie(scores: Tensor, calibration: Tensor, tpr: float) -> list[bool]:
    """Which images have the ID class in their prediction set."""
    from mapie.classification import SplitConformalClassifier

    judge = SplitConformalClassifier(ScoreAsProbability(), confidence_level=tpr, conformity_score="lac", prefit=True)
    judge.conformalize(calibration.numpy()[:, None], np.zeros(len(calibration), dtype=int))
    _, sets = judge.predict_set(scores.numpy()[:, None])
    return sets[:, 0, 0].tolist()


@pytest.mark.parametrize("n", [21, 39, 59, 100, 333])
@pytest.mark.parametrize("tpr", [0.5, 0.8, 0.9, 0.95])
def test_the_same_images_are_accepted(n: int, tpr: float):
    draw = torch.Generator().manual_seed(n)
    calibration, scores = torch.rand(2, n, generator=draw, dtype=torch.float64)
    scores = torch.cat([scores, calibration])  # the threshold itself is among them
    accepted = accepted_by_mapie(scores, calibration, tpr)
    assert (scores >= threshold(calibration, tpr)).tolist() == accepted

    # away from the floats' rounding of 1 - tpr
    p = p_values(scores, calibration)
    assert (p > 1 - tpr + 1e-9).tolist() == accepted


def test_the_coverage_is_the_same():
    draw = torch.Generator().manual_seed(1)
    rates = []
    for _ in range(20):
        calibration, scores = torch.rand(2, 200, generator=draw, dtype=torch.float64) ** 3
        accepted = torch.tensor(accepted_by_mapie(scores, calibration, 0.9))
        assert torch.equal(accepted, scores >= threshold(calibration, 0.9))
        rates.append(float(accepted.double().mean()))
    assert np.mean(rates) == pytest.approx(0.9, abs=0.03)
