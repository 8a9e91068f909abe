"""The benchmark of moved words runs, and its two ways agree."""

import subprocess
import sys

import pytest
from source_files import ROOT


@pytest.mark.slow
def test_it_prints_seconds_and_a_small_difference():
    command = [sys.executable, "-m", "benchmarks.moved_words", "--small"]
    printed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    assert [line.split(":")[0] for line in printed] == [
        "scoring anew",
        "moving two words",
        "largest difference to scoring anew",
        "intervals from 20 resamples",
    ]
    assert float(printed[2].split()[-2]) < 2e-5
