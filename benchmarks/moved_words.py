"""How long new scores take after two words of a label set moved, beside scoring the whole set anew.

python -m benchmarks.moved_words [--small]

100,000 random features of width 1,024 in half precision against 79,403 words of which 1,000 are positives. One positive
is dropped and one word is added. Scoring anew is measured on some images and multiplied. Half of the images count as ID
and half as OOD for the bootstrap, whose intervals are those of the differences.
"""

import argparse
from time import perf_counter, process_time

import torch
from torch import Tensor

from ood_lightning.functional.bootstrap import resampled
from ood_lightning.functional.moved_words import MovedWords, Texts, moved_scores
from ood_lightning.functional.similarity import log_mass, unit

SCALE = 100.0
ROWS = 1024  # images at once, as of the command


def drawn(n: int, dim: int, seed: int) -> Tensor:
    """Unit vectors (n, dim), float32."""
    return unit(torch.randn(n, dim, generator=torch.Generator().manual_seed(seed)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="a test of itself")
    small = parser.parse_args().small
    n, v, dim, p, whole = (2_000, 3_000, 64, 20, 100) if small else (100_000, 79_403, 1_024, 1_000, 512)

    images = torch.cat([drawn(min(10_000, n - start), dim, start).half() for start in range(0, n, 10_000)])
    words = drawn(v, dim, n)
    moved = MovedWords(
        words[: p + 1],
        torch.arange(p),
        torch.arange(1, p + 1),
        Texts(words[p : p + 1], torch.ones(1)),
        Texts(words[:1], torch.ones(1)),
    )

    some = unit(images[:whole].float())
    start = perf_counter()
    rest = torch.cat([words[:1], words[p + 1 :]])
    anew = log_mass(some, words[1 : p + 1], SCALE) - log_mass(some, rest, SCALE)
    print(f"scoring anew: {(perf_counter() - start) * n / whole:,.1f} s, from {whole} images", flush=True)

    # of the other images the mass of all negatives is that of random words, which is nearly the same for all of them
    exact = log_mass(some, words[:p], SCALE) - log_mass(some, words[p:], SCALE)
    typical = float(log_mass(some, words[p:], SCALE).mean())

    before, after, n_unsure = [], [], 0
    seconds = of_processors = 0.0
    for block in images.split(ROWS):
        features = unit(block.float())
        scores = log_mass(features, words[:p], SCALE) - typical
        scores[: len(exact)] = exact if not before else scores[: len(exact)]

        start, started = perf_counter(), process_time()  # a run has the scores before
        result = moved_scores(features, scores, moved, SCALE)
        masses, unsure = result.negatives
        if unsure.any():
            masses[unsure] = log_mass(features[unsure], rest, SCALE)
        before.append(scores)
        after.append(result.positives - masses)
        seconds, of_processors = seconds + perf_counter() - start, of_processors + process_time() - started
        n_unsure += int(unsure.sum())
    print(f"moving two words: {seconds:,.1f} s ({of_processors:,.1f} s of processors), {n_unsure} images scored whole")
    print(f"largest difference to scoring anew: {float((after[0][:whole] - anew).abs().max()):.1e} nats", flush=True)

    start = perf_counter()
    both = torch.stack([torch.cat(before), torch.cat(after)], dim=1)  # (n, 2)
    resampled(both[: n // 2], [both[n // 2 :]], [0, 1], resamples=20 if small else 1000)
    print(f"intervals from {20 if small else 1000:,} resamples: {perf_counter() - start:,.1f} s", flush=True)


if __name__ == "__main__":
    main()
