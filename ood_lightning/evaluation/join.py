"""Scores of all processes in the first one: each writes its share, and what is wanted is read from these.

No process but the first sees the others' scores, and the first reads them a column or some rows at a time. One process
alone keeps its scores in memory, and writes nothing here.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from secrets import token_hex

import lightning.pytorch as L

from ood_lightning.data.artifacts.features import EvalSet
from ood_lightning.data.artifacts.score_shares import StoredShare, share_file, write_share
from ood_lightning.metrics.joined_scores import JoinedScores, Share
from ood_lightning.metrics.score_collector import ScoreCollector

FOLDER = ".scores-"  # begins the name of the folder of shares in a run's folder; a token of the run follows


def join_scores(
    trainer: L.Trainer, collectors: Sequence[ScoreCollector], sets: Sequence[EvalSet]
) -> list[JoinedScores]:
    """All scores of each set, in the first process; nothing in the others.

    To be called by all processes of the run.

    Args:
        trainer: of the run; shares lie in its `default_root_dir` until :func:`remove_shares`.
        collectors: this process's scores, one for each set; those of several processes are empty afterwards.
        sets: of the evaluation.

    Raises:
        FeatureError: the first process does not see what another has written.
        ShardCountError: an image was not scored, or twice.
    """
    remove_shares(trainer)
    shares: list[list[Share]]
    if trainer.world_size > 1:
        shares = _through_files(trainer, collectors)
    else:
        shares = [[collector.in_order()] for collector in collectors]
    if not trainer.is_global_zero:
        return []

    return [
        JoinedScores(one.manifest.name, of_set, len(one.features), len(collector.names))
        for one, of_set, collector in zip(sets, shares, collectors, strict=True)
    ]


def remove_shares(trainer: L.Trainer) -> None:
    """Remove the shares that this run, and runs that were stopped, left in the run's folder."""
    if trainer.is_global_zero:
        for folder in Path(trainer.default_root_dir).glob(f"{FOLDER}*"):
            shutil.rmtree(folder, ignore_errors=True)


def _through_files(trainer: L.Trainer, collectors: Sequence[ScoreCollector]) -> list[list[Share]]:
    """Write this process's shares, wait for those of the others, and name all of them."""
    run = trainer.strategy.broadcast(token_hex(8))
    folder = Path(trainer.default_root_dir) / f"{FOLDER}{run}"

    for index, collector in enumerate(collectors):
        share = collector.in_order()
        columns = [share.column(number) for number in range(len(share.names))]
        write_share(share_file(folder, trainer.global_rank, index), share.ids, columns, run)
        collector.clear()
    trainer.strategy.barrier("scores")

    ranks = range(trainer.world_size)
    return [[StoredShare(share_file(folder, rank, index), run) for rank in ranks] for index in range(len(collectors))]
