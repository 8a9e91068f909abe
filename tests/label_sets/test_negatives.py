"""Negatives by part of speech as the official codes select them, against slow loops, and what must always hold."""

import pytest
import torch
from torch import Tensor

from ood_lightning.corpora.words import Part, Words
from ood_lightning.errors import LabelSetError
from ood_lightning.functional.similarity import unit
from ood_lightning.label_sets.negatives import mine_by_part

N = 120
NAMES = ["w3", "W5", *(f"n{i}" for i in range(9))]


@pytest.fixture
def words() -> Words:
    draw = torch.Generator().manual_seed(5)
    parts: tuple[Part, ...] = tuple("adj" if a else "noun" for a in (torch.rand(N, generator=draw) < 0.3).tolist())
    return Words("some", tuple(f"w{i}" for i in range(N)), "here", parts)


@pytest.fixture
def features() -> tuple[Tensor, Tensor]:
    """Of names and of words; w3 is a name itself, w9 is almost one."""
    draw = torch.Generator().manual_seed(6)
    names, texts = unit(torch.randn(len(NAMES), 8, generator=draw)), unit(torch.randn(N, 8, generator=draw))
    texts[3] = names[0]
    texts[9] = unit(names[[4]] + 0.1 * texts[[9]])[0]
    return names, texts


def by_loop(words: Words, features: tuple[Tensor, Tensor], share: float, same: float | None) -> list[str]:
    assert words.parts is not None
    chosen = []
    for part in ("noun", "adj"):
        ranked = []
        for i in range(N):
            if words.parts[i] != part:
                continue

            cosines = sorted(float(features[1][i].double() @ name.double()) for name in features[0])
            position = 0.95 * (len(cosines) - 1)
            low = int(position)
            d = cosines[low] + (position - low) * (cosines[min(low + 1, len(cosines) - 1)] - cosines[low])
            ranked.append((1.0 if same is not None and cosines[-1] > same else d, i))
        chosen += [words.words[i] for _, i in sorted(ranked)[: int(share * len(ranked))]]
    return chosen


@pytest.mark.parametrize("same", [None, 0.95, 0.6])
@pytest.mark.parametrize("share", [0.15, 0.5, 1.0])
def test_matches_a_loop_over_nouns_and_adjectives(
    words: Words, features: tuple[Tensor, Tensor], share: float, same: float | None
):
    label_set = mine_by_part(NAMES, features[0], words, features[1], {}, share=share, same_cosine=same)
    assert list(label_set.negatives or ()) == by_loop(words, features, share, same)
    assert label_set.words == NAMES
    assert label_set.supervision == ("id_names",)


def test_counts_and_separation_of_each_kind(words: Words, features: tuple[Tensor, Tensor]):
    label_set = mine_by_part(NAMES, features[0], words, features[1], {})
    n_adjectives = len(words.adjectives)
    counts = {"nouns": int(0.15 * (N - n_adjectives)), "adjectives": int(0.15 * n_adjectives)}
    assert label_set.recipe["negatives"] == counts
    distance = (features[1].double() @ features[0].double().T).quantile(0.95, dim=1)
    chosen = set(label_set.negatives or ())
    assert len(chosen) == sum(counts.values())
    for kind in (words.adjectives, set(words.words) - words.adjectives):
        sides = [
            [float(distance[i]) for i, w in enumerate(words.words) if w in kind and (w in chosen) == c] for c in (0, 1)
        ]
        assert max(sides[1]) <= min(sides[0])


def test_a_near_synonym_of_a_name_is_pushed_to_the_end(words: Words, features: tuple[Tensor, Tensor]):
    synonyms = [i for i in range(N) if float((features[1][i].double() @ features[0].double().T).max()) > 0.95]
    assert {3, 9} <= set(synonyms)
    everything = mine_by_part(NAMES, features[0], words, features[1], {}, share=1.0, same_cosine=0.95)
    at = {word: i for i, word in enumerate(everything.negatives or ())}
    n_nouns = N - len(words.adjectives)
    for i in synonyms:
        last = N if words.words[i] in words.adjectives else n_nouns
        assert at[f"w{i}"] >= last - len(synonyms)
    fewer = mine_by_part(NAMES, features[0], words, features[1], {}, share=0.85, same_cosine=0.95)
    assert not {f"w{i}" for i in synonyms} & set(fewer.negatives or ())


def test_openood_vlms_variant(words: Words, features: tuple[Tensor, Tensor]):
    """Names out by exact match, K split, a whole place of the sorted cosines, adjectives in front."""
    label_set = mine_by_part(
        NAMES, features[0], words, features[1], {},
        count=40, interpolate=False, without_names=True, adjectives_first=True,
    )  # fmt: skip

    rest = [i for i in range(N) if words.words[i] not in NAMES]
    assert len(rest) == N - 1  # W5 is not w5, letter for letter
    position = int(0.95 * len(NAMES))
    distance = (features[1].double() @ features[0].double().T).sort(dim=1).values[:, position]

    kinds = [[i for i in rest if (words.words[i] in words.adjectives) == adj] for adj in (True, False)]
    n_adjectives = int(40 * len(kinds[0]) / len(rest))
    expected = [
        f"w{i}"
        for kind, count in zip(kinds, (n_adjectives, 40 - n_adjectives), strict=True)
        for i in sorted(kind, key=lambda i: float(distance[i]))[:count]
    ]

    assert list(label_set.negatives or ()) == expected
    assert label_set.recipe["negatives"] == {"nouns": 40 - n_adjectives, "adjectives": n_adjectives}


def test_a_corpus_without_parts_is_all_nouns(words: Words, features: tuple[Tensor, Tensor]):
    plain = Words("plain", words.words, "here")
    label_set = mine_by_part(NAMES, features[0], plain, features[1], {})
    assert label_set.recipe["negatives"] == {"nouns": 18, "adjectives": 0}


def test_what_cannot_be_selected_is_refused(words: Words, features: tuple[Tensor, Tensor]):
    with pytest.raises(LabelSetError, match=r"negatives of 'some': share is 15, expected a fraction: 0\.15"):
        mine_by_part(NAMES, features[0], words, features[1], {}, share=15)
    with pytest.raises(LabelSetError, match="negatives of 'some': count is 500, expected at most 120"):
        mine_by_part(NAMES, features[0], words, features[1], {}, count=500)
    with pytest.raises(LabelSetError, match=r"no negative is left of the 120 words .* than 0\.001"):
        mine_by_part(NAMES, features[0], words, features[1], {}, share=0.001)
