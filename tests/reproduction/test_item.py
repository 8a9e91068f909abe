"""An item's file: what is written wrong is refused by its field."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from ood_lightning.errors import SettingsError
from ood_lightning.reproduction.item import Cell
from ood_lightning.reproduction.item_files import item_names, path_of, read_item

WORK = {"steps": {"test": "test --config configs/eval.yaml --x {k}"}, "grid": {"k": [1, 2]}}
GOOD: dict[str, Any] = {
    "title": "a table",
    "requires": {"sets": ["ninco"], "encoders": ["vit_h14_dfn5b"]},
    "full": WORK,
    "twin": WORK,
    "panels": [
        {
            "cell": {"step": "test", "id_set": "imagenet-val", "measure": ["auroc"]},
            "rows": {"MCM": {"detector": "MCM"}},
            "columns": {"NINCO": {"ood_set": "ninco"}},
        }
    ],
}


def changed(**change: Any) -> str:
    """An item with other fields; returns its path."""
    Path("item.yaml").write_text(yaml.safe_dump({**GOOD, **change}))
    return "item.yaml"


def panel(**change: Any) -> dict[str, Any]:
    return {"panels": [{**GOOD["panels"][0], **change}]}


def test_an_item_of_ones_own_is_read():
    item = read_item(changed())
    assert item.panels[0].rows["MCM"] == Cell(detector="MCM")
    assert item.work("twin").grid == {"k": [1, 2]}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"titel": "x"}, "item.yaml: titel is a key that nothing here knows"),
        ({"title": 5}, "item.yaml: title is 5"),
        ({"requires": {"sets": [], "encoders": ["x"]}}, "item.yaml: requires.sets is"),
        ({"panels": []}, "item.yaml: panels is"),
        (panel(rows={}), "item.yaml: panels.0 has neither rows and over"),
        (panel(over="k"), "item.yaml: panels.0 has both rows and over"),
        (panel(rows={}, over="c"), "item.yaml: panels.0.over is 'c', which full.grid does not have"),
        (panel(cell={"step": "fit", "measure": ["auroc"]}), "item.yaml: panels.0, MCM / NINCO: step is 'fit'"),
        (panel(cell={"step": "test"}), "item.yaml: panels.0, MCM / NINCO has no measure"),
        (panel(draw="pie"), "item.yaml: panels.0.draw is 'pie'"),
        (panel(sort_by="MCM"), "item.yaml: panels.0.sort_by is 'MCM': expected one of NINCO"),
        (
            panel(cell={"step": "test", "measure": ["auroc"], "where": {"c": "1"}}),
            "item.yaml: panels.0, MCM / NINCO names 'c', no setting of full.grid",
        ),
        (
            panel(cell={"step": "test", "measure": ["auroc"], "mean_over": "c"}),
            "item.yaml: panels.0, MCM / NINCO names 'c', no setting of full.grid",
        ),
    ],
)
def test_refusals(change: dict[str, Any], words: str):
    with pytest.raises(SettingsError) as error:
        read_item(changed(**change))
    assert str(error.value).startswith(words)


def test_what_is_no_yaml_is_refused_by_its_line():
    Path("item.yaml").write_text("title: x\nneeds: [")
    with pytest.raises(SettingsError, match=r"item.yaml, line 2 is no YAML"):
        read_item("item.yaml")


def test_an_unknown_item_names_similar_ones():
    with pytest.raises(SettingsError, match="there is no item 'clustermine:tabel1'; did you mean clustermine:table1"):
        read_item("clustermine:tabel1")


def test_tables_come_before_figures_and_both_by_their_numbers():
    names = item_names()
    assert names.index("clustermine:table1") < names.index("clustermine:figure6")
    assert all(path_of(name).is_file() for name in names)


def test_a_later_cell_wins_and_values_of_settings_are_joined():
    panel, row = Cell(step="test", detector="a", where={"k": "1"}), Cell(detector="b", where={"c": "2"})
    assert panel.over(row) == Cell(step="test", detector="b", where={"k": "1", "c": "2"})
