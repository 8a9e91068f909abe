"""The table of docs/watching.md is what the script computes."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.long
def test_the_page_says_what_the_script_computes():
    ended = subprocess.run([sys.executable, "scripts/time_to_alarm.py", "--check"], cwd=ROOT, capture_output=True)
    assert ended.returncode == 0, ended.stderr.decode()
