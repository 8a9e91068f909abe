"""Images against a whole corpus: equation 1, several label sets with their nearest words, top-1 mining, and six sets.

Features are random unit vectors: what a product costs does not depend on what they show.
"""

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from benchmarks.rows import Row, Ways
from ood_lightning.detectors.compared_texts import CorpusProducts
from ood_lightning.functional.similarity import log_mass, top_k, unit

BLOCK = 4096  # words of a product; larger ones made the bare product slower
SCALE = 100.0
N_MINED = 1500


def rows(small: bool) -> list[Row]:
    """Equation 1 at three sizes, `test`, top-1 mining."""
    images = 64 if small else 1024

    def sized(words: int) -> int:
        return words // 50 if small else words

    def row(name: str, title: str, dim: int, words: int, aim: str, ways: Callable[[Tensor, Tensor], Ways]) -> Row:
        words = sized(words)
        return Row(
            name,
            title,
            f"D {dim:,}, {images:,} images, {words:,} words",
            "the bare product of images and words, in blocks of 4,096 words",
            aim,
            lambda: ways(_random(images, dim, 1), _random(words, dim, 2)),
            repeats=5 if words * dim < 1e8 else 3,
        )

    return [
        row("equation-1-512", "equation 1", 512, 79_403, "ours at most 1.3 times bare", equation_1),
        row("equation-1-1024", "equation 1", 1024, 79_403, "ours at most 1.3 times bare", equation_1),
        row("equation-1-1280", "equation 1", 1280, 270_000, "ours at most 1.3 times bare", equation_1),
        row("test-one-set", "`test`, one label set", 512, 79_403, "none", lambda x, t: in_test(x, t, 1)),
        row(
            "test-two-sets",
            "`test` with ClusterMine, PosMine and nearest words",
            512,
            79_403,
            "ours at most 1.35 times bare",
            lambda x, t: in_test(x, t, 2),
        ),
        row("test-six-sets", "`test`, six label sets", 512, 79_403, "none", lambda x, t: in_test(x, t, 6)),
        Row(
            "test-six-sets-1280",
            "`test`, six label sets at the size and batch of ClusterMine's paper",
            f"D 1,280, {4 * images:,} images, {sized(270_000):,} words",
            "the bare product of images and words, in blocks of 4,096 words",
            "ours at most 1.35 times bare",
            lambda: six_sets(_random(4 * images, 1280, 1), _random(sized(270_000), 1280, 2)),
            repeats=1,
        ),
        row("top-1-mining", "top-1 mining", 512, 79_403, "ours at most 1.1 times bare", top_1),
    ]


def _random(n: int, dim: int, seed: int) -> Tensor:
    return unit(torch.randn(n, dim, generator=torch.Generator().manual_seed(seed)))


def bare(images: Tensor, words: Tensor, block: int = BLOCK) -> None:
    """The product alone."""
    for part in words.split(block):
        images @ part.T


def equation_1(images: Tensor, words: Tensor) -> Ways:
    """Log-odds of the mined words against the rest of the corpus."""
    n_mined = min(N_MINED, len(words) // 3)
    mined = torch.randperm(len(words), generator=torch.Generator().manual_seed(3))[:n_mined]
    is_mined = torch.zeros(len(words), dtype=torch.bool).index_fill_(0, mined, True)
    corpus = CorpusProducts(words)
    sides = [corpus.rows(mined).log_mass(SCALE), corpus.rows((~is_mined).nonzero()[:, 0]).log_mass(SCALE)]
    positives, negatives = words[is_mined], words[~is_mined]

    def ours() -> Tensor:
        batch = images.clone()  # a batch comes as a tensor of its own
        return sides[0](batch) - sides[1](batch)

    def two_matrices() -> Tensor:
        return log_mass(images, positives, SCALE) - log_mass(images, negatives, SCALE)

    def one_float32_matrix() -> Tensor:
        """As published: all logits at once, and their softmax."""
        return (SCALE * images @ words.T).softmax(dim=1)[:, mined].sum(dim=1)

    return {
        "bare": lambda: bare(images, words),
        "ours": ours,
        "ours, each side by itself": two_matrices,
        "published: softmax of one float32 matrix": one_float32_matrix,
    }


def in_test(images: Tensor, words: Tensor, n_sets: int) -> Ways:
    """What `test` asks of a block: the log-odds of every label set, and the nearest words of one."""
    n_mined = min(N_MINED, len(words) // 3)
    draw = torch.Generator().manual_seed(3)
    mined = [torch.randperm(len(words), generator=draw)[:n_mined] for _ in range(n_sets)]
    rest = [torch.ones(len(words), dtype=torch.bool).index_fill_(0, rows, False).nonzero()[:, 0] for rows in mined]

    corpus = CorpusProducts(words)
    sides = [(corpus.rows(one), corpus.rows(other)) for one, other in zip(mined, rest, strict=True)]
    masses = [[side.log_mass(SCALE) for side in both] for both in sides]
    nearest = [side.nearest() for side in sides[0]]

    def ours() -> list[Tensor]:
        batch = images.clone()
        scores = [positives(batch) - negatives(batch) for positives, negatives in masses]
        return scores + [of_side(batch) for of_side in nearest]

    @cache
    def features() -> list[tuple[Tensor, Tensor]]:
        """Copies of each side, made in the first turn, which is not measured."""
        return [(words[one], words[other]) for one, other in zip(mined, rest, strict=True)]

    def by_itself() -> list[Tensor]:
        scores = [log_mass(images, one, SCALE) - log_mass(images, other, SCALE) for one, other in features()]
        return scores + [top_k(images, side, 1).indices for side in features()[0]]

    return {
        "bare": lambda: bare(images, words),
        "bare, in blocks of 8,192 words": lambda: bare(images, words, 8192),
        "ours": ours,
        "each set by itself": by_itself,
    }


def six_sets(images: Tensor, words: Tensor) -> Ways:
    """Without the way that takes six times as long and as much memory."""
    return {name: way for name, way in in_test(images, words, 6).items() if name in ("bare", "ours")}


def top_1(images: Tensor, words: Tensor) -> Ways:
    """The nearest word of each image."""

    def product_and_maximum() -> None:
        for part in words.split(BLOCK):
            (images @ part.T).max(dim=1)

    return {
        "bare": lambda: bare(images, words),
        "ours": lambda: top_k(images, words, 1),
        "product and maximum in float32": product_and_maximum,
    }
