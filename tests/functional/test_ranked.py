"""Five metrics of scores that are sorted once, against loops and scikit-learn: ties, blocks, threads, sides swapped."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve
from torch import Tensor

from ood_lightning.errors import EmptySideError, NotFiniteScoresError
from ood_lightning.functional import ranked
from ood_lightning.functional.ranked import BLOCK, RankedScores

EPSILON = 2.0**-52  # of float64 at 1


def drawn(n_id: int, n_ood: int, steps: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Scores on a grid of `steps` a unit, so that many tie within and across the sides; 0 for none that tie."""
    draw = torch.Generator().manual_seed(seed)
    sides = [torch.randn(n, generator=draw, dtype=torch.float64) for n in (n_id, n_ood)]
    sides[0] += 1
    return tuple((side * steps).round() / steps if steps else side for side in sides)  # type: ignore[return-value]


def five(id_scores: Tensor, ood_scores: Tensor) -> dict[str, float]:
    sorted_once = RankedScores.of(id_scores, ood_scores)
    names = ("auroc", "aupr_in", "aupr_out", "fpr_ood_at_id_tpr", "fpr_id_at_ood_tpr")
    return {name: float(getattr(sorted_once, name)()) for name in names}


def slow(id_scores: Tensor, ood_scores: Tensor) -> dict[str, float]:
    """The five in exact fractions, by loops over thresholds."""
    ids, oods = id_scores.tolist(), ood_scores.tolist()
    won = sum(2 * (a > b) + (a == b) for a in ids for b in oods)
    negated = [-score for score in oods], [-score for score in ids]
    return {
        "auroc": float(Fraction(won, 2 * len(ids) * len(oods))),
        "aupr_in": float(slow_precision(ids, oods)),
        "aupr_out": float(slow_precision(*negated)),
        "fpr_ood_at_id_tpr": float(slow_fpr(ids, oods)),
        "fpr_id_at_ood_tpr": float(slow_fpr(*negated)),
    }


def slow_precision(positives: list[float], others: list[float]) -> Fraction:
    area, before = Fraction(0), 0
    for threshold in sorted(set(positives), reverse=True):
        caught = sum(score >= threshold for score in positives)
        accepted = sum(score >= threshold for score in others)
        area += Fraction(caught - before, len(positives)) * Fraction(caught, caught + accepted)
        before = caught
    return area


def slow_fpr(positives: list[float], others: list[float]) -> Fraction:
    kept = [t for t in positives if 20 * sum(score >= t for score in positives) >= 19 * len(positives)]
    return Fraction(sum(score >= max(kept) for score in others), len(others))


SIZES = [(1, 1), (1, 9), (20, 1), (7, 3), (64, 64), (65, 63), (129, 200)]


@pytest.mark.parametrize("steps", [0, 1, 8])
@pytest.mark.parametrize(("n_id", "n_ood"), SIZES)
def test_all_five_equal_loops_in_blocks_that_do_and_do_not_divide(
    n_id: int, n_ood: int, steps: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ranked, "BLOCK", 64)
    sides = drawn(n_id, n_ood, steps)
    got, expected = five(*sides), slow(*sides)
    for name in ("auroc", "fpr_ood_at_id_tpr", "fpr_id_at_ood_tpr"):  # counts, and one division
        assert got[name] == expected[name], name
    for name in ("aupr_in", "aupr_out"):
        assert abs(got[name] - expected[name]) <= 4 * EPSILON, name


@pytest.mark.parametrize("steps", [0, 4])
def test_all_five_equal_scikit_learn_on_many_blocks(steps: int):
    id_scores, ood_scores = drawn(3 * BLOCK + 17, 2 * BLOCK + 5, steps)
    is_id = np.r_[np.ones(len(id_scores)), np.zeros(len(ood_scores))]
    scores = torch.cat([id_scores, ood_scores]).numpy()
    got = five(id_scores, ood_scores)

    assert got["auroc"] == pytest.approx(roc_auc_score(is_id, scores), abs=1e-12)
    assert got["aupr_in"] == pytest.approx(average_precision_score(is_id, scores), abs=1e-12)
    assert got["aupr_out"] == pytest.approx(average_precision_score(1 - is_id, -scores), abs=1e-12)
    for name, truth, signed in (("fpr_ood_at_id_tpr", is_id, scores), ("fpr_id_at_ood_tpr", 1 - is_id, -scores)):
        fpr, tpr, _ = roc_curve(truth, signed, drop_intermediate=False)
        assert got[name] == pytest.approx(fpr[np.argmax(tpr >= 0.95)], abs=1e-12)

    precision, recall, _ = precision_recall_curve(is_id, scores)
    assert got["aupr_in"] == pytest.approx(-math.fsum(np.diff(recall) * precision[:-1]), abs=1e-12)


def test_neither_order_nor_threads_nor_the_sign_of_zero_change_a_bit():
    id_scores, ood_scores = drawn(4 * BLOCK + 3, 3 * BLOCK, 50)
    expected = five(id_scores, ood_scores)
    draw = torch.Generator().manual_seed(1)
    shuffled = [side[torch.randperm(len(side), generator=draw)] for side in (id_scores, ood_scores)]
    assert five(*shuffled) == expected

    assert five(*(torch.where(side == 0, -side, side) for side in (id_scores, ood_scores))) == expected
    threads = torch.get_num_threads()
    try:
        for n_threads in (1, 2, 3):
            torch.set_num_threads(n_threads)
            assert five(id_scores, ood_scores) == expected
    finally:
        torch.set_num_threads(threads)


def test_swapped_sides_with_opposite_signs_swap_the_metrics_to_the_last_bit():
    id_scores, ood_scores = drawn(2 * BLOCK + 3, 3 * BLOCK - 1, 0)
    one, other = five(id_scores, ood_scores), five(-ood_scores, -id_scores)
    assert one["auroc"] == other["auroc"]
    assert (one["aupr_in"], one["aupr_out"]) == (other["aupr_out"], other["aupr_in"])
    assert (one["fpr_ood_at_id_tpr"], one["fpr_id_at_ood_tpr"]) == (
        other["fpr_id_at_ood_tpr"],
        other["fpr_ood_at_id_tpr"],
    )


def test_scores_are_taken_in_any_float_type_and_left_as_they_were():
    id_scores, ood_scores = drawn(50, 40, 8)
    expected = five(id_scores, ood_scores)
    before = id_scores.clone(), ood_scores.clone()
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        assert five(id_scores.to(dtype), ood_scores.requires_grad_()) == expected
    assert torch.equal(id_scores, before[0])
    assert torch.equal(ood_scores.detach(), before[1])


def test_extremes_of_float64_are_ranked_and_infinity_is_not():
    largest = torch.finfo(torch.float64).max
    sides = torch.tensor([[largest, 5e-324, 0.0], [-largest, -5e-324, 0.0]], dtype=torch.float64)
    assert five(*sides)["auroc"] == 17 / 18
    with pytest.raises(NotFiniteScoresError, match="1 of 3 ID scores"):
        RankedScores.of(sides[0] * 2, sides[1])
    with pytest.raises(EmptySideError):
        RankedScores.of(sides[0], sides[1][:0])
    with pytest.raises(ValueError, match=r"0\.95, not 95"):
        RankedScores.of(*sides).fpr_ood_at_id_tpr(95)
