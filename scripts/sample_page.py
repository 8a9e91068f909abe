"""Makes the sample pages that docs/report.md leads to, before the documentation is built.

    python scripts/sample_page.py     # writes them anew

A hook of mkdocs: it makes the pages where there are none, three minutes of work on two cores. They are no part of the
repository. One is what `run` leaves of the built-in pictures, the other compares two tests of the demo's label sets.
"""

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).parents[1]
CACHE = str(ROOT / ".cache" / "features")
SHARDS = "builtin:pictograms/shards"
OOD = [f"{SHARDS}/{name}" for name in ("food", "transport", "faces")]
SHARPER = [f"--model.detectors.{name}.init_args.sharpness=10" for name in ("ClusterMine", "PosMine")]

RUN = [["run", f"{SHARDS}/id_test", "--ood", *OOD, "--encoder", "pictograms", "--out", "run", "--cache_dir", CACHE]]
TEST = ["test", "--config", "configs/eval.yaml", "--data.cache_dir", CACHE, "--trainer.default_root_dir"]
COMPARED = [
    ["fit", "--config", "configs/clustermine.yaml", "--data.cache_dir", CACHE],
    [*TEST, "runs/sharpness_1"],
    [*TEST, "runs/sharpness_10", *SHARPER],
    ["report", "runs/sharpness_1", "runs/sharpness_10", "--html", "compared.html"],
]
SAMPLES = {  # a page of the documentation, the commands that make it, and where they leave it
    "sample_report.html": (RUN, "run/report.html"),
    "sample_comparison.html": (COMPARED, "compared.html"),
}


def make(page: Path) -> None:
    """Run a page's commands in a folder of their own, and keep it."""
    commands, left_at = SAMPLES[page.name]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with TemporaryDirectory() as folder:
        for words in commands:
            command = [sys.executable, "-m", "ood_lightning", *words]
            done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError(f"{page.name} could not be made, by {words[0]}: {done.stderr[-2000:]}")
        page.write_bytes((Path(folder) / left_at).read_bytes())


def on_pre_build(config: Any) -> None:
    """Called by mkdocs before it looks for pages."""
    for name in SAMPLES:
        if not (ROOT / "docs" / name).is_file():
            make(ROOT / "docs" / name)


if __name__ == "__main__":
    for name in SAMPLES:
        make(ROOT / "docs" / name)
