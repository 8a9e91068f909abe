"""TEMI's loss in few passes: the values of the formula, and the gradient that autograd finds through it."""

import pytest
import torch
from torch import Tensor

from ood_lightning.functional.temi import head_losses, pair_weights
from ood_lightning.functional.temi_gradient import losses_and_gradient, teaching

SHAPES = [(1, 1, 2), (3, 5, 7), (2, 9, 1), (4, 3, 131)]  # heads, pairs, clusters


def drawn(shape: tuple[int, int, int], scale: float = 10.0) -> tuple[Tensor, Tensor, Tensor]:
    """Logits of student and teacher, (h, 2b, C), and a prior."""
    heads, pairs, clusters = shape
    draw = torch.Generator().manual_seed(pairs)
    student, teacher = (
        scale * torch.randn(heads, 2 * pairs, clusters, generator=draw, dtype=torch.float64) for _ in range(2)
    )
    return student, teacher, torch.rand(heads, clusters, generator=draw, dtype=torch.float64).softmax(-1)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("beta", [0.6, 1.0])
def test_values_and_gradients_are_those_of_the_formula(shape: tuple[int, int, int], beta: float):
    student, teacher, prior = drawn(shape)
    leaf = student.clone().requires_grad_()
    temperatures = {"student_temperature": 1.0, "teacher_temperature": 1.0}
    expected = head_losses(*leaf.chunk(2, dim=1), *teacher.chunk(2, dim=1), prior, beta=beta, **temperatures)
    (gradient,) = torch.autograd.grad(expected.sum(), leaf)

    said = teaching(teacher.clone())
    weights = said.agreement / shape[0]
    losses, downhill = losses_and_gradient(student, said.log_probabilities, weights, prior.log(), beta)
    torch.testing.assert_close(losses, expected.detach(), atol=1e-12, rtol=1e-12)
    torch.testing.assert_close(downhill, gradient, atol=1e-14, rtol=1e-10)


def test_float32_comes_near_float64():
    student, teacher, prior = drawn((5, 64, 300))
    results = []
    for dtype in (torch.float64, torch.float32):
        said = teaching(teacher.to(dtype).clone())
        arguments = student.to(dtype), said.log_probabilities, said.agreement / 5, prior.to(dtype).log(), 0.6
        results.append(losses_and_gradient(*arguments))
    (loss, gradient), (loss32, gradient32) = results
    torch.testing.assert_close(loss32.double(), loss, atol=0, rtol=2e-6)
    assert (gradient32 - gradient).abs().max() < 1e-5 * gradient.abs().max()


@pytest.mark.parametrize("shape", SHAPES)
def test_the_teacher_says_what_pair_weights_and_the_prior_ask(shape: tuple[int, int, int]):
    _, teacher, _ = drawn(shape)
    probabilities = teacher.softmax(dim=-1)
    said = teaching(teacher.clone())
    torch.testing.assert_close(said.log_probabilities, teacher.log_softmax(dim=-1))
    torch.testing.assert_close(said.mass, probabilities.mean(dim=1))
    torch.testing.assert_close(said.agreement / shape[0], pair_weights(*probabilities.chunk(2, dim=1)))


def test_logits_far_apart_overflow_nothing():
    student = torch.tensor([[[500.0, -500.0], [-500.0, 500.0]]])
    said = teaching(student.clone())
    losses, downhill = losses_and_gradient(student, said.log_probabilities, torch.ones(1), torch.zeros(1, 2), 0.6)
    assert losses.isfinite().all()
    assert downhill.isfinite().all()
