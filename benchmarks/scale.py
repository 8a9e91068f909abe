"""What the stages of a run take for 1.28 million images and more: calculated, not measured. python -m benchmarks.scale.

Every time is work divided by a rate that is assumed below; docs/scale.md shows the tables that this prints.
"""

from collections.abc import Callable
from math import log10, sqrt
from typing import NamedTuple

SETS = {"ImageNet": 1_281_167, "10 x ImageNet": 12_811_670, "1e9 images": 1_000_000_000}
GPUS = (1, 8, 64)
PREFIXES = ("", "k", "M", "G", "T", "P", "E", "Z")

# sizes of ClusterMine's run on ImageNet
DIM, WORDS, NEIGHBOURS = 1024, 80_000, 50
HEADS, CLUSTERS, HIDDEN, BOTTLENECK, BATCH, EPOCHS = 50, 4000, 512, 256, 1024, 100
TOWER_FLOP = 334e9  # ViT-H/14 at 224 pixels, one image
JPEG_BYTES = 110e3
DETECTORS = 10

# assumed rates that a product or a pass attains on one H100, below its peaks of 67, 495, 990 TFLOP/s and 3.35 TB/s
FLOAT32, TF32, BF16, MEMORY = 50e12, 200e12, 300e12, 2e12
SAME_NODE, OTHER_NODE = 300e9, 50e9  # bytes a second of an all-reduce, a GPU
DISK = 2e9  # bytes a second, of all processes together
DECODED = 200  # images a second and core
CORES = 16  # for each GPU
CENTRES, LISTS = 50e9, 12e9  # FLOP a second and core of faiss, measured: nearest centres, and half precision lists
LISTS_SEARCHED = 64  # of each image


class Stage(NamedTuple):
    """One stage.

    Args:
        name: of it.
        work: of n images, in words.
        disk: bytes that n images leave on disk.
        seconds: of n images on g GPUs.
    """

    name: str
    work: Callable[[int], str]
    disk: Callable[[int], float]
    seconds: Callable[[int, int], float]


def embed_s(n: int, gpus: int) -> float:
    """The slowest of decoding, computing and reading: they overlap."""
    return max(n / (DECODED * CORES * gpus), n * TOWER_FLOP / (BF16 * gpus), n * JPEG_BYTES / DISK)


def exact_s(n: int, gpus: int) -> float:
    """All pairs in float32."""
    return 2 * n**2 * DIM / (FLOAT32 * gpus)


def approximate_s(n: int, gpus: int) -> float:
    """Centres of every image, then the lists that are searched; by the cores beside the GPUs."""
    n_lists, cores = 4 * sqrt(n), CORES * gpus
    centres = n * n_lists * 2 * DIM * (gpus + 1) / (CENTRES * cores)  # every process fills its own lists
    return centres + n * LISTS_SEARCHED * (n / n_lists) * 2 * DIM / (LISTS * cores)


def moments_s(n: int, gpus: int) -> float:
    """One pass over the features, at the disk's rate where it is the slower one."""
    return 2 * DIM * n / DISK


def parameters() -> int:
    """Of all heads."""
    return HEADS * (DIM * HIDDEN + HIDDEN * BOTTLENECK + CLUSTERS * BOTTLENECK)


def temi_s(n: int, gpus: int) -> float:
    """Products in TF32, ten passes of the loss over its logits, AdamW and average, and one all-reduce a step."""
    flop = 16 * BATCH * parameters()  # two rows a pair; forward twice, backward twice forward
    loss = 10 * 4 * HEADS * 2 * BATCH * CLUSTERS
    optimiser = 9 * 4 * parameters()
    wire = 0.0 if gpus == 1 else 2 * 4 * parameters() / (SAME_NODE if gpus <= 8 else OTHER_NODE)
    step = flop / TF32 / gpus + loss / MEMORY / gpus + optimiser / MEMORY + wire
    return EPOCHS * (n // BATCH) * step


def words_s(n: int, gpus: int) -> float:
    """Every image with every word in float32; `mine` takes the nearest, `test` the masses of the same products."""
    return 2 * n * WORDS * DIM / (FLOAT32 * gpus)


STAGES = [
    Stage("embed", lambda n: f"{flops(n * TOWER_FLOP)}, {size(n * JPEG_BYTES)} read", lambda n: 2 * DIM * n, embed_s),
    Stage("mean and deviation", lambda n: f"{size(2 * DIM * n)} read", lambda n: 256 * 16 * DIM, moments_s),
    Stage("neighbours, exact", lambda n: flops(2 * n**2 * DIM), lambda n: 4 * NEIGHBOURS * n, exact_s),
    Stage(
        "neighbours, approximate",
        lambda n: f"{size((2 * DIM + 8) * n)} in each process",
        lambda n: 4 * NEIGHBOURS * n,
        approximate_s,
    ),
    Stage(
        "TEMI",
        lambda n: f"{EPOCHS * (n // BATCH):,} steps of {flops(16 * BATCH * parameters())}",
        lambda n: 4 * 4 * parameters(),
        temi_s,
    ),
    Stage("mine", lambda n: flops(2 * n * WORDS * DIM), lambda n: 20 * n, words_s),
    Stage("test", lambda n: flops(2 * n * WORDS * DIM), lambda n: (8 * DETECTORS + 20) * n, words_s),
]


def flops(n: float) -> str:
    return f"{_scaled(n)}FLOP"


def size(n: float) -> str:
    return f"{_scaled(n)}B"


def duration(seconds: float) -> str:
    for limit, length, name in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h"), (730 * 86_400, 86_400, "days")):
        if seconds < limit:
            return f"{seconds / length:,.2g} {name}" if seconds / length < 10 else f"{seconds / length:,.0f} {name}"
    return f"{seconds / (365 * 86_400):,.0f} years"


def _scaled(n: float) -> str:
    power = min(int(log10(max(n, 1)) / 3), len(PREFIXES) - 1)
    return f"{n / 1000**power:.3g} {PREFIXES[power]}"


def tables() -> str:
    """A table for each set, in Markdown."""
    written = []
    for name, n in SETS.items():
        heads = " | ".join(f"{g} GPU{'s' if g > 1 else ''}" for g in GPUS)
        written += [
            f"### {name}: {n:,} images",
            "",
            f"| stage | work | on disk | {heads} |",
            "| --- | --- | ---: | " + " | ".join("---:" for _ in GPUS) + " |",
        ]
        for stage in STAGES:
            times = " | ".join(duration(stage.seconds(n, g)) for g in GPUS)
            written.append(f"| {stage.name} | {stage.work(n)} | {size(stage.disk(n))} | {times} |")
        written.append("")
    return "\n".join(written).strip()


if __name__ == "__main__":
    print(tables())
