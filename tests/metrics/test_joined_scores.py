"""One table from any number of shares: columns and rows as one process would have them, every row once."""

import pytest
import torch
from score_tables import collected
from torch import Tensor

from ood_lightning.errors import ShardCountError
from ood_lightning.metrics import score_collector
from ood_lightning.metrics.joined_scores import JoinedScores

N = 23
TABLE = torch.randn(N, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def joined(*ids: Tensor) -> JoinedScores:
    return JoinedScores("birds", [collected(TABLE[rows], rows) for rows in ids], N, 3)


EVERY = torch.arange(N)
CUTS = {
    "one": [EVERY],
    "halves": [EVERY[:9], EVERY[9:]],
    "dealt in turn": [EVERY[rank::3] for rank in range(3)],
    "one without any": [EVERY[:0], EVERY],
    "in any order": list(torch.randperm(N, generator=torch.Generator().manual_seed(1)).split(8)),
}


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("block", [1, 4, 100])
def test_columns_and_rows_are_those_of_one_process(cut: str, block: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(score_collector, "BLOCK", block)
    scores = joined(*CUTS[cut])
    assert len(scores) == N
    for k in range(3):
        assert torch.equal(scores.column(k), TABLE[:, k])
    for start, stop in ((0, N), (0, 1), (8, 10), (22, 23), (5, 5)):
        assert torch.equal(scores.rows(start, stop), TABLE[start:stop].T)


def test_missing_repeated_and_foreign_rows_are_refused():
    with pytest.raises(ShardCountError, match=r"'birds' \(0 scored twice\) yielded 20 samples.* promises 23"):
        joined(EVERY[:10], EVERY[13:])
    with pytest.raises(ShardCountError, match=r"\(2 scored twice\) yielded 23"):
        joined(EVERY[:10], EVERY[8:])
    with pytest.raises(ShardCountError, match=r"\(1 scored twice\) yielded 22"):
        joined(EVERY[:22], EVERY[:1])
    for foreign in (-1, N):
        with pytest.raises(ShardCountError, match="yielded 22"):
            JoinedScores("birds", [collected(TABLE, torch.tensor([*range(N - 1), foreign]))], N, 3)
    with pytest.raises(ShardCountError, match="yielded 0"):
        JoinedScores("birds", [], N, 3)
