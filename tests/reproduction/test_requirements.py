"""What an item takes, calculated, and what of it is here."""

from pathlib import Path

import pytest

from ood_lightning.clustering.step import MOST_LOGITS
from ood_lightning.data.cards.offered import offered
from ood_lightning.reproduction.item_files import item_names, read_item
from ood_lightning.reproduction.plan import runs_of
from ood_lightning.reproduction.requirements import (
    BLOCK_LOGITS,
    clustering_bytes,
    cost,
    missing,
    references,
    scoring_bytes,
)


def test_a_group_stands_for_its_sets():
    assert references(["imagenet-val", "group:openood-near", "ninco"]) == ["imagenet-val", "ssb-hard", "ninco"]


def test_table1_by_hand():
    item = read_item("clustermine:table1")
    costs = cost(item, runs_of(item.full, Path("steps"), "item"))
    assert costs.images == 1_281_167 + 50_000 + 5879 + 2000 + 17632 + 10000 + 31802 + 5160
    assert costs.stored == 2 * 1024 * costs.images
    assert 1 < costs.gpu_hours < 5


@pytest.mark.parametrize("name", item_names())
def test_every_item_costs_something_and_lacks_its_sets_here(name: str):
    item = read_item(name)
    costs = cost(item, runs_of(item.full, Path("steps"), name))
    assert costs.gpu_hours > 0
    assert costs.fetched > costs.stored > 0
    assert set(references(item.requires.sets)) <= set(missing(item))
    assert ("weights of qwen14b" in missing(item)) == name.startswith("negrefine:")


def test_what_lies_here_is_not_missing():
    item = read_item("clustermine:table3")
    assert "data/part_of_speech.csv" in missing(item)
    for path in (Path("data/part_of_speech.csv"), Path("shards/ninco/manifest.json")):
        path.parent.mkdir(parents=True)
        path.touch()
    assert not {"data/part_of_speech.csv", "ninco"} & set(missing(item))


def test_the_memory_that_the_paper_states_is_enough_by_calculation():
    assert MOST_LOGITS["accelerator"] == BLOCK_LOGITS
    clustering, scoring = clustering_bytes(1_281_167, 1280, 4000), scoring_bytes(270_000, 1280)
    weights = 2 * 10**6 * next(one.params for one in offered() if one.name == "vit_bigg14_laion2b")
    assert clustering < 10e9
    assert scoring + weights < 16e9

    note = read_item("clustermine:runtime").note
    assert f"{clustering / 1e9:.1f} GB for clustering" in note
    assert f"{scoring / 1e9:.1f} GB for scoring" in note
    assert f"{weights / 1e9:.1f} for the encoder's weights" in note
