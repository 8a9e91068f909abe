"""`mine` in-process: a label set again, from stored features."""

from pathlib import Path
from typing import Any

import pytest

from ood_lightning.cli.main import main
from ood_lightning.data.artifacts.label_set import LabelSet

POSMINE = {"class_path": "ood_lightning.label_sets.posmine.PosMine", "init_args": {"min_images": 1}}


def test_mine_asks_the_source_for_its_set(config: Any, sets: Path, capsys: pytest.CaptureFixture[str]):
    settings = config("encoder", "corpus", "prompts", id_shards=str(sets / "train"), source=POSMINE)
    assert main(["mine", *settings, "--out", "l/pos.json"]) == 0
    label_set = LabelSet.read("l/pos.json")
    assert label_set.recipe["method"] == "PosMine"
    assert sum(p.images or 0 for p in label_set.positives) == 48

    first = Path("l/pos.json").read_bytes()
    assert main(["mine", *settings, "--out", "l/again.json"]) == 0  # all from the cache now
    assert Path("l/again.json").read_bytes() == first
    assert "positives: " in capsys.readouterr().out


@pytest.mark.slow
def test_mine_with_the_votes_of_a_fit_elects_what_the_fit_elected(fit_yaml: Path, config: Any, sets: Path):
    assert main(["fit", "--config", str(fit_yaml)]) == 0
    clustermine = {"class_path": "ood_lightning.label_sets.clustermine.ClusterMine"}
    settings = config("encoder", "corpus", "prompts", id_shards=str(sets / "train"), source=clustermine)
    command = ["mine", *settings, "--votes", "run/fit/votes.safetensors"]
    assert main([*command, "--out", "again.json"]) == 0
    fitted, again = LabelSet.read("run/fit/labels.json"), LabelSet.read("again.json")
    assert again.positives == fitted.positives
    assert again.recipe["method"] == fitted.recipe["method"] == "ClusterMine"

    Path("nouns.txt").write_text("snow\nwind\nfire\niron\n")
    nouns = ["--corpus", "ood_lightning.corpora.words.WordFile", "--corpus.init_args.path", "nouns.txt"]
    assert main([*command, *nouns, "--out", "few.json"]) == 0
    assert set(LabelSet.read("few.json").words) <= {"snow", "wind", "fire", "iron"}
