import math

import pytest
import torch

from ood_lightning.errors import NotFiniteScoresError
from ood_lightning.metrics import score_collector
from ood_lightning.metrics.score_collector import ScoreCollector


@pytest.mark.parametrize("block", [1, 2, 100])
def test_scores_come_back_in_order_of_their_ids_unrounded(block: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(score_collector, "BLOCK", block)
    collector = ScoreCollector(["a", "b"])
    collector.update(torch.tensor([[3.0, 30.0], [1.0, 10.0]]), torch.tensor([3, 1]))
    collector.update(torch.tensor([[0.1, 20.0]], dtype=torch.float64), torch.tensor([2], dtype=torch.int32))
    assert collector.ids.tolist() == [3, 1, 2]
    assert len(collector) == 3

    ordered = collector.in_order()
    assert ordered.ids.tolist() == [1, 2, 3]
    assert [ordered.column(k).tolist() for k in range(2)] == [[1.0, 0.1, 3.0], [10.0, 20.0, 30.0]]
    assert (ordered.ids.dtype, ordered.column(0).dtype) == (torch.int64, torch.float64)
    assert ordered.in_order() is ordered


@pytest.mark.parametrize("block", [1, 3, 4, 7, 100])
def test_any_rows_of_a_column_are_read_across_blocks(block: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(score_collector, "BLOCK", block)
    collector = ScoreCollector(["a", "b"])
    for ids in torch.arange(14).split(5):
        collector.update(torch.stack([ids, -ids], dim=1).float(), ids)
    for start in range(15):
        for stop in range(start, 15):
            assert collector.column(1, start, stop).tolist() == [-float(i) for i in range(start, stop)]


def test_equal_ids_stay_side_by_side_in_the_order_they_came():
    collector = ScoreCollector(["a"])
    collector.update(torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([5, 4, 5]))
    collector.update(torch.tensor([[9.0]]), torch.tensor([5]))
    ordered = collector.in_order()
    assert ordered.ids.tolist() == [4, 5, 5, 5]
    assert ordered.column(0).tolist() == [2.0, 1.0, 3.0, 9.0]


def test_no_image_has_ids_and_columns_of_no_rows():
    ordered = ScoreCollector(["a"]).in_order()
    assert (len(ordered), ordered.ids.shape, ordered.column(0).shape) == (0, (0,), (0,))
    assert (ordered.ids.dtype, ordered.column(0).dtype) == (torch.int64, torch.float64)


def test_cleared_it_begins_anew():
    collector = ScoreCollector(["a", "b"])
    collector.update(torch.ones(3, 2), torch.arange(3))
    collector.clear()
    assert len(collector) == 0
    collector.update(torch.zeros(1, 2), torch.tensor([9]))
    assert collector.ids.tolist() == [9]
    assert collector.column(1).tolist() == [0.0]


def test_a_batch_may_change_afterwards():
    scores, ids = torch.ones(2, 1, dtype=torch.float64), torch.arange(2)
    collector = ScoreCollector(["a"])
    collector.update(scores, ids)
    scores.zero_(), ids.zero_()
    assert collector.column(0).tolist() == [1.0, 1.0]
    assert collector.ids.tolist() == [0, 1]


def test_large_scores_and_large_ids_survive():
    collector = ScoreCollector(["energy"])
    collector.update(torch.tensor([[91.0], [30.0]]), torch.tensor([2**40 + 1, 2**40]))
    ordered = collector.in_order()
    assert ordered.column(0).tolist() == [30.0, 91.0]
    assert ordered.ids.tolist() == [2**40, 2**40 + 1]


def test_a_score_that_is_not_finite_names_detector_and_image():
    collector = ScoreCollector(["mcm", "energy"])
    scores = torch.tensor([[0.0, 1.0], [0.0, math.nan], [0.0, -math.inf]])
    with pytest.raises(NotFiniteScoresError, match=r"'energy' gave NaN or infinity for 2 of 3 images .* id 17"):
        collector.update(scores, torch.tensor([4, 17, 3]))


def test_wrong_shapes_types_and_names_are_refused():
    collector = ScoreCollector(["mcm", "energy"])
    with pytest.raises(ValueError, match=r"must be \(B, 2\) and \(B,\), one column for each of mcm, energy"):
        collector.update(torch.ones(3), torch.arange(3))
    with pytest.raises(ValueError, match=r"must be \(B, 2\)"):
        collector.update(torch.ones(3, 2), torch.arange(2))
    with pytest.raises(ValueError, match="expected integers"):
        collector.update(torch.ones(2, 2), torch.ones(2))
    for names in ([], ["mcm", "mcm"]):
        with pytest.raises(ValueError, match="each named once"):
            ScoreCollector(names)
