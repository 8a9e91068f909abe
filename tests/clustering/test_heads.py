"""TEMI's networks: H batched heads are H separate ones."""

import pytest
import torch
from torch import nn

from ood_lightning.clustering.heads import TEMIHeads


def separate(heads: TEMIHeads, i: int) -> nn.Sequential:
    """Head i as TEMI's code writes it."""
    n_clusters, bottleneck = heads.last_direction.shape[1:]
    first, second = nn.Linear(*heads.weight1.shape[1:]), nn.Linear(*heads.weight2.shape[1:])
    last = nn.utils.parametrizations.weight_norm(nn.Linear(bottleneck, n_clusters, bias=False))
    with torch.no_grad():
        for layer, weight, bias in ((first, heads.weight1, heads.bias1), (second, heads.weight2, heads.bias2)):
            layer.weight.copy_(weight[i].T)
            layer.bias.copy_(bias[i, 0])
        last.parametrizations.weight.original0.copy_(heads.last_gain[i])
        last.parametrizations.weight.original1.copy_(heads.last_direction[i])

    class Unit(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.normalize(x, dim=-1)

    return nn.Sequential(first, nn.GELU(), second, Unit(), last)


@pytest.fixture
def heads() -> TEMIHeads:
    made = TEMIHeads(3, dim=10, n_clusters=7, hidden=12, bottleneck=6, seed=4)
    with torch.no_grad():  # biases start at 0 and gains at 1, which would hide faults
        for parameter in (made.bias1, made.bias2, made.last_gain):
            parameter.add_(torch.rand_like(parameter))
    return made


def test_logits_and_gradients_are_those_of_separate_heads(heads: TEMIHeads):
    features = torch.randn(9, 10)
    logits = heads(features)
    assert logits.shape == (3, 9, 7)
    logits.square().sum().backward()

    for i in range(3):
        alone = separate(heads, i)
        expected = alone(features)
        torch.testing.assert_close(logits[i], expected, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(heads(features, i)[0], expected, atol=1e-5, rtol=1e-5)

        expected.square().sum().backward()
        torch.testing.assert_close(heads.weight1.grad[i].T, alone[0].weight.grad, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(heads.bias2.grad[i, 0], alone[2].bias.grad, atol=1e-4, rtol=1e-4)
        gain, direction = (getattr(alone[4].parametrizations.weight, f"original{j}").grad for j in (0, 1))
        torch.testing.assert_close(heads.last_gain.grad[i], gain, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(heads.last_direction.grad[i], direction, atol=1e-4, rtol=1e-4)


def test_one_heads_gradient_does_not_reach_another(heads: TEMIHeads):
    heads(torch.randn(5, 10))[1].sum().backward()
    for name, parameter in heads.named_parameters():
        assert not parameter.grad[[0, 2]].any(), name
        assert parameter.grad[1].any(), name


def test_logits_are_scaled_cosines():
    heads = TEMIHeads(2, 10, 7, 12, 6)
    assert heads(torch.randn(50, 10) * 100).abs().max() <= 1 + 1e-6  # gain 1


def test_initial_weights_are_a_function_of_the_seed_alone():
    torch.manual_seed(0)
    first = TEMIHeads(2, 10, 7, 12, 6, seed=5)
    torch.manual_seed(1)
    again, other = TEMIHeads(2, 10, 7, 12, 6, seed=5), TEMIHeads(2, 10, 7, 12, 6, seed=6)
    for name, parameter in first.named_parameters():
        torch.testing.assert_close(parameter, dict(again.named_parameters())[name], atol=0, rtol=0)
    assert (first.weight1 != other.weight1).all()
    assert (first.weight1[0] != first.weight1[1]).all()  # heads differ


def test_initial_weights_have_temis_deviation():
    heads = TEMIHeads(4, 128, 50, 256, 64)
    assert heads.weight1.std().item() == pytest.approx(0.02, rel=0.05)
    assert heads.weight2.std().item() == pytest.approx(0.02, rel=0.05)
    assert not heads.bias1.any()
    assert not heads.bias2.any()
    assert (heads.last_gain == 1).all()
    assert {id(p) for p in heads.last_layer()} == {id(heads.last_gain), id(heads.last_direction)}
