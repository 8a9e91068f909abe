"""What an item takes, calculated, and what of it is here."""

from pathlib import Path

import pytest

from ood_lightning.reproduction.item_files import item_names, read_item
from ood_lightning.reproduction.plan import runs_of
from ood_lightning.reproduction.requirements import cost, missing, references


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


def test_what_lies_here_is_not_missing():
    item = read_item("clustermine:table3")
    assert "data/part_of_speech.csv" in missing(item)
    for path in (Path("data/part_of_speech.csv"), Path("shards/ninco/manifest.json")):
        path.parent.mkdir(parents=True)
        path.touch()
    assert not {"data/part_of_speech.csv", "ninco"} & set(missing(item))
