"""Concepts that grew and shrank: real changes are named, and chance seldom is."""

import numpy as np

from ood_lightning.watching.concepts import changes_in
from ood_lightning.watching.state import Period


def period(name: str, counts: dict[str, int]) -> Period:
    return Period(name, sum(counts.values()), concepts=counts)


def test_what_grew_and_what_shrank_is_named_the_largest_first():
    periods = [
        period("1", {"bear": 100, "cat": 100, "dog": 100}),
        period("2", {"bear": 100, "cat": 100, "dog": 100}),
        period("3", {"bear": 20, "cat": 100, "dog": 90, "fish": 90}),
    ]
    named = changes_in(periods, 2)
    assert named[:4] == ("3", 600, 300, 4)
    assert [(one.concept, one.before, one.after) for one in named.changes] == [("fish", 0, 90), ("bear", 200, 20)]
    assert named.changes[0].difference.low > 0
    assert named.changes[1].difference.high < 0


def test_without_anything_before_or_in_a_period_nothing_is_compared():
    assert changes_in([period("1", {"bear": 3})], 0).changes == []
    assert changes_in([period("1", {"bear": 3}), period("2", {})], 1).changes == []


def test_where_nothing_changed_few_of_many_concepts_are_named():
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.ones(30))
    n_wrong = 0
    for _ in range(60):
        before, after = (dict(enumerate(rng.multinomial(n, shares).tolist())) for n in (500, 200))
        named = [{f"c{i}": n for i, n in counts.items() if n} for counts in (before, after)]
        n_wrong += bool(changes_in([period("1", named[0]), period("2", named[1])], 1).changes)
    assert n_wrong <= 7  # 0.05 of 60 are 3, with the margin of a binomial
