"""The benchmark of starting runs, and its commands end as they should."""

import subprocess
import sys

import pytest
from source_files import ROOT

from benchmarks.start import COMMANDS, OURS

pytestmark = [pytest.mark.slow, pytest.mark.long]


def test_it_prints_a_line_for_each_command_and_each_rule():
    command = [sys.executable, "-m", "benchmarks.start", "--small"]
    printed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    assert len(printed) == len(COMMANDS) + 4
    assert all(line.endswith(" s") for line in printed)


@pytest.mark.parametrize(("name", "status"), [("a misspelt key", 2), ("a config that is not there", 2)])
def test_what_is_timed_is_a_refusal(name: str, status: int):
    assert subprocess.run([*OURS, *COMMANDS[name]], capture_output=True, cwd=ROOT).returncode == status
