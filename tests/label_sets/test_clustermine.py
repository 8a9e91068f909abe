"""From images and words to label sets: ClusterMine, PosMine, mined negatives."""

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ood_lightning.data.artifacts.label_set import Positive
from ood_lightning.errors import LabelSetError
from ood_lightning.functional.similarity import unit
from ood_lightning.label_sets.clustermine import clustermine
from ood_lightning.label_sets.nearest import nearest_words
from ood_lightning.label_sets.negatives import augment, mine_both_ends, mine_negatives, rest_of
from ood_lightning.label_sets.posmine import posmine

WORDS = ("cat", "dog", "cow", "hen", "pig")
CPU = torch.device("cpu")


def test_clustermine_by_hand():
    """Clusters 0 and 2 both elect dog and merge; cluster 9 ties 1:1 and goes to the larger cosine."""
    assignments = torch.tensor([0, 0, 0, 2, 2, 9, 9, 4])
    nearest = torch.tensor([1, 1, 0, 1, 1, 3, 2, 4])
    cosines = torch.tensor([0.5, 0.5, 0.9, 0.1, 0.1, 0.2, 0.3, 0.7], dtype=torch.float64)
    found = clustermine(assignments, nearest, cosines, WORDS, {"seed": 1})
    assert found.positives == (Positive("dog", 2, 5, 0.8), Positive("cow", 1, 2, 0.5), Positive("pig", 1, 1, 1.0))
    assert found.negatives is None
    assert found.recipe == {"method": "ClusterMine", "seed": 1, "supervision": ["id_images"]}


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4)), min_size=1, max_size=60))
@settings(deadline=None)
def test_clustermine_against_a_slow_count(votes: list[tuple[int, int]]):
    cosines = torch.arange(1, len(votes) + 1, dtype=torch.float64) / 64  # sums are exact, so ties are ties
    found = clustermine(torch.tensor([c for c, _ in votes]), torch.tensor([w for _, w in votes]), cosines, WORDS, {})
    support: dict[int, list[int]] = {}
    for cluster in sorted({c for c, _ in votes}):
        mine = [(w, float(cosine)) for (c, w), cosine in zip(votes, cosines, strict=True) if c == cluster]
        count, mass = Counter(w for w, _ in mine), {w: sum(s for v, s in mine if v == w) for w, _ in mine}
        winner = min(count, key=lambda w: (-count[w], -mass[w], w))
        entry = support.setdefault(winner, [0, 0, 0])
        for i, n in enumerate((1, len(mine), count[winner])):
            entry[i] += n
    expected = {
        WORDS[w]: (clusters, images, round(agree / images, 4)) for w, (clusters, images, agree) in support.items()
    }
    assert {p.label: (p.clusters, p.images, p.agreement) for p in found.positives} == expected
    assert sum(p.images or 0 for p in found.positives) == len(votes)
    order = [(-(p.images or 0), WORDS.index(p.label)) for p in found.positives]
    assert order == sorted(order)


def test_posmine_keeps_words_that_enough_images_name():
    nearest = torch.tensor([4, 1, 1, 2, 2, 2, 0])
    found = posmine(nearest, WORDS, 2, {"seed": 1})
    assert found.positives == (Positive("cow", images=3), Positive("dog", images=2))
    assert found.negatives is None
    assert found.recipe["min_images"] == 2
    assert found.supervision == ("id_images",)
    assert [p.label for p in posmine(nearest, WORDS, 1, {}).positives] == ["cow", "dog", "cat", "pig"]


def test_posmine_says_how_far_the_threshold_is_off():
    with pytest.raises(LabelSetError, match=r"nearest of 4 images \(the most frequent has 3 of 5\): lower min_images"):
        posmine(torch.tensor([2, 2, 2, 1, 0]), WORDS, 4, {})


def test_the_rest_is_compared_in_lower_case_and_keeps_its_order():
    assert rest_of(("Cat", "dog", "COW", "été"), ["cat", "cow", "not in the corpus"]).tolist() == [1, 3]
    assert rest_of(("Cat",), ["cat"]).tolist() == []
    assert rest_of(("a", "b"), []).dtype == torch.int64


def test_nearest_words_is_the_arg_max_in_float64():
    generator = torch.Generator().manual_seed(0)
    image, words = torch.randn(37, 6, generator=generator), unit(torch.randn(50, 6, generator=generator))
    found = nearest_words(image.half(), words, CPU)
    products = unit(image.half()).double() @ words.double().T
    assert found.indices.tolist() == products.argmax(dim=1).tolist()
    torch.testing.assert_close(found.values, products.amax(dim=1))
    assert found.indices.shape == found.values.shape == (37,)


def test_nearest_words_does_not_depend_on_its_blocks(monkeypatch: pytest.MonkeyPatch):
    generator = torch.Generator().manual_seed(1)
    image, words = unit(torch.randn(37, 6, generator=generator)), unit(torch.randn(50, 6, generator=generator))
    whole = nearest_words(image, words, CPU)
    monkeypatch.setattr("ood_lightning.label_sets.nearest.ROWS", 4)
    blocks = nearest_words(image, words, CPU)
    for name in ("indices", "values"):
        torch.testing.assert_close(getattr(blocks, name), getattr(whole, name), atol=0, rtol=0)


def test_mined_negatives_are_the_words_with_the_smallest_quantile():
    generator = torch.Generator().manual_seed(2)
    names, features = ["dog", "wolf"], unit(torch.randn(2, 6, generator=generator))
    words = (*(f"w{i}" for i in range(30)), "Dog")
    word_features = unit(torch.randn(31, 6, generator=generator))
    found = mine_negatives(names, features, words, word_features, 7, {"seed": 1}, quantile=1.0)
    distance = (word_features.double() @ features.double().T).amax(dim=1)
    expected = [words[i] for i in distance.argsort().tolist() if words[i] != "Dog"][:7]
    assert list(found.negatives or ()) == expected  # the least similar first
    assert found.words == names
    assert found.supervision == ("id_names",)
    assert (found.recipe["negatives"], found.recipe["quantile"], found.recipe["seed"]) == (7, 1.0, 1)


def test_too_many_negatives_says_how_many_there_are():
    features = unit(torch.randn(3, 4))
    with pytest.raises(LabelSetError, match=r"3 negatives wanted, the corpus has 2 words that are no positive"):
        mine_negatives(["b"], features[:1], ("a", "b", "c"), features, 3, {})


def test_a_duplicated_name_stays_twice_as_published_evaluations_have_it():
    features = unit(torch.randn(4, 4))
    found = mine_negatives(["crane", "crane"], features[:2], ("a", "b"), features[2:], 1, {})
    assert found.words == ["crane", "crane"]


@pytest.mark.parametrize(("share", "k"), [(0.05, 1), (0.2, 4), (0.21, 5), (1.0, 20)])
def test_both_ends_are_ranked_by_the_kth_largest_cosine(share: float, k: int):
    draw = torch.Generator().manual_seed(0)
    words = tuple(f"w{i}" for i in range(40))
    word_features, name_features = (unit(torch.randn(n, 6, generator=draw)) for n in (40, 20))
    names = [*(f"n{i}" for i in range(19)), "W7"]
    found = mine_both_ends(names, name_features, words, word_features, 5, 3, {"seed": 1}, share=share)
    kth = [sorted((float(w.double() @ n.double()) for n in name_features), reverse=True)[k - 1] for w in word_features]
    ranked = [words[i] for i in sorted(range(40), key=lambda i: kth[i]) if i != 7]
    assert list(found.negatives or ()) == ranked[:5] + ranked[-3:]
    assert found.words == names
    assert found.supervision == ("id_names",)
    assert (found.recipe["farthest"], found.recipe["nearest"], found.recipe["share"]) == (5, 3, share)


def test_one_end_alone_and_one_name():
    features = unit(torch.randn(5, 4, generator=torch.Generator().manual_seed(0)))
    both = mine_both_ends(["cat"], features[:1], WORDS, features, 2, 2, {}).negatives or ()
    assert mine_both_ends(["cat"], features[:1], WORDS, features, 2, 0, {}).negatives == both[:2]
    assert mine_both_ends(["cat"], features[:1], WORDS, features, 0, 2, {}).negatives == both[2:]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ((3, 2), "5 negatives wanted, the corpus has 4"),
        ((0, 0), "at least one word, and"),
        ((-1, 2), "at least one word, and"),
    ],
)
def test_ends_that_the_corpus_does_not_have_are_refused(settings: tuple[int, int], words: str):
    features = unit(torch.randn(5, 4, generator=torch.Generator().manual_seed(0)))
    with pytest.raises(LabelSetError, match=words):
        mine_both_ends(["cat"], features[:1], WORDS, features, *settings, {})


def test_augmented_names_add_the_words_nearest_to_any_name_and_leave_the_rest():
    generator = torch.Generator().manual_seed(4)
    names, name_features = ["dog", "wolf", "dog"], unit(torch.randn(3, 6, generator=generator))
    words, features = (*(f"w{i}" for i in range(20)), "Dog"), unit(torch.randn(21, 6, generator=generator))
    found = augment(names, name_features, words, features, 4, {"seed": 1})
    nearest = (features.double() @ name_features.double().T).amax(dim=1)
    expected = [words[i] for i in nearest.argsort(descending=True).tolist() if words[i] != "Dog"][:4]
    assert found.words == [*names, *expected]
    assert found.negatives is None
    assert (found.recipe["added"], found.supervision) == (4, ("id_names",))
    for count in (0, 20):
        with pytest.raises(LabelSetError, match=rf"{count} words to add, the corpus has 20 that are no name"):
            augment(names, name_features, words, features, count, {})


def test_posmine_keeps_a_fixed_number_of_words_if_asked():
    nearest = torch.tensor([4, 1, 1, 2, 2, 2, 0, 4])
    found = posmine(nearest, WORDS, 1, {}, max_positives=3)
    assert found.positives == (Positive("cow", images=3), Positive("dog", images=2), Positive("pig", images=2))
    assert found.recipe["most"] == 3
    assert "most" not in posmine(nearest, WORDS, 1, {}).recipe
    assert posmine(nearest, WORDS, 2, {}, max_positives=4).words == [
        "cow",
        "dog",
        "pig",
    ]  # no fourth word has two images
    with pytest.raises(LabelSetError, match="max_positives is 0, expected at least 1"):
        posmine(nearest, WORDS, 1, {}, max_positives=0)
