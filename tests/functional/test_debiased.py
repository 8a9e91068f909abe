"""Debiased negative mining's density against two loops, and its correction of the log-odds."""

import math

import pytest
import torch
from random_features import random_unit
from torch import Tensor

from ood_lightning.errors import SettingsError
from ood_lightning.functional.debiased import correction, log_distances

WORDS = random_unit(40, 8, seed=1)
LENGTHS = 7 + 3 * torch.rand(40, generator=torch.Generator().manual_seed(2))


def by_loop(words: Tensor, lengths: Tensor, k: int) -> list[float]:
    means = []
    for i, n in enumerate(lengths.tolist()):
        d = sorted(n + m - 2 * float(words[i].double() @ words[j].double()) for j, m in enumerate(lengths.tolist()))
        means.append(sum(math.log(value) for value in d[: k + 1]) / (k + 1))
    return means


@pytest.mark.parametrize("block", [1, 7, 64])
@pytest.mark.parametrize("k", [1, 10, 39])
def test_the_density_is_that_of_two_loops(k: int, block: int):
    expected = torch.tensor(by_loop(WORDS, LENGTHS, k), dtype=torch.float64)
    distances = log_distances(WORDS, LENGTHS, k, block=block)
    torch.testing.assert_close(distances, expected, atol=1e-11, rtol=0)
    assert torch.equal(distances, log_distances(WORDS, LENGTHS, k))


def test_equal_words_tie_wherever_they_stand():
    words, lengths = WORDS.repeat(3, 1), LENGTHS.repeat(3)
    first, second, third = log_distances(words, lengths, 10, block=37).chunk(3)
    assert torch.equal(first, second)
    assert torch.equal(first, third)


def test_with_equal_lengths_cosines_decide_and_every_word_is_its_own_nearest():
    lengths = torch.full((40,), 9.0)
    nearest = (WORDS.double() @ WORDS.double().T).topk(4, dim=1)
    assert torch.equal(nearest.indices[:, 0], torch.arange(40))
    expected = (18 - 2 * nearest.values).log().mean(dim=1)
    torch.testing.assert_close(log_distances(WORDS, lengths, 3), expected, atol=1e-6, rtol=0)


def test_other_lengths_are_another_order():
    order = [log_distances(WORDS, factor * LENGTHS, 3).argsort().tolist() for factor in (1, 0.3)]
    assert order[0] != order[1]


def test_short_features_are_refused_in_words():
    with pytest.raises(ValueError, match=r"no logarithm: the text features of this encoder are too short"):
        log_distances(WORDS, torch.full((40,), 0.5), 3)
    with pytest.raises(ValueError, match="no logarithm"):
        log_distances(WORDS, torch.ones(40), 3)  # unit vectors: d_ii is 0 up to rounding
    with pytest.raises(ValueError, match="40 neighbours of 40 words: expected 1 to 39"):
        log_distances(WORDS, LENGTHS, 40)


def test_progress_counts_every_word_once():
    seen: list[int] = []
    log_distances(WORDS, LENGTHS, 3, block=16, on_progress=seen.append)
    assert seen == [16, 16, 8]


@pytest.mark.parametrize(("n_positives", "size", "share"), [(1000, 120, 0.5), (1000, 120, 0.12), (5, 4, 0.9)])
def test_the_correction_is_the_logarithm_of_a_t(n_positives: int, size: int, share: float):
    a = 1 - size * (1 - share) / (share * n_positives)
    assert correction(n_positives, size, share) == pytest.approx(math.log(a * share), abs=1e-12)


def test_a_pole_is_refused_with_the_largest_group():
    correction(37, 36, 0.5)
    with pytest.raises(SettingsError, match=r"groups of 37 negatives .* 37 positives .* Q_max = 37\. Raise groups"):
        correction(37, 37, 0.5)
    assert correction(37, 10**6, 1.0) == 0.0
