"""The published numbers: complete, each at one place, and those that items name are there."""

import pytest

from ood_lightning.functional.conventions import CONVENTIONS
from ood_lightning.reproduction.entries import OUR_CONVENTION
from ood_lightning.reproduction.item_files import item_names, read_item
from ood_lightning.reproduction.published import Place, published
from ood_lightning.reproduction.result import paper_of


def test_numbers_that_one_can_look_up_in_the_papers():
    numbers = published()
    assert numbers[Place("clustermine", "1", "ClusterMine", "", "imagenet-val", "mean", "auroc")].value == 94.56
    assert numbers[Place("clustermine", "3", "PosMine", "wordnet_na", "", "", "f1")].value == 51.9
    assert numbers[Place("negrefine", "main", "NegRefine", "", "imagenet-val", "mean", "fpr95")] == (30.12, "stable")


def test_every_fpr95_has_its_rule_and_nothing_else_has_one():
    for key, number in published().items():
        assert bool(number.convention) == key.measure.startswith("fpr95"), key
        assert number.convention in ("", *CONVENTIONS), key
    assert OUR_CONVENTION in CONVENTIONS


@pytest.mark.parametrize("name", item_names())
def test_a_row_that_names_a_published_one_finds_it(name: str):
    item, paper = read_item(name), paper_of(name)
    known = {(key.row, key.variant) for key in published() if key[:2] == (paper, item.published)}
    named = [
        cell
        for panel in item.panels
        for row in panel.rows.values()
        for column in panel.columns.values()
        for cell in [panel.cell.over(row).over(column)]
        if cell.published
    ]
    assert bool(named) == bool(item.published)
    assert {(cell.published, cell.variant) for cell in named} <= known


@pytest.mark.parametrize("name", [name for name in item_names() if read_item(name).published])
def test_every_number_of_an_items_table_has_its_place(name: str):
    """None is left out, unless the item says in its rows that nobody can run it."""
    item, paper = read_item(name), paper_of(name)
    printed = set()
    for panel in item.panels:
        for row in panel.rows.values():
            for column in panel.columns.values():
                cell = panel.cell.over(row).over(column)
                for measure in cell.measure:
                    of_sets = (cell.id_set, cell.ood_set) if measure[:5] in ("auroc", "fpr95") else ("", "")
                    printed.add((cell.published, cell.variant, *of_sets, measure))
    expected = {key[2:] for key in published() if key[:2] == (paper, item.published)}
    assert not expected - printed
