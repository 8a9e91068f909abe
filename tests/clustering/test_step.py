"""A step of TEMI head by head and slice by slice: what autograd gives through all heads at once."""

import pytest
import torch
from torch import Tensor

from ood_lightning.clustering import step
from ood_lightning.clustering.heads import TEMIHeads, last_weights, last_weights_gradient
from ood_lightning.clustering.step import by_parameters, lesson, losses_and_gradients, workspace
from ood_lightning.functional.temi import head_losses

BETA, T_STUDENT, T_TEACHER = 0.6, 0.1, 0.2
SHAPES = [(1, 5, 3), (3, 10, 7), (4, 6, 1)]  # heads, dimensions, clusters


def networks(n_heads: int, dim: int, n_clusters: int) -> tuple[TEMIHeads, TEMIHeads]:
    """A student, and a teacher that is another network; biases and gains are not those of the start."""
    made = [TEMIHeads(n_heads, dim, n_clusters, hidden=12, bottleneck=6, seed=seed).double() for seed in (0, 1)]
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for heads in made:
            for parameter in (heads.bias1, heads.bias2, heads.last_gain):
                parameter.add_(torch.rand(parameter.shape, generator=draw, dtype=torch.float64))
    return made[0], made[1].requires_grad_(False)


def slices_of(n_slices: int, n_pairs: int, dim: int) -> list[Tensor]:
    draw = torch.Generator().manual_seed(3)
    return [torch.randn(2 * n_pairs, dim, generator=draw, dtype=torch.float64) for _ in range(n_slices)]


def ours(student: TEMIHeads, teacher: TEMIHeads, slices: list[Tensor], prior: Tensor) -> tuple[Tensor, ...]:
    space = workspace(student, slices)
    learnt = lesson(teacher, slices, space, T_TEACHER)
    losses, gradients = losses_and_gradients(student, slices, learnt, space, prior, beta=BETA, temperature=T_STUDENT)
    return learnt.mass, losses, *by_parameters(student, gradients)


def plain(student: TEMIHeads, teacher: TEMIHeads, slices: list[Tensor], prior: Tensor) -> tuple[Tensor, ...]:
    mass, losses = 0, 0
    for features in slices:
        of_teacher = teacher(features)
        mass = mass + (of_teacher / T_TEACHER).softmax(dim=-1).mean(dim=1)
        losses = losses + head_losses(
            *student(features).chunk(2, dim=1),
            *of_teacher.chunk(2, dim=1),
            prior,
            beta=BETA,
            student_temperature=T_STUDENT,
            teacher_temperature=T_TEACHER,
        )
    gradients = torch.autograd.grad(losses.sum(), list(student.parameters()))
    return mass, losses.detach(), *gradients


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("n_slices", [1, 2, 4])
@pytest.mark.parametrize("n_pairs", [1, 3])
def test_losses_mass_and_gradients_are_those_of_the_formula(shape: tuple[int, int, int], n_slices: int, n_pairs: int):
    student, teacher = networks(*shape)
    slices = slices_of(n_slices, n_pairs, shape[1])
    prior = torch.rand(shape[0], shape[2], dtype=torch.float64).softmax(-1)
    names = ["mass", "losses", *dict(student.named_parameters())]
    values, expected = ours(student, teacher, slices, prior), plain(student, teacher, slices, prior)
    for name, value, correct in zip(names, values, expected, strict=True):
        torch.testing.assert_close(value, correct, atol=1e-12, rtol=1e-9, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("heads_at_once", [2, 3, 4])
def test_blocks_of_heads_change_rounding_only(heads_at_once: int, monkeypatch: pytest.MonkeyPatch):
    """Of 4 heads; 3 do not divide them."""
    student, teacher = networks(4, 10, 7)
    slices, prior = slices_of(2, 3, 10), torch.full((4, 7), 1 / 7, dtype=torch.float64)
    one_by_one = ours(student, teacher, slices, prior)

    blocks = [slice(start, start + heads_at_once) for start in range(0, 4, heads_at_once)]
    monkeypatch.setattr(step, "_blocks", lambda heads, n_rows: blocks)
    for values, expected in zip(ours(student, teacher, slices, prior), one_by_one, strict=True):
        torch.testing.assert_close(values, expected, atol=1e-14, rtol=1e-12)


def test_a_block_holds_as_many_heads_as_fit():
    heads = TEMIHeads(50, 8, 4000, hidden=4, bottleneck=2)
    assert [block.stop - block.start for block in step._blocks(heads, 256)] == [1] * 50
    assert len(step._blocks(heads, 10**6)) == 50  # never less than one
    assert len(step._blocks(TEMIHeads(50, 8, 40, hidden=4, bottleneck=2), 256)) == 1

    there = heads.to("meta")
    assert [len(range(50)[block]) for block in step._blocks(there, 1024)] == [32, 18]


def test_a_cluster_of_no_mass_leaves_losses_and_gradients_finite():
    student, teacher = networks(2, 5, 3)
    prior = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]], dtype=torch.float64)
    assert all(value.isfinite().all() for value in ours(student, teacher, slices_of(2, 3, 5), prior))


def test_the_last_layers_gradient_is_that_through_its_weight_norm():
    draw = torch.Generator().manual_seed(0)
    direction, gain, gradient = (
        torch.randn(*shape, generator=draw, dtype=torch.float64) for shape in ((2, 5, 4), (2, 5, 1), (2, 5, 4))
    )
    leaves = direction.requires_grad_(), gain.requires_grad_()
    by_direction, by_gain = torch.autograd.grad(last_weights(*leaves), leaves, gradient)

    changed = gradient.clone()
    values = last_weights_gradient(direction.detach(), gain.detach(), changed)
    torch.testing.assert_close(values, by_gain)
    torch.testing.assert_close(changed, by_direction)
    torch.testing.assert_close(last_weights(direction, gain).norm(dim=-1, keepdim=True), gain.abs())
