"""Groups of near ones are the connected components of a graph that a loop walks through."""

import pytest
import torch
from torch import Tensor

from ood_lightning.functional import near_groups as module
from ood_lightning.functional.near_groups import joined_groups, near_groups
from ood_lightning.functional.rows import JoinedRows


def unit(rows: Tensor) -> Tensor:
    return torch.nn.functional.normalize(rows, dim=1)


def by_a_loop(features: Tensor, min_cosine: float) -> list[int]:
    """Of each row the first one that can be reached."""
    cosines = unit(features.double()) @ unit(features.double()).T
    group = list(range(len(features)))
    for start in range(len(features)):
        waiting = [start] if group[start] == start else []
        while waiting:
            row = waiting.pop()
            for other in (cosines[row] >= min_cosine).nonzero()[:, 0].tolist():
                if other > start and group[other] == other:
                    group[other] = start
                    waiting.append(other)
    return group


@pytest.mark.slow
@pytest.mark.parametrize("min_cosine", [0.85, 0.9, 0.97])
@pytest.mark.parametrize("blocks", [(1, 1), (7, 5), (5, 7), (1024, 2048)])
def test_groups_are_those_of_a_walk(monkeypatch: pytest.MonkeyPatch, blocks: tuple[int, int], min_cosine: float):
    monkeypatch.setattr(module, "_ROWS", blocks[0])
    monkeypatch.setattr(module, "_COLUMNS", blocks[1])
    features = unit(torch.randn(60, 4, generator=torch.Generator().manual_seed(0)))
    expected = by_a_loop(features, min_cosine)
    assert len(set(expected)) not in (1, 60)
    assert near_groups(features, min_cosine).tolist() == expected
    assert near_groups(JoinedRows([features[:11], features[11:]]), min_cosine).tolist() == expected


def test_a_chain_is_one_group_in_any_order():
    angles = torch.linspace(0, 3, 200)[torch.randperm(200, generator=torch.Generator().manual_seed(1))]
    chain = torch.stack([angles.cos(), angles.sin()], dim=1)
    assert near_groups(chain, 0.999).tolist() == [0] * 200
    assert near_groups(chain, 0.99999).tolist() == list(range(200))


def test_copies_in_half_precision_are_near_at_a_cosine_of_1():
    row = unit(torch.randn(1, 64, generator=torch.Generator().manual_seed(2))).half()
    assert near_groups(row.expand(50, 64), 1.0).tolist() == [0] * 50


@pytest.mark.parametrize("min_cosine", [0.0, 1.01, 98])
def test_a_cosine_out_of_range_is_refused(min_cosine: float):
    with pytest.raises(ValueError, match=r"expected a number in \(0, 1\]"):
        near_groups(torch.eye(2), min_cosine)


def test_pairs_join_whole_groups():
    group = torch.tensor([0, 0, 2, 2, 4, 5])
    joined = joined_groups(group, torch.tensor([5, 3]), torch.tensor([2, 1]))
    assert joined.tolist() == [0, 0, 0, 0, 4, 0]
    assert group.tolist() == [0, 0, 2, 2, 4, 5]


def test_no_images_are_no_groups():
    assert near_groups(torch.empty(0, 3), 0.9).tolist() == []
