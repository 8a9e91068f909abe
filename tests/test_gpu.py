"""A GPU computes what the processor does, and `benchmarks/gpu.sh` runs where few packages are installed."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from inspect import isabstract
from pathlib import Path
from pkgutil import iter_modules

import pytest
import torch
from source_files import ROOT

from benchmarks.gpu.__main__ import SECTIONS, disagreements, plain
from benchmarks.gpu.agreement import CPU, Check, checks
from benchmarks.gpu.clock import agreement, same_rows, timed
from benchmarks.gpu.offered import SMALL, every_detector, offer, scores
from ood_lightning import detectors
from ood_lightning.detectors.base import Detector, StreamDetector

ABSENT = ("wandb", "nltk", "pyarrow", "pandas", "sklearn", "transformers", "scipy", "matplotlib", "jsonargparse")
ABSENT = (*ABSENT, "webdataset", "rich", "faiss")


@pytest.fixture
def every_check(tmp_path: Path) -> Iterator[tuple[str, Check]]:
    return checks(small=True, device=torch.device("cuda"), folder=tmp_path)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_a_gpu_computes_what_the_processor_does(every_check: Iterator[tuple[str, Check]]):
    agreements = {name: check() for name, check in every_check}
    assert {name: agreed for name, agreed in agreements.items() if not agreed.agrees} == {}


def test_every_detector_is_compared(tmp_path: Path):
    modules = [import_module(f"{detectors.__name__}.{module.name}") for module in iter_modules(detectors.__path__)]
    kinds = {kind for module in modules for kind in vars(module).values() if isinstance(kind, type)}
    kinds = {kind for kind in kinds if issubclass(kind, Detector | StreamDetector)}
    compared = {type(one) for one in every_detector(offer(SMALL, CPU), tmp_path).values()}
    assert compared == {kind for kind in kinds if not isabstract(kind)}


def test_the_scores_that_are_compared_differ_between_images(tmp_path: Path):
    offered = offer(SMALL, CPU)
    for name, detector in every_detector(offered, tmp_path).items():
        of_images = scores(detector, offered)
        assert of_images.shape == (SMALL.images,), name
        assert len(of_images.unique()) > SMALL.images / 2, name


def test_agreement_is_within_the_tolerance_everywhere():
    here = torch.tensor([1.0, 100.0])
    assert agreement(here, here + torch.tensor([0.05, 1.0]), absolute=0.1, relative=0.01).agrees
    refused = agreement(here, here + torch.tensor([0.2, 1.0]), absolute=0.1, relative=0.01)
    assert not refused.agrees
    assert refused.largest_difference == pytest.approx(0.2)
    assert refused.tolerance == pytest.approx(0.11)
    assert not agreement(here, torch.tensor([1.0, torch.nan]), absolute=9.0).agrees
    with pytest.raises(ValueError, match="cannot be compared"):
        agreement(here, here[:1], absolute=1.0)

    rows = torch.tensor([[1, 2], [3, 4]])
    assert same_rows(rows, rows).agrees
    assert same_rows(rows, torch.tensor([[1, 2], [4, 3]]))[:2] == (False, 0.5)


def test_a_report_names_what_differs():
    section = {"a": agreement(torch.ones(1), torch.zeros(1), absolute=0.5), "b": {"c": same_rows(CPU_ROWS, CPU_ROWS)}}
    assert list(disagreements(plain(section))) == ["/a"]


CPU_ROWS = torch.arange(3)


def test_work_is_called_until_it_has_taken_long_enough():
    calls: list[int] = []
    spent = timed(lambda: calls.append(1), CPU, seconds=9.0, max_calls=7)
    assert len(calls) == 2 + 7
    assert spent.peak_mib is None


@pytest.mark.slow
def test_what_the_script_runs_needs_few_packages():
    """None of those that are too large to carry to a machine without a network, or are not needed there."""
    modules = [f"benchmarks.gpu.{name.partition('.')[0]}" for name, _ in SECTIONS.values()]
    code = (
        "import sys, importlib\n"
        f"absent = {set(ABSENT)!r}\n"
        "sys.modules.update(dict.fromkeys(absent))\n"  # an import of them fails, and nothing finds them
        "import importlib.metadata as metadata\n"  # torchmetrics and Lightning look there before they import
        "version = metadata.version\n"
        "def installed(name):\n"
        "    if name in absent: raise metadata.PackageNotFoundError(name)\n"
        "    return version(name)\n"
        "metadata.version = installed\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        "assert 'open_clip' in sys.modules and 'lightning' in sys.modules"
    )

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.long
def test_the_script_runs_on_a_processor_with_small_sizes(tmp_path: Path):
    out = tmp_path / "gpu.json"
    environment = {**os.environ, "PYTHON": sys.executable, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = ["benchmarks/gpu.sh", "--small", "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr

    report = json.loads(out.read_text())
    assert report["device"] == "cpu"
    assert report["small"] is True
    assert report["versions"]["torch"]
    assert set(report["sections"]) == set(SECTIONS)
    assert all("results" in section for section in report["sections"].values())
    assert all(row["s"] > 0 for row in report["sections"]["temi"]["results"].values())
