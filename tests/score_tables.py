"""Tables of scores for tests: as a run makes them, and as its file holds them."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ood_lightning.data.artifacts.scores import SetScores, StoredScores
from ood_lightning.metrics.joined_scores import JoinedScores
from ood_lightning.metrics.score_collector import ScoreCollector


def collected(columns: Tensor, ids: Tensor) -> ScoreCollector:
    """A process's share, (n, K), of rows in any order."""
    collector = ScoreCollector([str(k) for k in range(columns.shape[1])])
    collector.update(columns, ids)
    return collector.in_order()


def set_scores(
    name: str,
    role: str,
    keys: Sequence[str],
    scores: Tensor,
    texts: tuple[Sequence[str], Sequence[str]] = (["dog"], ["é"]),
) -> SetScores:
    """Scores (n, K) of a set; each image is nearest to the first of both texts, the last one to none."""
    n = len(keys)
    nearest = torch.zeros(n, 2, dtype=torch.float64)
    nearest[-1] = -1
    columns = torch.cat([scores, nearest], dim=1)
    table = JoinedScores(name, [collected(columns, torch.arange(n))], n, columns.shape[1])
    return SetScores(name, role, keys, torch.arange(n), table, texts)


def stored_table(path: Path) -> tuple[list[str], dict[str, Tensor]]:
    """Detectors of a file, and (n, K) scores of each set."""
    stored = StoredScores(path)
    columns = [stored.column(detector) for detector in stored.detectors]
    return stored.detectors, {name: torch.stack([column[name] for column in columns], dim=1) for name in columns[0]}
