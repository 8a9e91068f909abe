"""Nearest neighbours of 1,024 of 50,000 images."""

from importlib.util import find_spec

import torch
from torch import Tensor

from benchmarks.rows import Row, Ways
from ood_lightning.functional.similarity import neighbours, unit

CHUNK = 64  # queries at once in TEMI's code for more than 80,000 images


def rows(small: bool) -> list[Row]:
    n, dim, k, queries = (2000, 32, 10, 128) if small else (50_000, 512, 50, 1024)
    return [
        Row(
            name="neighbours",
            title="nearest neighbours",
            sizes=f"{queries:,} of {n:,} images, D {dim}, k {k}",
            base="bare: the product, in blocks of 8,192 images",
            aim="ours at most 1.1",
            ways=lambda: _ways(n, dim, k, queries),
        )
    ]


def _ways(n: int, dim: int, k: int, queries: int) -> Ways:
    image = clustered(n, dim)
    ways = {
        "bare": lambda: _product(image, queries, 8192),
        "bare, blocks of 2,048": lambda: _product(image, queries, 2048),
        "ours": lambda: neighbours(image, k, rows=range(queries)),
        "published": lambda: _published(image, k, queries),
    }
    if find_spec("sklearn"):
        from sklearn.neighbors import NearestNeighbors

        search = NearestNeighbors(n_neighbors=k + 1, algorithm="brute", n_jobs=1).fit(image.numpy())
        ways["scikit-learn, brute"] = lambda: search.kneighbors(image[:queries].numpy(), return_distance=False)
    if find_spec("faiss"):
        import faiss

        faiss.omp_set_num_threads(1)
        index = faiss.IndexFlatIP(dim)
        index.add(image.numpy())
        ways["faiss, IndexFlatIP"] = lambda: index.search(image[:queries].numpy(), k + 1)
    return ways


def clustered(n: int, dim: int) -> Tensor:
    """Unit vectors around 1,000 centres."""
    draw = torch.Generator().manual_seed(0)
    centres = torch.randn(1000, dim, generator=draw)
    return unit(centres[torch.randint(1000, (n,), generator=draw)] + torch.randn(n, dim, generator=draw))


def _product(image: Tensor, queries: int, block: int) -> None:
    for part in image.split(block):
        image[:queries] @ part.T


def _published(image: Tensor, k: int, queries: int) -> Tensor:
    """As TEMI's code above 80,000 images, but each image hides itself: a chunk against all, and the best of the row."""
    nearest = []
    for start in range(0, queries, CHUNK):
        products = image[start : start + CHUNK] @ image.T
        rows = torch.arange(len(products))
        products[rows, start + rows] = -torch.inf
        nearest.append(products.topk(k, dim=1).indices)
    return torch.cat(nearest)
