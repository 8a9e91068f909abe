"""Breadth-first search from many sources, against Floyd and Warshall's three loops."""

import math
import random

import pytest

from ood_lightning.functional.overlap import hops


@pytest.mark.parametrize("seed", range(5))
def test_fewest_steps_are_those_of_all_pairs(seed: int):
    draw, n = random.Random(seed), 14
    pairs = [(a, b) for a in range(n) for b in range(a) if draw.random() < 0.12]
    far = [[0.0 if a == b else math.inf for b in range(n)] for a in range(n)]
    links: list[list[int]] = [[] for _ in range(n)]
    for a, b in pairs:
        far[a][b] = far[b][a] = 1.0
        links[a].append(b)
        links[b].append(a)
    for k in range(n):
        far = [[min(far[a][b], far[a][k] + far[k][b]) for b in range(n)] for a in range(n)]
    sources = draw.sample(range(n), 3)
    nearest = [min(far[a][b] for b in sources) for a in range(n)]
    assert hops(links, [*sources, sources[0]]) == [None if d == math.inf else d for d in nearest]
    assert math.inf in nearest or seed


def test_without_sources_nothing_is_reached():
    assert hops([[1], [0]], []) == [None, None]
