"""The benchmark of `predict`: both ways score the same pictures, and what is printed is what they took."""

import re
import subprocess
import sys

import pytest
from source_files import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.long]  # four whole commands


def test_it_prints_seconds_and_memory_of_both_ways():
    command = [sys.executable, "-m", "benchmarks.predict", "--files", "40"]
    printed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    took = r"(.+): \d+\.\d s of the processor, \d+\.\d s of time, [\d,]+ MiB"
    assert [re.fullmatch(took, line)[1] for line in printed] == ["a plain loop", "predict", "its imports"]  # type: ignore[index]
