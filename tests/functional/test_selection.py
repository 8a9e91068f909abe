"""Quantiles of cosines, choices of the farthest words and groups against NumPy and loops."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from ood_lightning.functional.selection import (
    farthest,
    farthest_by_part,
    quantile_cosine,
    shared_out,
)


@pytest.fixture
def words() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    candidates, positives = torch.randn(30, 16, generator=generator), torch.randn(11, 16, generator=generator)
    return torch.nn.functional.normalize(candidates, dim=1), torch.nn.functional.normalize(positives, dim=1)


@pytest.mark.parametrize("block", [1, 7, 30, 1000])
@pytest.mark.parametrize("q", [0.0, 0.05, 0.5, 0.95, 1.0])
def test_quantiles_equal_numpys_for_every_block_size(words: tuple[Tensor, Tensor], q: float, block: int):
    candidates, positives = (side.double() for side in words)
    expected = np.quantile((candidates @ positives.T).numpy(), q, axis=1)
    got = quantile_cosine(*words, q, block=block)
    torch.testing.assert_close(got, torch.from_numpy(expected), atol=1e-11, rtol=0)


def test_the_quantile_lies_between_the_extremes_and_grows_with_q(words: tuple[Tensor, Tensor]):
    steps = torch.stack([quantile_cosine(*words, q / 10) for q in range(11)])
    assert (steps.diff(dim=0) >= 0).all()
    cosines = words[0].double() @ words[1].double().T
    torch.testing.assert_close(steps[0], cosines.amin(1), atol=1e-11, rtol=0)
    torch.testing.assert_close(steps[-1], cosines.amax(1), atol=1e-11, rtol=0)


def test_one_positive_is_its_own_quantile(words: tuple[Tensor, Tensor]):
    torch.testing.assert_close(
        quantile_cosine(words[0], words[1][:1], 0.95), (words[0] @ words[1][0]).double(), atol=1e-6, rtol=0
    )


def test_equal_words_tie_whichever_block_they_fall_into(words: tuple[Tensor, Tensor]):
    doubled = torch.cat([words[0], words[0], words[0]])
    for block in (1, 5, 13, 90):
        assert torch.equal(*quantile_cosine(doubled, words[1], block=block).view(3, 30)[:2])


def test_the_block_size_changes_no_bit():
    generator = torch.Generator().manual_seed(1)
    candidates, positives = (torch.nn.functional.normalize(torch.randn(90, 333, generator=generator)) for _ in "ab")
    values = [quantile_cosine(candidates, positives, block=block) for block in (1, 2, 31, 90)]
    assert all(torch.equal(values[0], other) for other in values[1:])


def test_the_farthest_come_in_order_and_ties_fall_to_the_lowest_row():
    distances = torch.tensor([0.3, 0.1, 0.2, 0.1, 0.1, 0.9])
    assert farthest(distances, 4).tolist() == [1, 3, 4, 2]
    chosen = farthest(torch.zeros(5000, dtype=torch.float64), 5000)
    assert torch.equal(chosen, torch.arange(5000))


def test_every_word_chosen_is_at_least_as_far_as_every_word_rejected(words: tuple[Tensor, Tensor]):
    distances = quantile_cosine(*words)
    chosen = farthest(distances, 9)
    rejected = [row for row in range(30) if row not in chosen.tolist()]
    assert distances[chosen].max() <= distances[rejected].min()


def test_wrong_arguments_are_refused_in_words(words: tuple[Tensor, Tensor]):
    with pytest.raises(ValueError, match=r"0\.95, not 95"):
        quantile_cosine(*words, 95)
    with pytest.raises(ValueError, match="at least one positive"):
        quantile_cosine(words[0], words[1][:0])
    with pytest.raises(ValueError, match="with one D"):
        quantile_cosine(words[0], words[1][:, :3])
    with pytest.raises(ValueError, match="block is 0, expected at least 1"):
        quantile_cosine(*words, block=0)

    for count in (0, 3):
        with pytest.raises(ValueError, match="expected 1 to 2"):
            farthest(torch.zeros(2), count)
    with pytest.raises(ValueError, match="1 of 2 distances are NaN"):
        farthest(torch.tensor([0.0, math.nan]), 1)


def test_without_interpolation_the_quantile_is_the_cosine_at_a_whole_position(words: tuple[Tensor, Tensor]):
    cosines = words[0].double() @ words[1].double().T
    n = len(words[1])
    for q in (0.0, 0.3, 0.5, 0.95, 1.0):
        position = min(int(q * n), n - 1)
        expected = torch.tensor([sorted(row.tolist())[position] for row in cosines], dtype=torch.float64)
        torch.testing.assert_close(quantile_cosine(*words, q, interpolate=False), expected, atol=1e-11, rtol=0)


def test_shares_are_rounded_down_and_counts_add_up():
    assert shared_out(47_327, 9_293) == (7_099, 1_393)
    assert shared_out(46_560, 10_060) == (6_984, 1_509)
    assert shared_out(0, 7, count=3) == (0, 3)
    assert shared_out(0, 0, count=0) == (0, 0)
    for nouns, adjectives in ((5, 3), (1, 9), (100, 1)):
        for count in range(nouns + adjectives + 1):
            of_nouns, of_adjectives = shared_out(nouns, adjectives, count=count)
            assert of_nouns + of_adjectives == count
            assert 0 <= of_nouns <= nouns
            assert 0 <= of_adjectives <= adjectives

    with pytest.raises(ValueError, match=r"0\.15, not 15"):
        shared_out(5, 3, share=15)
    with pytest.raises(ValueError, match="count is 9, expected at most 8"):
        shared_out(5, 3, count=9)


@pytest.mark.parametrize("adjectives_first", [False, True])
def test_each_kind_of_words_is_ranked_on_its_own(adjectives_first: bool):
    draw = torch.Generator().manual_seed(0)
    distances = torch.randint(0, 9, (60,), generator=draw).double()  # with ties
    is_adjective = torch.rand(60, generator=draw) < 0.3
    counts = (12, 5)
    chosen = farthest_by_part(distances, is_adjective, counts, adjectives_first=adjectives_first).tolist()

    ranked = sorted(range(60), key=lambda i: (float(distances[i]), i))
    nouns = [i for i in ranked if not is_adjective[i]][:12]
    adjectives = [i for i in ranked if is_adjective[i]][:5]
    assert chosen == (adjectives + nouns if adjectives_first else nouns + adjectives)
    assert farthest_by_part(distances, is_adjective, (0, 2)).tolist() == adjectives[:2]
