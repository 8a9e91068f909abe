"""Images of noise: five kinds, in range, the same for the same seed."""

import torch

from ood_lightning.functional.tanl import noise_images

SHAPE = (3, 32, 32)


def test_every_kind_fills_the_range_and_looks_as_it_should():
    images = noise_images(SHAPE, 3, seed=0)
    assert (images.shape, images.dtype) == ((15, *SHAPE), torch.float32)

    gauss, flat, poisson, gamma, salted = images.split(3)
    for kind in (gauss, poisson, gamma, salted):
        assert (float(kind.min()), float(kind.max())) == (0.0, 1.0)

    assert 0 <= flat.min() < 0.01
    assert 0.99 < flat.max() <= 1
    assert salted.unique().tolist() == [0.0, 1.0]
    assert abs(float(salted.mean()) - 0.5) < 0.02
    assert abs(float(flat.std()) - 12**-0.5) < 0.01

    def skew(kind: torch.Tensor) -> float:
        return float(((kind - kind.mean()) / kind.std()).pow(3).mean())

    assert abs(skew(gauss)) < 0.1
    assert abs(skew(poisson) - 5**-0.5) < 0.1  # of a rate of 5
    assert abs(skew(gamma) - 2**0.5) < 0.2  # of a shape of 2
    assert len(poisson.unique()) < 30  # counts


def test_the_seed_decides_and_the_global_generator_is_not_used():
    torch.manual_seed(0)
    images = noise_images(SHAPE, 1, seed=4)
    state = torch.get_rng_state()
    assert torch.equal(noise_images(SHAPE, 1, seed=4), images)
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(noise_images(SHAPE, 1, seed=5), images)
