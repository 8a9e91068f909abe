"""A tower laid out for speed gives the same features; one whose parts are called in another order stays as it is."""

import pytest
import torch
from open_clip.modified_resnet import ModifiedResNet
from torch import Tensor, nn

from ood_lightning.encoders.fast_layout import fast_layout


class Convolutions(nn.Module):
    """Two convolutions and their norms, called in the order of their names or not."""

    def __init__(self, *, crossed: bool) -> None:
        super().__init__()
        self.first, self.norm_1 = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.second, self.norm_2 = nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)
        self.crossed = crossed

    def forward(self, image: Tensor) -> Tensor:
        norms = (self.norm_2, self.norm_1) if self.crossed else (self.norm_1, self.norm_2)
        hidden = norms[0](self.first(image)).relu()
        return norms[1](self.second(hidden)).mean(dim=(2, 3))


def used(tower: nn.Module) -> nn.Module:
    """With norms that are not idle."""
    draw = torch.Generator().manual_seed(0)
    for part in tower.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean = torch.randn(part.num_features, generator=draw)
            part.running_var = 0.5 + torch.rand(part.num_features, generator=draw)
            part.weight.data = 0.5 + torch.rand(part.num_features, generator=draw)
            part.bias.data = torch.randn(part.num_features, generator=draw)
    return tower.eval().requires_grad_(False)


def resnet() -> nn.Module:
    torch.manual_seed(1)
    return used(ModifiedResNet([1, 1, 1, 1], output_dim=8, heads=2, image_size=32, width=8))


@pytest.mark.parametrize("tower", [resnet(), used(Convolutions(crossed=False))], ids=["CLIP's", "plain"])
def test_norms_become_a_part_of_convolutions_and_features_stay(tower: nn.Module):
    images = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    expected, before = tower(images), sum(isinstance(part, nn.BatchNorm2d) for part in tower.modules())
    fast = fast_layout(tower, (3, 32, 32))
    assert before >= 2
    assert not any(isinstance(part, nn.BatchNorm2d) for part in fast.modules())
    torch.testing.assert_close(fast(images), expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
    assert torch.equal(tower(images), expected)


def test_a_tower_that_would_compute_something_else_stays_as_it_is():
    tower = used(Convolutions(crossed=True))
    assert fast_layout(tower, (3, 16, 16)) is tower
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten())
    assert fast_layout(plain, (3, 16, 16)) is plain
