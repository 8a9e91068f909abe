"""The number of clusters that images alone choose: planted numbers are found, and the same twice."""

import pytest
import torch
from torch import Tensor

from ood_lightning.clustering.choose import (
    LEAST_RATIO,
    Candidate,
    by_ratio,
    candidate_numbers,
    choose_clusters,
)
from ood_lightning.errors import SettingsError
from ood_lightning.functional.similarity import unit

DIM = 64


def planted(n_concepts: int, per_concept: int, spread: float = 0.05) -> tuple[Tensor, Tensor]:
    """Images around concepts, and a vocabulary of which the first words are these concepts."""
    draw = torch.Generator().manual_seed(1)
    words = unit(torch.randn(500, DIM, generator=draw))
    images = words[:n_concepts].repeat(per_concept, 1)
    return unit(images + spread * torch.randn(len(images), DIM, generator=draw)), words


@pytest.mark.parametrize("n_concepts", [5, 12, 40])
def test_the_number_of_planted_concepts_is_found(n_concepts: int):
    images, words = planted(n_concepts, 20)
    choice = choose_clusters(images, words)
    assert choice.n_clusters is not None
    assert n_concepts / 2**0.5 <= choice.n_clusters <= n_concepts * 2**0.5 + 1
    chosen = next(one for one in choice.table if one.n_clusters == choice.n_clusters)
    assert chosen.n_positives >= 0.7 * n_concepts
    assert f"{chosen.n_clusters:,} clusters of {len(images):,} images elect" in choice.reason


def test_the_choice_is_the_same_twice_and_for_temi():
    images, words = planted(7, 15, spread=0.3)
    first = choose_clusters(images, words, seed=4)
    assert choose_clusters(images, words, seed=4) == first


def test_progress_ends_at_its_end():
    images, words = planted(6, 20)
    seen: list[tuple[int, int]] = []
    choose_clusters(images, words, on_progress=lambda done, of: seen.append((done, of)))
    assert seen[0][0] == 1
    assert seen[-1][0] == seen[-1][1]
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_one_image_fifty_times_is_one_cluster():
    images, words = planted(1, 1)
    choice = choose_clusters(images.repeat(50, 1), words)
    assert (choice.n_clusters, len(choice.table)) == (1, 1)
    assert "there can be no more clusters" in choice.reason


def test_copies_end_the_candidates_at_the_number_of_distinct_images():
    images, words = planted(9, 1)
    choice = choose_clusters(images.repeat(30, 1), words)
    assert choice.table[-1].n_clusters == 9
    assert choice.n_clusters == 9


def test_few_images():
    images, words = planted(5, 1)
    assert choose_clusters(images, words).n_clusters == 5
    assert choose_clusters(images[:2], words).n_clusters == 2
    with pytest.raises(SettingsError, match="1 image: at least 2 are needed"):
        choose_clusters(images[:1], words)


def test_where_clusters_always_repeat_words_the_fewest_are_taken():
    images, words = planted(1, 200, spread=0.2)
    choice = choose_clusters(images, words[:1])
    assert choice.n_clusters == 2
    assert "so the smallest is taken" in choice.reason


def test_of_many_images_a_sample_is_looked_at(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ood_lightning.clustering.choose.MOST_IMAGES", 100)
    images, words = planted(10, 60)
    choice = choose_clusters(images, words)
    assert "of 100 images" in choice.reason
    assert choice.n_clusters is not None
    assert 7 <= choice.n_clusters <= 15


def test_the_largest_number_with_words_enough_is_taken():
    table = [Candidate(c, 1, ratio, 0.0, 1.0) for c, ratio in ((2, 1.0), (4, 0.6), (8, LEAST_RATIO), (16, 0.5))]
    assert by_ratio(table).n_clusters == 8
    assert by_ratio(table[1:2]).n_clusters == 4


def test_candidates_are_a_geometric_row():
    assert candidate_numbers(2748)[-3:] == [1374, 1943, 2748]
    assert candidate_numbers(2) == [2]
    assert candidate_numbers(3) == [2, 3]
