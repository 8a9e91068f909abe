"""Scores after words moved, against sums over the sets that are there then: odd sizes, ties, words that outweigh."""

import pytest
import torch
from random_features import random_unit
from torch import Tensor

from ood_lightning.functional.moved_words import MovedWords, Texts, moved_scores
from ood_lightning.functional.shares import text_logits


def mass(images: Tensor, texts: Tensor, counts: Tensor, scale: float) -> Tensor:
    return (text_logits(images, texts, scale) + counts.double().log()).logsumexp(dim=1)


def case(
    n: int, p: int, v: int, dim: int, drop: list[int], add: list[int], scale: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Scores by moving and by sums, which rows are unsure, and the nearest positive by looking at all.

    Args:
        n: images.
        p: positives; the corpus has them and v - p negatives, each up to three times.
        v: words of the corpus.
        dim: of features.
        drop: positions of positives that become negatives.
        add: rows of negatives that become positives.
        scale: of the cosines.
    """
    images, words = random_unit(n, dim, seed=n), random_unit(v, dim, seed=v)
    counts = torch.arange(v) % 3 + 1
    before, kept = list(range(p)), [i for i in range(p) if i not in drop]
    rest = [i for i in range(p, v) if i not in add] + drop
    ones = torch.ones(v)

    def score(positives: list[int], negatives: list[int]) -> Tensor:
        masses = mass(images, words[positives], ones[positives], scale)
        return masses - mass(images, words[negatives], counts[negatives], scale)

    union = before + add
    after = kept + add
    moved = MovedWords(
        words[union],
        torch.arange(p),
        torch.tensor([union.index(row) for row in after]),
        Texts(words[add], counts[add]),
        Texts(words[drop], counts[drop]),
    )
    result = moved_scores(images, score(before, list(range(p, v))), moved, scale)
    nearest = text_logits(images, words[after], scale).argmax(dim=1)
    assert torch.equal(result.nearest, nearest)
    return result.positives - result.negatives.mass, score(after, rest), result.negatives.unsure, nearest


@pytest.mark.parametrize("scale", [1.0, 30.0, 1000.0])
@pytest.mark.parametrize(
    ("n", "p", "v", "dim", "drop", "add"),
    [
        (1, 2, 3, 1, [0], []),
        (7, 5, 36, 16, [3], []),
        (7, 5, 36, 16, [], [20]),
        (33, 5, 1001, 17, [0, 4], [5, 1000, 77]),
        (33, 5, 1001, 17, [0, 1, 2, 3, 4], [5]),
    ],
)
def test_moved_scores_are_those_of_the_new_set(
    n: int, p: int, v: int, dim: int, drop: list[int], add: list[int], scale: float
):
    moved, expected, unsure, _ = case(n, p, v, dim, drop, add, scale)
    torch.testing.assert_close(moved[~unsure], expected[~unsure], atol=1e-6, rtol=0)
    assert len(expected) < 5 or scale > 100 or not unsure.all()


def test_a_word_that_leaves_nearly_nothing_is_unsure():
    images = torch.eye(3)[:1]
    words = torch.eye(3)
    before = mass(images, words[1:2], torch.ones(1), 40.0) - mass(images, words[[0, 2]], torch.ones(2), 40.0)
    none = Texts(words[:0], torch.ones(0))
    moved = MovedWords(words[[1, 0]], torch.tensor([0]), torch.tensor([0, 1]), Texts(words[:1], torch.ones(1)), none)
    assert moved_scores(images, before, moved, 40.0).negatives.unsure.tolist() == [True]


def test_of_equal_positives_the_first_is_the_nearest():
    images, word = random_unit(5, 4, seed=0), random_unit(1, 4, seed=1)
    none = Texts(word[:0], torch.ones(0))
    moved = MovedWords(word.repeat(3, 1), torch.tensor([0]), torch.tensor([2, 1, 0]), none, none)
    assert moved_scores(images, torch.zeros(5), moved, 1.0).nearest.tolist() == [0] * 5


def test_a_rounding_of_the_scores_grows_eightfold_at_most():
    torch.manual_seed(0)
    images, words = random_unit(400, 8, seed=2), random_unit(40, 8, seed=3)
    ones = torch.ones(40)
    before = mass(images, words[:4], ones[:4], 30.0) - mass(images, words[4:], ones[4:], 30.0)
    after = mass(images, words[:5], ones[:5], 30.0) - mass(images, words[5:], ones[5:], 30.0)

    none = Texts(words[:0], torch.ones(0))
    moved = MovedWords(words[:5], torch.arange(4), torch.arange(5), Texts(words[4:5], ones[:1]), none)
    result = moved_scores(images, before + 1e-6 * torch.rand(400).double(), moved, 30.0)
    error = (result.positives - result.negatives.mass - after).abs()
    assert error[~result.negatives.unsure].max() < 8e-6
    assert result.negatives.unsure.any()
