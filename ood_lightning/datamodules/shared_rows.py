"""Work on the rows of a set that all processes of a run share: each computes some chunks and writes them down."""

from collections.abc import Callable, Mapping

import lightning.pytorch as L
from torch import Tensor

from ood_lightning.data.artifacts.row_chunks import RowChunks
from ood_lightning.errors import FeatureError, first_line
from ood_lightning.progress import bar


def compute_missing(
    trainer: L.Trainer, chunks: RowChunks, compute: Callable[[range], Mapping[str, Tensor]], what: str
) -> None:
    """Compute the chunks that are not there yet; when this returns, all of them are, those of other processes too.

    Processes get equal shares and meet once, at the end. One that is later than the others by more than the strategy's
    timeout (`trainer.strategy.timeout`; 30 minutes) ends the run. What was finished by then is kept, so the next run
    has only the rest to do.

    Args:
        trainer: of the run.
        chunks: to fill.
        compute: tensors of a chunk of rows.
        what: is computed, in words: `neighbours of train`.

    Raises:
        FeatureError: a process has ended or is too late, or does not see what another has written.
    """
    missing = chunks.missing()
    trainer.strategy.barrier(f"before {what}")  # or a slow process would not list what a fast one has just written
    share = missing[trainer.global_rank :: trainer.world_size]

    if share:
        with bar(sum(map(len, share)), what, "img", delay_s=3) as progress_bar:
            for rows in share:
                chunks.write(rows, compute(rows))
                progress_bar.update(len(rows))

    try:
        trainer.strategy.barrier(what)
    except RuntimeError as error:  # in the words of the backend
        raise FeatureError(
            f"{what}: another process has ended, or is later than this one by more than trainer.strategy.timeout. "
            f"Finished parts are kept in {chunks.folder}: run again for the rest ({first_line(error)})"
        ) from None

    if absent := chunks.missing():
        raise FeatureError(
            f"rank {trainer.global_rank} does not see {chunks.file(absent[0])}, which another process has written: "
            f"all ranks need one cache_dir"
        )
    if trainer.is_global_zero:
        chunks.sweep()
