"""Labels against class names and against the folders that images were packed from."""

from pathlib import Path

from checked_sets import run_check, set_of
from shard_files import encoded

from ood_lightning.data.check.labels import label_problems


def labelled(names: list[str], folder: str = "") -> list[list[tuple[str, bytes]]]:
    """One shard with a picture in each class folder, numbered in their order."""
    rows = []
    for label, name in enumerate(names):
        rows += [(f"{folder}{name}/x.cls", str(label).encode()), (f"{folder}{name}/x.png", encoded((label, 0, 0), 1))]
    return [rows]


def test_numbered_folders_sorted_as_text_are_noticed(tmp_path: Path):
    assert run_check(set_of(tmp_path / "numbers", labelled(["0", "1", "2", "10"]))) == (0, [])
    status, problems = run_check(set_of(tmp_path / "text", labelled(["0", "1", "10", "2"])))
    assert status == 1
    assert "folder '10' has label 2. They seem to be sorted as text." in problems[0]["what"]


def test_folders_below_a_shared_one_are_looked_at_too(tmp_path: Path):
    assert run_check(set_of(tmp_path / "sound", labelled(["0", "2", "10"], "v2/"))) == (0, [])
    (problem,) = run_check(set_of(tmp_path / "text", labelled(["0", "10", "2"], "v2/val/")))[1]
    assert "folder '10' has label 1. They seem to be sorted as text." in problem["what"]


def test_class_names_in_another_order_than_the_folders_are_noticed(tmp_path: Path):
    folders = ["001.Black_footed_Albatross", "002.Laysan_Albatross", "003.Auk"]
    names = ("Black footed albatross", "Laysan Albatross", "auk")
    assert run_check(set_of(tmp_path / "sound", labelled(folders), names)) == (0, [])
    assert run_check(set_of(tmp_path / "synsets", labelled(["n2", "n1"]), ("cat", "dog"))) == (0, [])
    status, problems = run_check(set_of(tmp_path / "turned", labelled(folders), (names[1], names[0], names[2])))
    assert status == 1
    assert [(p["kind"], p["where"]) for p in problems] == [("label", "classes")]
    assert problems[0]["what"].endswith(
        "folder '001.Black_footed_Albatross' has label 0, which class_names calls 'Laysan Albatross'; "
        "'Black footed albatross' is 1 there"
    )


def test_folders_whose_images_have_several_labels_are_no_classes():
    folders = [{"10": {0}, "2": {1}}, {"2": {0, 1}}]
    assert label_problems({0: 2, 1: 1}, folders, ()) == []
    assert label_problems({0: 1, 1: 1}, folders[:1], ()) != []
    assert label_problems({0: 2}, [{"10": {0}, "2": {0}}], ()) == [], "one label for two folders"


def test_a_label_below_minus_one_is_wrong_with_and_without_names():
    assert label_problems({-2: 3, 0: 1}, [], ()) == [
        "3 pictures with a label such as -2: expected 0 or more, or -1 for no class"
    ]
    assert label_problems({-2: 1, 5: 2}, [], ("a",)) == [
        "3 pictures with a label such as -2: class_names go from 0 to 0"
    ]
    assert label_problems({-1: 3, 0: 1}, [], ()) == []


def test_a_set_without_any_label_may_know_its_class_names(tmp_path: Path):
    assert label_problems({-1: 5}, [], ["cat", "dog"]) == []
    assert label_problems({-1: 5, 0: 1}, [], ["cat", "dog"]) == [
        "5 pictures without a class, though the set has 2 class names"
    ]
