"""What TEMI needs of a set before it trains: each image's neighbours, and mean and deviation of the features."""

from collections.abc import Callable
from functools import cache
from typing import Literal, TypeAlias

import lightning.pytorch as L
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_info
from torch import Tensor

from ood_lightning.clustering.approximate import ApproximateNeighbours
from ood_lightning.data.artifacts.features import FeatureFolder
from ood_lightning.datamodules.shared_rows import compute_missing
from ood_lightning.errors import SettingsError
from ood_lightning.functional.moments import Moments, moments
from ood_lightning.functional.rows import FeatureRows
from ood_lightning.functional.similarity import neighbours

Search: TypeAlias = Literal["exact", "approximate"]

MOST = 2**31 - 1  # images whose rows are int32
MANY = 10_000_000  # images; at D 1,024 the products of their pairs take an hour at 57 TFLOP/s


def moments_of_set(trainer: L.Trainer, folder: FeatureFolder, image: FeatureRows) -> Moments:
    """Mean and deviation of a set's features (n, D): kept beside them, or computed in shares and read by all ranks."""
    chunks = folder.moments(len(image))

    def compute(rows: range) -> dict[str, Tensor]:
        of_chunk = moments(image, rows)
        return {"mean": of_chunk.mean, "squares": of_chunk.squares}

    compute_missing(trainer, chunks, compute, f"mean and deviation of {folder.manifest.name}")
    return chunks.moments()


def neighbours_of_set(
    trainer: L.Trainer, folder: FeatureFolder, image: FeatureRows, k: int, search: Search, seed: int
) -> FeatureRows:
    """Nearest neighbours of each image of a set: kept beside its features, or found in shares and read by all ranks.

    Args:
        trainer: of the run.
        folder: of the features.
        image: unit features, (n, D).
        k: neighbours of each image.
        search: exact ones are the same for any number of processes.
        seed: of an approximate search.

    Returns:
        Rows of the set, (n, k) int32, nearest first, mapped from their files.

    Raises:
        FeatureError: another process has ended or is too late, or a stored file is damaged.
        SettingsError: there are too many images, or an approximate search lacks faiss.
    """
    if len(image) > MOST:
        raise SettingsError(
            f"set {folder.manifest.name!r} has {len(image):,} images, expected {MOST:,} or fewer: rows are int32"
        )
    name, chunks = folder.manifest.name, folder.neighbours(k, len(image), search)
    if not chunks.missing():
        rank_zero_info(f"reusing the {k} nearest neighbours of {name}")

    @cache
    def searcher() -> Callable[[range], Tensor]:  # prepared when the first chunk asks
        if search == "approximate":
            return _approximate(image, k, seed)
        return _exact(image, k, trainer.strategy.root_device)

    def compute(rows: range) -> dict[str, Tensor]:
        return {"neighbours": searcher()(rows).to(torch.int32)}

    compute_missing(trainer, chunks, compute, f"neighbours of {name}")
    return chunks.neighbours(k)


def with_itself_first(stored: FeatureRows) -> Tensor:
    """Each image before its neighbours, of which the last is left out; (n, k), in memory."""
    itself = torch.arange(len(stored), dtype=torch.int32)[:, None]
    return torch.cat([itself, stored.to("cpu")[:, :-1]], dim=1)


def _exact(image: FeatureRows, k: int, device: torch.device) -> Callable[[range], Tensor]:
    if len(image) > MANY:
        flop = 2.0 * len(image) ** 2 * image.shape[1]
        rank_zero_info(
            f"exact neighbours of {len(image):,} images are {flop / 1e15:,.0f} PFLOP: if that takes too long, set "
            f"data.neighbour_search to approximate"
        )
    held = image if device.type == "cpu" else _on_gpu(image, device)  # mapped, or copied there as a whole
    return lambda rows: neighbours(held, k, rows=rows)


def _on_gpu(image: FeatureRows, device: torch.device) -> Tensor:
    try:
        return image.to(device)
    except torch.OutOfMemoryError:
        size = len(image) * image.shape[1] * image.dtype.itemsize
        raise SettingsError(
            f"the features of {len(image):,} images take {size / 1e9:,.0f} GB, more than the GPU has left: search "
            f"their neighbours with trainer.accelerator cpu, which maps them, or with data.neighbour_search approximate"
        ) from None


def _approximate(image: FeatureRows, k: int, seed: int) -> Callable[[range], Tensor]:
    index = ApproximateNeighbours(image, k, seed)
    rank_zero_info(
        f"approximate neighbours: recall {index.recall:.3f} on {index.n_sample:,} images, {index.lists} searched for "
        f"each image"
    )
    return index
