"""AUROC, AUPR and FPR95 of two sets of scores, as an evaluation of OOD detection needs them."""

from functools import partial

import torch
from torch import Tensor

from benchmarks.rows import Row, Ways
from ood_lightning.functional.ranked import RankedScores
from ood_lightning.metrics.results import evaluate


def rows(small: bool) -> list[Row]:
    n = 2_000 if small else 10_000_000
    return [
        Row(
            "metrics-five",
            "AUROC, both AUPRs and both FPR95s",
            f"{n:,} scores, float64, half of them ID",
            "the way of OpenOOD: scikit-learn's curves (one of the two FPR95s)",
            "ours at most 0.4 and 300 MiB",
            partial(_five, n),
            repeats=3,
        ),
        Row(
            "metrics-two",
            "AUROC and FPR95",
            f"{n:,} scores, float64, half of them ID",
            "roc_auc_score and roc_curve of scikit-learn",
            "ours at most 0.4 and 300 MiB",
            partial(_two, n),
            repeats=3,
        ),
    ]


def _scores(n: int) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(0)
    id_scores = torch.randn(n // 2, generator=draw, dtype=torch.float64) + 1
    return id_scores, torch.randn(n // 2, generator=draw, dtype=torch.float64)


def _five(n: int) -> Ways:
    id_scores, ood_scores = _scores(n)
    return {
        "openood": partial(_by_curves, id_scores, ood_scores),
        "ours": partial(evaluate, "detector", "id", "ood", id_scores, ood_scores),
    }


def _two(n: int) -> Ways:
    from torchmetrics.functional.classification import binary_auroc

    id_scores, ood_scores = _scores(n)
    joined = torch.cat([id_scores, ood_scores])
    is_id = torch.cat([torch.ones(n // 2, dtype=torch.long), torch.zeros(n // 2, dtype=torch.long)])
    probabilities = joined.sigmoid()  # as torchmetrics would, outside of what is measured

    def ours() -> list[Tensor]:
        ranked = RankedScores.of(id_scores, ood_scores)
        return [ranked.auroc(), ranked.fpr_ood_at_id_tpr()]

    return {
        "scikit-learn": partial(_by_scikit_learn, joined, is_id),
        "ours": ours,
        "torchmetrics, AUROC alone": partial(binary_auroc, probabilities, is_id, validate_args=False),
    }


def _by_curves(id_scores: Tensor, ood_scores: Tensor) -> list[float]:
    """AUROC, FPR95 with OOD positive and both AUPRs, from a ROC curve and two precision-recall curves."""
    import numpy as np
    from sklearn.metrics import auc, precision_recall_curve, roc_curve

    confidence = np.concatenate([id_scores.numpy(), ood_scores.numpy()])
    is_id = np.concatenate([np.ones(len(id_scores)), np.zeros(len(ood_scores))])

    fpr, tpr, _ = roc_curve(1 - is_id, -confidence)
    precision_in, recall_in, _ = precision_recall_curve(is_id, confidence)
    precision_out, recall_out, _ = precision_recall_curve(1 - is_id, -confidence)
    areas = auc(fpr, tpr), auc(recall_in, precision_in), auc(recall_out, precision_out)
    return [*areas, float(fpr[np.argmax(tpr >= 0.95)])]


def _by_scikit_learn(scores: Tensor, is_id: Tensor) -> list[float]:
    import numpy as np
    from sklearn.metrics import roc_auc_score, roc_curve

    fpr, tpr, _ = roc_curve(is_id.numpy(), scores.numpy())
    return [roc_auc_score(is_id.numpy(), scores.numpy()), float(fpr[np.searchsorted(tpr, 0.95)])]
