"""InterNeg's share of adjectives, rounded down, for every number of negatives, against a slow loop."""

import pytest
import torch
from random_features import random_unit

from ood_lightning.functional.intermodal import ClassBounds
from ood_lightning.label_sets.interneg import mine_below

WORDS = [f"word{i}" for i in range(23)]
FEATURES = random_unit(23, 10, seed=0)
# One class, to which every word is less similar than its name is: all words are admissible.
BOUNDS = ClassBounds(FEATURES[:1].double(), torch.tensor([2.0], dtype=torch.float64))


@pytest.mark.parametrize("adjective_every", [2, 3, 7])
def test_adjectives_get_their_share_rounded_down(adjective_every: int):
    parts = ["adj" if i % adjective_every == 1 else "noun" for i in range(23)]
    n_adjectives = parts.count("adj")
    farthest_first = sorted(range(23), key=lambda i: float(FEATURES[i].double() @ FEATURES[0].double()))

    rounded_up_would_differ = 0
    for count in range(1, 24):
        n_left = {"adj": 0}
        while (n_left["adj"] + 1) * 23 <= count * n_adjectives:  # one more adjective is still within the share
            n_left["adj"] += 1
        n_left["noun"] = count - n_left["adj"]
        share = n_left["adj"]

        expected = []
        for i in farthest_first:
            if n_left[parts[i]]:
                n_left[parts[i]] -= 1
                expected.append(WORDS[i])

        label_set = mine_below(["a name"], BOUNDS, WORDS, FEATURES, parts, count, {})
        assert list(label_set.negatives or ()) == expected
        assert label_set.recipe["adjectives"] == {"negatives": share, "admissible": n_adjectives}
        rounded_up_would_differ += round(count * n_adjectives / 23) != share

    assert rounded_up_would_differ > 3
