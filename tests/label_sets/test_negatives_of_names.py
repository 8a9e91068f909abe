"""Words chosen by their cosines to the names: the least similar, both ends, and those added to the names."""

import pytest
import torch

from ood_lightning.errors import LabelSetError
from ood_lightning.functional.similarity import unit
from ood_lightning.label_sets.negatives import augment, mine_both_ends, mine_negatives, rest_of

WORDS = ("cat", "dog", "cow", "hen", "pig")


def test_the_rest_is_compared_in_lower_case_and_keeps_its_order():
    assert rest_of(("Cat", "dog", "COW", "été"), ["cat", "cow", "not in the corpus"]).tolist() == [1, 3]
    assert rest_of(("Cat",), ["cat"]).tolist() == []
    assert rest_of(("a", "b"), []).dtype == torch.int64


def test_mined_negatives_are_the_words_with_the_smallest_quantile():
    generator = torch.Generator().manual_seed(2)
    names, features = ["dog", "wolf"], unit(torch.randn(2, 6, generator=generator))
    words = (*(f"w{i}" for i in range(30)), "Dog")
    word_features = unit(torch.randn(31, 6, generator=generator))
    label_set = mine_negatives(names, features, words, word_features, 7, {"seed": 1}, quantile=1.0)
    distance = (word_features.double() @ features.double().T).amax(dim=1)
    expected = [words[i] for i in distance.argsort().tolist() if words[i] != "Dog"][:7]
    assert list(label_set.negatives or ()) == expected  # the least similar first
    assert label_set.words == names
    assert label_set.supervision == ("id_names",)
    assert (label_set.recipe["negatives"], label_set.recipe["quantile"], label_set.recipe["seed"]) == (7, 1.0, 1)


def test_without_a_count_all_other_words_are_negatives():
    features = unit(torch.randn(4, 4))
    label_set = mine_negatives(["b"], features[:1], ("a", "B", "c", "d"), features, None, {})
    assert sorted(label_set.negatives or ()) == ["a", "c", "d"]
    assert label_set.recipe["negatives"] == 3
    with pytest.raises(LabelSetError, match="the corpus has 0 words that are no positive"):
        mine_negatives(["b"], features[:1], ("b",), features[:1], None, {})


def test_too_many_negatives_says_how_many_there_are():
    features = unit(torch.randn(3, 4))
    with pytest.raises(LabelSetError, match=r"3 negatives wanted, the corpus has 2 words that are no positive"):
        mine_negatives(["b"], features[:1], ("a", "b", "c"), features, 3, {})


def test_a_duplicated_name_stays_twice_as_published_evaluations_have_it():
    features = unit(torch.randn(4, 4))
    label_set = mine_negatives(["crane", "crane"], features[:2], ("a", "b"), features[2:], 1, {})
    assert label_set.words == ["crane", "crane"]


@pytest.mark.parametrize(("share", "k"), [(0.05, 1), (0.2, 4), (0.21, 5), (1.0, 20)])
def test_both_ends_are_ranked_by_the_kth_largest_cosine(share: float, k: int):
    draw = torch.Generator().manual_seed(0)
    words = tuple(f"w{i}" for i in range(40))
    word_features, name_features = (unit(torch.randn(n, 6, generator=draw)) for n in (40, 20))
    names = [*(f"n{i}" for i in range(19)), "W7"]
    label_set = mine_both_ends(names, name_features, words, word_features, 5, 3, {"seed": 1}, share=share)
    kth = [sorted((float(w.double() @ n.double()) for n in name_features), reverse=True)[k - 1] for w in word_features]
    ranked = [words[i] for i in sorted(range(40), key=lambda i: kth[i]) if i != 7]
    assert list(label_set.negatives or ()) == ranked[:5] + ranked[-3:]
    assert label_set.words == names
    assert label_set.supervision == ("id_names",)
    assert (label_set.recipe["farthest"], label_set.recipe["nearest"], label_set.recipe["share"]) == (5, 3, share)


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
    label_set = augment(names, name_features, words, features, 4, {"seed": 1})
    nearest = (features.double() @ name_features.double().T).amax(dim=1)
    expected = [words[i] for i in nearest.argsort(descending=True).tolist() if words[i] != "Dog"][:4]
    assert label_set.words == [*names, *expected]
    assert label_set.negatives is None
    assert (label_set.recipe["added"], label_set.supervision) == (4, ("id_names",))
    for count in (0, 20):
        with pytest.raises(LabelSetError, match=rf"{count} words to add, the corpus has 20 that are no name"):
            augment(names, name_features, words, features, count, {})
