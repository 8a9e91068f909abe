"""GL-MCM's local term and CLIPN's scores against loops."""

import math

import pytest
import torch
from torch.nn.functional import normalize

from ood_lightning.functional.patches import local_match
from ood_lightning.functional.yes_no import agreeing_to_differ, competing_to_win, yes_probability


def _softmax(row: list[float]) -> list[float]:
    return [math.exp(v) / sum(math.exp(w) for w in row) for v in row]


def test_local_match_equals_a_loop_over_patches():
    draw = torch.Generator().manual_seed(0)
    patches, names = (normalize(torch.randn(*shape, generator=draw), dim=-1) for shape in ((3, 4, 6), (5, 6)))
    wanted = [
        max(max(_softmax([float(p @ n) for n in names.double()])) for p in picture) for picture in patches.double()
    ]
    torch.testing.assert_close(local_match(patches, names), torch.tensor(wanted, dtype=torch.float64))
    more = torch.cat([patches, patches.flip(0)], dim=1)
    assert (local_match(more, names) >= local_match(patches, names)).all()


def test_local_match_refuses_pictures_without_patches():
    with pytest.raises(ValueError, match="at least 1"):
        local_match(torch.empty(2, 0, 6), torch.randn(3, 6))


def test_both_scores_of_clipn_equal_loops():
    draw = torch.Generator().manual_seed(1)
    yes, no = 4 * torch.randn(6, 3, generator=draw), 4 * torch.randn(6, 3, generator=draw)
    for row, (y, n) in enumerate(zip(yes.double().tolist(), no.double().tolist(), strict=True)):
        q = [math.exp(a) / (math.exp(a) + math.exp(b)) for a, b in zip(y, n, strict=True)]
        assert math.isclose(competing_to_win(yes, no)[row], q[y.index(max(y))], rel_tol=1e-12)
        atd = sum(p * share for p, share in zip(_softmax(y), q, strict=True))
        assert math.isclose(agreeing_to_differ(yes, no)[row], atd, rel_tol=1e-12)
        assert min(q) <= agreeing_to_differ(yes, no)[row] <= max(q)


def test_equal_yes_and_no_give_one_half_and_shapes_are_checked():
    logits = torch.randn(4, 3)
    assert competing_to_win(logits, logits).tolist() == [0.5] * 4
    with pytest.raises(ValueError, match="both be"):
        yes_probability(logits, logits[:2])
