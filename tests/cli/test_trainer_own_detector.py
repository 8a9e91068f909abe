"""The page on detectors of one's own: its files and commands, as they stand there, in an empty folder."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "own_detector.md"
SMALLER = [
    '--data.ood_shards={"far":["builtin:pictograms/shards/symbols"]}',
    "--data.covariate_shards=[]",
    "--model.corpus=ood_lightning.corpora.words.WordFile",
    "--model.corpus.path=words.txt",
    "--model.label_sets.neglabel.count=150",
]


@pytest.mark.slow
def test_the_detector_of_the_page_stands_in_the_table():
    text = PAGE.read_text(encoding="utf-8")
    for name, content in re.findall(r'(?ms)^```\w+ title="([\w.]+)"\n(.*?)^```', text):
        Path(name).write_text(content)
    Path("words.txt").write_text("\n".join(f"thing {number}" for number in range(200)))
    (block,) = re.findall(r"(?ms)^```bash\n(.*?)^```", text)
    commands = [line for line in block.splitlines() if line.startswith("ood-lightning ")]
    assert len(commands) == 2

    paths = os.pathsep.join([".", os.environ.get("PYTHONPATH", "")])
    for command in commands:
        words = [sys.executable, "-m", "ood_lightning", *command.split()[1:], *SMALLER]
        done = subprocess.run(words, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    rows = json.loads(Path("runs/margin/results.json").read_text())["results"]
    aurocs = {row["detector"]: row["auroc"] for row in rows if row["ood_set"] == "symbols"}
    assert aurocs.keys() == {"NegLabel", "Margin"}
    assert min(aurocs.values()) > 0.5
