"""Equation 1 over a corpus against the bare matrix product of the same sizes.

python -m benchmarks.scoring [--images 2000] [--words 79403] [--dim 512]
"""

import argparse
import resource

import torch
from torch import Tensor

from benchmarks.timing import best_s
from ood_lightning.functional.similarity import log_mass, unit

BLOCK = 1024  # images scored together


def main() -> None:
    """Print times, ratio and the growth of the process's peak memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--words", type=int, default=79403)
    parser.add_argument("--dim", type=int, default=512)
    given = parser.parse_args()
    draw = torch.Generator().manual_seed(0)
    image, text = (unit(torch.randn(n, given.dim, generator=draw)) for n in (given.images, given.words))
    positives, negatives = text[:1500], text[1500:]

    def bare() -> None:
        for block in image.split(BLOCK):
            for part in text.split(8192):
                block @ part.T

    def equation_1() -> Tensor:
        odds = [log_mass(block, positives, 100.0) - log_mass(block, negatives, 100.0) for block in image.split(BLOCK)]
        return torch.cat(odds)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    plain, scored = best_s(bare), best_s(equation_1)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20
    print(f"{given.images} images, {given.words} words, D = {given.dim}, {torch.get_num_threads()} threads")
    print(f"bare product {plain:.2f} s, equation 1 {scored:.2f} s: {scored / plain:.2f} times the product")
    print(f"peak memory over the inputs {grown:.2f} GiB")


if __name__ == "__main__":
    main()
