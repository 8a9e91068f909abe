"""`predict` on a folder of many tiny pictures, beside a plain loop that scores them with the same detector.

python -m benchmarks.predict [--files 20000]

The detector is one that `run` makes of the built-in drawings, with all of WordNet's words, so that encoding, decoding
and comparing with words all count. The plain loop opens, prepares and encodes pictures as open_clip's examples do, and
takes one product with all words for each batch. Seconds of the processor and memory are of whole commands, imports
and worker processes included; both run on one thread. Text features are kept in the cache of features.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import NamedTuple

from benchmarks.folders import write_files

OURS = [sys.executable, "-m", "ood_lightning"]
PLAIN = """
import csv
import sys
from pathlib import Path

import torch
from PIL import Image
from torch.nn.functional import normalize

from ood_lightning.detector_folder.load import check_folder, load_folder

folder, detector, out = map(Path, sys.argv[1:])
verified, ready, _ = load_folder(check_folder(detector), torch.device("cpu"))
encoder, scale = verified.encoder, 100.0
positives, negatives = ready.positives.features, ready.negatives.features
texts = torch.cat([positives, negatives])

with out.open("w") as stream, torch.inference_mode():
    writer = csv.writer(stream)
    every = sorted(folder.rglob("*.png"))
    for start in range(0, len(every), 64):
        paths = every[start : start + 64]
        pixels = torch.stack([encoder.transform(Image.open(path).convert("RGB")) for path in paths])
        image = normalize(encoder.encode_columns(pixels, [])["image"], dim=1)
        logits = scale * image @ texts.T
        of_positives, of_negatives = logits[:, : len(positives)], logits[:, len(positives) :]
        scores = (of_positives.logsumexp(1) - of_negatives.logsumexp(1)).tolist()
        concepts, negative = of_positives.topk(3).indices.tolist(), of_negatives.argmax(1).tolist()
        for path, score, words, word in zip(paths, scores, concepts, negative, strict=True):
            names = [ready.texts.positives[index] for index in words]
            writer.writerow([path, score, "; ".join(names), ready.texts.negatives[word]])
"""


class Measured(NamedTuple):
    """What a command took.

    Attributes:
        cpu_s: processor seconds, of its children too.
        wall_s: seconds.
        peak_mib: resident memory of its largest process.
    """

    cpu_s: float
    wall_s: float
    peak_mib: float


def measured(command: list[str]) -> Measured:
    """Run a command in a process of its own."""
    started = perf_counter()
    process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)  # usage of its own children, too
    if status:
        raise SystemExit(f"the command failed: {' '.join(command)}")
    return Measured(usage.ru_utime + usage.ru_stime, perf_counter() - started, usage.ru_maxrss / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=20_000, help="pictures of 16 x 16 pixels")
    options = parser.parse_args()

    with TemporaryDirectory() as folder:
        pictures, run = Path(folder) / "pictures", Path(folder) / "run"
        pictures.mkdir()
        write_files(pictures, options.files)
        drawings = ["builtin:pictograms/shards/id_test", "--encoder", "pictograms", "--clusters", "32"]
        subprocess.run([*OURS, "run", *drawings, "--out", str(run)], check=True, stdout=subprocess.DEVNULL)

        detector, rows = str(run / "detector"), f"{folder}/rows.csv"
        ways = {
            "a plain loop": [sys.executable, "-c", PLAIN, str(pictures), detector, f"{folder}/plain.csv"],
            "predict": [*OURS, "predict", str(pictures), "--detector", detector, "--out", rows],
            "its imports": [*OURS, "predict", str(next(pictures.rglob("*.png"))), "--detector", detector],
        }
        for name, command in ways.items():
            one = measured(command)
            took = f"{one.cpu_s:.1f} s of the processor, {one.wall_s:.1f} s of time, {one.peak_mib:,.0f} MiB"
            print(f"{name}: {took}", flush=True)


if __name__ == "__main__":
    main()
