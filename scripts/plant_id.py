"""How well an audit finds ID pictures that were planted among OOD ones: the table of docs/audit.md.

    python scripts/plant_id.py runs/eval ClusterMine

Half of the ID pictures, drawn at random, stay ID. Of the others so many are planted in each OOD set that they are 1, 5
and 20 % of it. Suspects are the pictures of a set that score above the median ID picture. Printed are means over the
OOD sets and 100 draws, in percent: the AUROC with the planted pictures, without the suspects, and the true one, without
the planted pictures.
"""

import sys
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ood_lightning.data.artifacts.scores import StoredScores
from ood_lightning.functional.roc import auroc
from ood_lightning.revision.suspects import suspected

DRAWS = 100
SHARES = (0.01, 0.05, 0.20)


class Found(NamedTuple):
    """What an audit found of planted pictures; shares in [0, 1].

    Attributes:
        precision: of as many first suspects as were planted.
        recall: planted pictures among all suspects.
        suspects: share of the set.
        planted: AUROC with the planted pictures.
        corrected: without the suspects.
        true: without the planted pictures.
    """

    precision: float
    recall: float
    suspects: float
    planted: float
    corrected: float
    true: float


def find_planted(id_scores: Tensor, planted: Tensor, ood_scores: Tensor) -> Found:
    """Audit an OOD set in which ID pictures were planted.

    Args:
        id_scores: of the pictures that stay ID, shape (n,).
        planted: of those that were planted, shape (k,).
        ood_scores: of the OOD set, shape (m,).
    """
    both = torch.cat([ood_scores, planted])
    is_planted = torch.arange(len(both)) >= len(ood_scores)
    first = both.argsort(descending=True, stable=True)[: len(planted)]
    suspects = suspected(id_scores, both)
    stays = torch.ones(len(both), dtype=torch.bool)
    stays[suspects] = False

    return Found(
        float(is_planted[first].double().mean()),
        float(is_planted[suspects].sum() / len(planted)),
        len(suspects) / len(both),
        float(auroc(id_scores, both)),
        float(auroc(id_scores, both[stays])),
        float(auroc(id_scores, ood_scores)),
    )


def main(run: str, detector: str) -> None:
    """Print a row for each share."""
    stored = StoredScores(Path(run) / "scores.parquet")
    scores, roles = stored.column(detector), stored.texts("role")
    ids = next(scores[name] for name in scores if roles[name][0] == "id")
    oods = [scores[name] for name in scores if roles[name][0] == "ood"]
    draw = torch.Generator().manual_seed(0)

    print("| planted | precision | recall | suspects | AUROC, planted | without suspects | true |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for share in SHARES:
        rows = []
        for _ in range(DRAWS):
            shuffled = ids[torch.randperm(len(ids), generator=draw)]
            stay, pool = shuffled.tensor_split(2)
            for ood in oods:
                k = max(1, round(share / (1 - share) * len(ood)))
                rows.append(find_planted(stay, pool[:k], ood))
        means = torch.tensor(rows, dtype=torch.float64).mean(dim=0)
        print(f"| {100 * share:g} % | {' | '.join(f'{100 * float(value):.2f}' for value in means)} |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
