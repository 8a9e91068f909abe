"""Orders of a stream: every row once, reproducible, in the ratio asked for."""

import pytest
import torch

from ood_lightning.detectors.base import StreamProtocol
from ood_lightning.errors import SettingsError
from ood_lightning.functional.interleave import interleave


@pytest.mark.parametrize("sides", [(1, 1), (7, 3), (3, 40)])
@pytest.mark.parametrize("order", [0, 2])
def test_every_row_comes_once(sides: tuple[int, int], order: int):
    rows = interleave(*sides, seed=0, order=order)
    assert rows.sort().values.tolist() == list(range(sum(sides)))


def test_an_order_depends_on_seed_and_number_alone():
    before = torch.get_rng_state()
    first = StreamProtocol(seed=5).rows(20, 30, 1)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(99)
    assert torch.equal(StreamProtocol(seed=5, orders=9, batch_size=1).rows(20, 30, 1), first)
    others = [
        interleave(20, 30, seed=5, order=0),
        interleave(20, 30, seed=6, order=1),
        interleave(20, 30, seed=6, order=0),
    ]
    assert not any(torch.equal(other, first) for other in others)


def test_both_kinds_are_mixed():
    rows = interleave(500, 500, seed=0, order=0)
    assert 200 < int((rows[:500] < 500).sum()) < 300


@pytest.mark.parametrize(
    ("ratio", "kept"), [(1.0, (10, 10)), (0.1, (3, 30)), (0.5, (10, 20)), (10.0, (10, 1)), (1 / 3, (10, 30))]
)
def test_the_larger_side_is_thinned_to_the_ratio(ratio: float, kept: tuple[int, int]):
    rows = interleave(10, 30, seed=0, order=0, id_per_ood=ratio)
    assert (int((rows < 10).sum()), int((rows >= 10).sum())) == kept
    assert len(rows.unique()) == len(rows)


def test_a_ratio_that_floats_only_approximate_keeps_every_image_it_can():
    rows = interleave(7, 30, seed=0, order=0, id_per_ood=0.28)  # 7 / 0.28 is 24.999... in floats
    assert (int((rows < 7).sum()), int((rows >= 7).sum())) == (7, 25)


def test_what_is_left_out_differs_between_orders():
    drawn = [set(interleave(50, 10, seed=0, order=i, id_per_ood=1.0).tolist()) for i in range(2)]
    assert drawn[0] != drawn[1]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"id_per_ood": 0.0}, "above 0"),
        ({"id_per_ood": 1000.0}, "one side would be empty"),
        ({"order": -1}, "at least one of each"),
    ],
)
def test_what_cannot_be_streamed_is_refused(settings: dict[str, float], words: str):
    with pytest.raises(SettingsError, match=words):
        interleave(5, 5, **{"seed": 0, "order": 0, **settings})  # type: ignore[arg-type]


@pytest.mark.parametrize("settings", [{"orders": 0}, {"batch_size": 0}])
def test_a_protocol_without_orders_or_batches_is_refused(settings: dict[str, int]):
    with pytest.raises(SettingsError, match="is 0, expected 1 to "):
        StreamProtocol(**settings)
