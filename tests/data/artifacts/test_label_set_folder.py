"""A label set given as its run's folder, and ids where words are expected."""

from pathlib import Path

import pytest
from command_line import write_label_set

from ood_lightning.cli.main import main
from ood_lightning.data.artifacts.label_set import LabelSet, Positive
from ood_lightning.errors import LabelSetError


def test_a_folder_stands_for_its_labels_json(capsys: pytest.CaptureFixture[str]):
    write_label_set(Path("run/labels.json"))
    assert LabelSet.read("run") == LabelSet.read("run/labels.json")
    assert main(["labels", "show", "run"]) == 0
    assert "red" in capsys.readouterr().out


def test_a_folder_without_one_names_the_label_sets_that_it_holds():
    write_label_set(Path("run/labels/names.json"))
    write_label_set(Path("run/posmine.json"))
    Path("run/results.json").write_text("{}")
    with pytest.raises(LabelSetError, match=r"holds no labels\.json: name one of run/labels/names\.json, run/posmine"):
        LabelSet.read("run")
    with pytest.raises(LabelSetError, match="make it with `fit` or `mine`"):
        LabelSet.read(".")


def test_ids_and_one_text_in_two_spellings_are_oddities():
    odd = LabelSet((Positive("n01440764"), Positive("coffee mug"), Positive("Coffee\u00a0mug")), ("tea",), {})
    assert odd.oddities() == [
        "1 of the positives begin with an id and no word, such as 'n01440764'",
        "1 of the positives come more than once and count as often, such as 'coffee mug'",
    ]


def test_agreement_in_percent_is_refused():
    path = write_label_set(Path("labels.json"), positives=(Positive("red", 1, 2, 0.94),))
    assert LabelSet.read(path).positives[0].agreement == 0.94
    Path(path).write_text(Path(path).read_text().replace("0.94", "94"))
    with pytest.raises(LabelSetError, match=r"positives\.0\.agreement is 94: .*: 0\.94, not 94"):
        LabelSet.read(path)
