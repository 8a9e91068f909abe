"""How time and memory grow: each size doubled three times, the others fixed; exponents from the log-log line.

python -m benchmarks.growth [--small] [--figure docs/growth.svg]

Processor seconds of one thread, the least of three calls, and the most memory above the inputs. An exponent of 1 means
that twice the size takes twice as long. Below 1, something else than this size still costs.
"""

import argparse
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch.nn import functional as F

from benchmarks.compared.temi import ours
from benchmarks.rows import peak_mib, seconds
from ood_lightning.detectors.evidence import LabelFeatures
from ood_lightning.detectors.label_mass import LabelMass
from ood_lightning.functional.similarity import neighbours, unit
from ood_lightning.report.plots import COLOURS, STYLE

N_POSITIVES = 1500


class Growth(NamedTuple):
    """One size that grows.

    Args:
        work: what is computed.
        letter: of the size.
        start: first of its four values, each twice the one before.
        fixed: the other sizes, in words.
        make: the computation at a value.
    """

    work: str
    letter: str
    start: int
    fixed: str
    make: Callable[[int], Callable[[], object]]


def temi_step(n_clusters: int = 1000, n_heads: int = 4, batch: int = 128) -> Callable[[], object]:
    """A training step of width 512."""
    draw = torch.Generator().manual_seed(0)
    image, neighbour = (F.normalize(torch.randn(batch, 512, generator=draw), dim=1) for _ in range(2))
    return ours(n_clusters, n_heads, image, neighbour, slices=2)


def search(n_images: int) -> Callable[[], object]:
    """50 neighbours of each image, width 128."""
    image = unit(torch.randn(n_images, 128, generator=torch.Generator().manual_seed(0)))
    return lambda: neighbours(image, 50)


def masses(n_images: int = 1024, n_words: int = 20_000) -> Callable[[], object]:
    """Equation 1, width 512."""
    draw = torch.Generator().manual_seed(0)
    words, images = (unit(torch.randn(n, 512, generator=draw)) for n in (n_words, n_images))
    n_positives = min(N_POSITIVES, n_words // 2)
    labels, score = LabelFeatures(words[:n_positives], words[n_positives:], 100.0), LabelMass()
    return lambda: [score(block, labels) for block in images.split(1024)]


def growths(small: bool) -> list[Growth]:
    """What is measured."""
    less = 50 if small else 1
    return [
        Growth("TEMI step", "C", 1000 // less, "H 4, B 128, D 512", lambda c: temi_step(n_clusters=c)),
        Growth("TEMI step", "H", 4, f"C {1000 // less:,}, B 128, D 512", lambda h: temi_step(1000 // less, h)),
        Growth("TEMI step", "B", 128, f"C {1000 // less:,}, H 4, D 512", lambda b: temi_step(1000 // less, 4, b)),
        Growth("neighbours", "N", 5000 // less, "k 50, D 128", search),
        Growth("equation 1", "N", 1024 // less, f"V {20_000 // less:,}, D 512", lambda n: masses(n, 20_000 // less)),
        Growth("equation 1", "V", 20_000 // less, f"N {1024 // less:,}, D 512", lambda v: masses(1024 // less, v)),
    ]


def exponent(values: Sequence[float]) -> float:
    """Slope of the line through the logarithms of values at sizes 1, 2, 4, 8, by least squares."""
    places = [-1.5, -0.5, 0.5, 1.5]
    return sum(place * math.log2(value) for place, value in zip(places, values, strict=True)) / 5


def measured(growth: Growth) -> tuple[list[float], list[float]]:
    """Processor seconds and peak MiB at the four values."""
    times, peaks = [], []
    for doubling in range(4):
        work = growth.make(growth.start * 2**doubling)
        work()
        times.append(min(seconds(work, 1)[0] for _ in range(3)))
        peaks.append(peak_mib(work))
    return times, peaks


def line(growth: Growth, times: Sequence[float], peaks: Sequence[float]) -> str:
    """A line of the table."""
    cells = [
        growth.work,
        f"{growth.letter} {growth.start:,} to {8 * growth.start:,}",
        growth.fixed,
        ", ".join(f"{value:.3g}" for value in times),
        f"{exponent(times):.2f}",
        ", ".join(f"{value:,.0f}" for value in peaks),
        f"{exponent([max(peak, 1.0) for peak in peaks]):.2f}",
    ]
    return f"| {' | '.join(cells)} |"


def draw(curves: dict[str, list[float]], path: Path) -> None:
    """Seconds over doublings, both axes logarithmic."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    with matplotlib.rc_context(STYLE):
        figure, axes = pyplot.subplots(figsize=(6, 4), layout="constrained")
        for colour, (name, times) in zip(COLOURS, curves.items(), strict=False):
            axes.loglog([1, 2, 4, 8], times, "o-", color=colour, label=name, base=2)
        axes.set(xlabel="size, in multiples of the first", ylabel="processor seconds, one thread")
        axes.set_xticks([1, 2, 4, 8], ["1", "2", "4", "8"])
        axes.legend()
        figure.savefig(path, format="svg", metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="tiny sizes, to test the benchmark itself")
    parser.add_argument("--figure", type=Path, help="SVG to write")
    options = parser.parse_args()

    torch.set_num_threads(1)
    print("| what | size | fixed | seconds | exponent | peak MiB | exponent |")
    print("| --- | --- | --- | --- | ---: | --- | ---: |")
    curves = {}
    for growth in growths(options.small):
        times, peaks = measured(growth)
        print(line(growth, times, peaks), flush=True)
        curves[f"{growth.work}, {growth.letter}"] = times
    if options.figure:
        draw(curves, options.figure)


if __name__ == "__main__":
    main()
