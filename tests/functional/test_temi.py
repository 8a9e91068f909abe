"""TEMI's loss against the printed formula, its schedules, and what must hold of both."""

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from ood_lightning.functional.temi import cosine, head_losses, pair_weights, updated_prior, warmup_cosine

H, B, C = 3, 8, 5


@pytest.fixture
def logits() -> list[Tensor]:
    """Cosine-like logits: student a, student b, teacher a, teacher b."""
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(H, B, C, generator=generator, dtype=torch.float64) * 2 - 1 for _ in range(4)]


@pytest.fixture
def prior() -> Tensor:
    return torch.rand(H, C, generator=torch.Generator().manual_seed(1), dtype=torch.float64).softmax(-1)


def softmax(row: Tensor, temperature: float) -> list[float]:
    powers = [math.exp(float(value) / temperature) for value in row]
    return [power / math.fsum(powers) for power in powers]


def slow_losses(logits: list[Tensor], prior: Tensor, beta: float, t_student: float, t_teacher: float) -> list[float]:
    """The formula as the paper prints it, one number at a time."""
    n_heads, n_pairs, n_clusters = logits[0].shape
    clusters = range(n_clusters)
    q = []  # q[side][head][pair][cluster]
    for side, temperature in zip(logits, (t_student, t_student, t_teacher, t_teacher), strict=True):
        q.append([[softmax(row, temperature) for row in head] for head in side])

    losses = []
    for h in range(n_heads):
        total = 0.0
        for i in range(n_pairs):
            weight = math.fsum(q[2][g][i][c] * q[3][g][i][c] for g in range(n_heads) for c in clusters) / n_heads

            for student, teacher in ((0, 3), (1, 2)):
                mass = math.fsum((q[student][h][i][c] * q[teacher][h][i][c]) ** beta / prior[h, c] for c in clusters)
                total -= weight * math.log(mass) / 2
        losses.append(total / n_pairs)
    return losses


@pytest.mark.parametrize(("beta", "t_student", "t_teacher"), [(0.6, 0.1, 0.1), (1.0, 0.5, 0.2)])
def test_losses_equal_the_printed_formula(logits, prior, beta: float, t_student: float, t_teacher: float):
    got = head_losses(*logits, prior, beta=beta, student_temperature=t_student, teacher_temperature=t_teacher)
    expected = torch.tensor(slow_losses(logits, prior, beta, t_student, t_teacher), dtype=torch.float64)
    torch.testing.assert_close(got, expected, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize(("beta", "expected"), [(0.6, -1.842068), (1.0, 0.0)])
def test_uniform_heads_have_the_known_loss(beta: float, expected: float):
    uniform = torch.zeros(2, 4, 10, dtype=torch.float64)
    got = head_losses(*[uniform] * 4, torch.full((2, 10), 0.1, dtype=torch.float64), beta=beta)
    torch.testing.assert_close(got * 10, torch.full((2,), expected).double(), atol=1e-6, rtol=0)  # weight 1 / C


def test_sure_and_agreeing_heads_reach_minus_log_c():
    sure = 100.0 * torch.eye(10, dtype=torch.float64)[None]
    got = head_losses(*[sure] * 4, torch.full((1, 10), 0.1, dtype=torch.float64))
    torch.testing.assert_close(got, torch.tensor([-math.log(10)], dtype=torch.float64))


def test_swapping_the_members_changes_nothing(logits, prior):
    a, b, c, d = logits
    torch.testing.assert_close(head_losses(b, a, d, c, prior), head_losses(a, b, c, d, prior))


def test_the_gradient_runs_through_the_students_only(logits, prior):
    for side in (*logits, prior):
        side.requires_grad_()
    head_losses(*logits, prior).mean().backward()
    assert logits[2].grad is None
    assert logits[3].grad is None
    assert prior.grad is None
    assert logits[0].grad.abs().sum() > 0
    assert logits[1].grad.abs().sum() > 0


def test_equal_slices_of_a_batch_average_to_the_whole(logits, prior):
    slices = [head_losses(*(side[:, i : i + 2] for side in logits), prior) for i in range(0, B, 2)]
    torch.testing.assert_close(torch.stack(slices).mean(0), head_losses(*logits, prior))


def test_one_head_works_and_weights_are_shared_by_all(logits, prior):
    single = head_losses(*(side[:1] for side in logits), prior[:1])
    expected = slow_losses([side[:1] for side in logits], prior[:1], 0.6, 0.1, 0.1)
    torch.testing.assert_close(single, torch.tensor(expected, dtype=torch.float64))
    assert (single - head_losses(*logits, prior)[:1]).abs() > 1e-6  # other heads move the weight


def test_a_cluster_of_no_mass_leaves_the_loss_finite():
    logits = torch.zeros(1, 2, 3)
    assert head_losses(*[logits] * 4, torch.tensor([[1.0, 0.0, 0.0]])).isfinite().all()


def test_pair_weights_lie_in_0_1_and_carry_no_gradient(logits):
    a, b = (side.div(0.1).softmax(-1).requires_grad_() for side in logits[2:])
    weights = pair_weights(a, b)
    assert not weights.requires_grad
    assert ((weights > 0) & (weights <= 1)).all()
    torch.testing.assert_close(weights, torch.einsum("hbc,hbc->b", a, b).detach() / H)


def test_the_prior_keeps_summing_to_one(prior):
    mean = torch.rand(H, C, dtype=torch.float64, generator=torch.Generator().manual_seed(2)).softmax(-1)
    got = updated_prior(prior, mean)
    torch.testing.assert_close(got, 0.9 * prior + 0.1 * mean)
    torch.testing.assert_close(got.sum(-1), torch.ones(H, dtype=torch.float64))


def test_the_rate_climbs_from_zero_to_the_peak_and_falls_to_the_end():
    rates = [warmup_cosine(step, total=20, warmup=5, peak=2.0, final=0.5) for step in range(25)]
    assert rates[0] == 0
    assert rates[:5] == pytest.approx([0.0, 0.5, 1.0, 1.5, 2.0])
    assert all(a > b for a, b in pairwise(rates[4:20]))
    assert rates[19:] == [0.5] * 6  # and stays there
    assert rates[12] == pytest.approx(0.5 + 1.5 * (1 + math.cos(math.pi * 8 / 15)) / 2)


def test_short_runs_have_a_rate_at_every_step():
    assert [warmup_cosine(step, total=3, warmup=0, peak=1.0) for step in range(3)] == pytest.approx([1.0, 0.5, 0.0])
    assert [warmup_cosine(step, total=3, warmup=1, peak=1.0) for step in range(3)] == pytest.approx([0.0, 1.0, 0.0])
    assert [warmup_cosine(step, total=3, warmup=9, peak=1.0) for step in range(3)] == [0.0, 0.125, 0.25]
    assert warmup_cosine(0, total=1, warmup=0, peak=1.0) == 1.0


def test_the_momentum_goes_from_start_to_end():
    values = [cosine(step, total=11, start=0.996, end=1.0) for step in range(13)]
    assert values[0] == pytest.approx(0.996)
    assert values[5] == pytest.approx(0.998)
    assert values[10:] == [1.0] * 3
    assert {cosine(step, total=11, start=0.996, end=0.996) for step in range(11)} == {0.996}


def test_wrong_arguments_of_the_loss_are_refused_in_words(logits, prior):
    with pytest.raises(ValueError, match="must all be the same"):
        head_losses(logits[0], logits[1], logits[2], logits[3][:, :2], prior)
    with pytest.raises(ValueError, match=r"ask for \(H, C\)"):
        head_losses(*logits, prior[:1])
    with pytest.raises(ValueError, match="holds no pairs"):
        head_losses(*(side[:, :0] for side in logits), prior)
    with pytest.raises(ValueError, match="expected above 0"):
        head_losses(*logits, prior, student_temperature=0.0)


def test_wrong_arguments_of_prior_and_schedules_are_refused_in_words(prior):
    with pytest.raises(ValueError, match="nine tenths"):
        updated_prior(prior, prior, momentum=90)
    with pytest.raises(ValueError, match=r"must both be \(H, C\)"):
        updated_prior(prior, prior[0])
    with pytest.raises(ValueError, match="step -1 of 10"):
        warmup_cosine(-1, total=10, warmup=2, peak=1.0)
    with pytest.raises(ValueError, match="step 0 of 0"):
        cosine(0, total=0, start=0.0, end=1.0)
