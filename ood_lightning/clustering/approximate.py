"""Approximate nearest neighbours of a set too large for all its pairs, by faiss; how many are right is measured."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ood_lightning.errors import SettingsError
from ood_lightning.functional.products import exact_products
from ood_lightning.functional.rows import FeatureRows
from ood_lightning.functional.similarity import neighbours

RECALL = 0.95  # of the true neighbours, on the sample; lists are added until it is reached
SAMPLE = 1000  # images whose true neighbours are searched too
SPARE = 8  # candidates beyond k, whose order is exact
TRAINING_ROWS = 64  # of each list, for its centre
ROWS = 65_536  # images that are brought to float32 at once
QUERIES = 2048  # images that are searched at once; their candidates in half precision are 250 MB at D = 1,024


class ApproximateNeighbours:
    """An inverted file of a set's features: images in the lists of their nearest centres, of which some are searched.

    Holds 2 D + 8 bytes an image, the same in every process. As many lists are searched as a sample of the images needs
    for a recall of 0.95, so the price follows from the data.

    Args:
        image: unit features, shape (n, D).
        k: neighbours of each image.
        seed: of the sample and of the centres.

    Raises:
        SettingsError: faiss is not installed.
    """

    def __init__(self, image: FeatureRows, k: int, seed: int) -> None:
        self.image, self.k = image, k
        draw = torch.Generator().manual_seed(seed)
        n, dim = image.shape
        faiss = _faiss()

        # about as many images in a list as there are lists / 16: both a search's halves cost alike
        n_lists = max(1, min(2 ** round(2 + n.bit_length() / 2), n // TRAINING_ROWS))
        centres = faiss.IndexFlatIP(dim)
        # half precision, as features are stored; no residuals, which would round again
        kind, by_product = faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
        self._index = faiss.IndexIVFScalarQuantizer(centres, dim, n_lists, kind, by_product, False)
        self._index.cp.seed = 1234 + seed

        drawn = torch.randint(n, (min(n, n_lists * TRAINING_ROWS),), generator=draw).sort().values
        self._index.train(image[drawn].float().numpy())
        for block in image.split(ROWS):
            self._index.add(block.float().numpy())

        sample = torch.randperm(n, generator=draw)[:SAMPLE].sort().values
        self.n_sample, self.recall = len(sample), self._calibrate(sample)

    @property
    def lists(self) -> str:
        """How many of its lists a search looks into, in words."""
        return f"{self._index.nprobe:,} of {self._index.nlist:,} lists"

    def __call__(self, rows: range) -> Tensor:
        """Rows of the nearest others that were found of some images, int64, shape (len(rows), k), nearest first.

        Of equal ones among them the lowest comes first. Where lists hold fewer than k, an image is compared with all.
        """
        return torch.cat([self._search(part) for part in torch.arange(rows.start, rows.stop).split(QUERIES)])

    def _search(self, rows: Tensor) -> Tensor:
        queries = self.image[rows].float()
        candidates = torch.from_numpy(self._index.search(queries.numpy(), self.k + 1 + SPARE)[1])  # -1 where none

        candidates = candidates.sort(dim=1).values  # the stable sort below then puts the lowest of equals first
        rows_read, at = candidates.clamp_min(0).unique(return_inverse=True)  # each row is read from its shard once
        exact = exact_products(queries, self.image[rows_read], at)
        exact[(candidates < 0) | (candidates == rows[:, None])] = -torch.inf
        exact, order = exact.sort(dim=1, descending=True, stable=True)
        nearest = candidates.gather(1, order)[:, : self.k]

        too_few = exact[:, self.k - 1] == -torch.inf
        if too_few.any():
            nearest[too_few] = neighbours(self.image, self.k, rows=rows[too_few])
        return nearest

    def _calibrate(self, sample: Tensor) -> float:
        """Search as many lists as it takes; returns the recall on the sample."""
        true = neighbours(self.image, self.k, rows=sample)
        while True:
            close = self._search(sample)
            recall = float((close[:, :, None] == true[:, None]).any(dim=2).float().mean())
            if recall >= RECALL or self._index.nprobe >= self._index.nlist:
                return recall
            self._index.nprobe = min(2 * self._index.nprobe, self._index.nlist)


def check_faiss() -> str:
    """Its version; refuses where it is not installed."""
    return f"version {_faiss().__version__}"


def _faiss() -> Any:
    try:
        import faiss
    except ImportError:
        raise SettingsError(
            "data.neighbour_search approximate needs faiss: pip install 'ood-lightning[faiss]'"
        ) from None
    return faiss
