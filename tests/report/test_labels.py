"""`labels show` and `labels diff`: what is printed, and that nothing heavy is imported for it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ood_lightning.cli.main import main
from ood_lightning.data.artifacts.label_set import LabelSet, Positive
from ood_lightning.report.labels import by_support, print_difference, summary

RECIPE = {
    "method": "ClusterMine",
    "corpus": {"name": "words", "words": 22, "sha256": "ab" * 32},
    "prompts": {"templates": ["{}", "a photo of a {}."], "order": "normalise-then-mean"},
    "encoder": {"name": "tiny", "fingerprint": "f00"},
    "temi": {"n_clusters": 8, "epochs": 3},
    "seed": 0,
    "supervision": ["id_images"],
}


@pytest.fixture
def two() -> tuple[Path, Path]:
    a = (Positive("oak", 1, 10, 0.5), Positive("[bold]", 2, 30, 0.75), Positive("cat", 1, 20, 0.25))
    b = (Positive("cat", 3, 25, 0.25), Positive("Oak", 1, 10, 0.5), Positive("elm", images=4))
    LabelSet(a, None, RECIPE).write("a/labels.json")
    other = {**RECIPE, "temi": {"n_clusters": 16, "epochs": 3}, "extra": [1, 2]}
    LabelSet(b, ("rust", "dust"), other).write("b.json")
    return Path("a"), Path("b.json")


def said(capsys: pytest.CaptureFixture[str], *argv: object) -> str:
    assert main(["labels", *map(str, argv)]) == 0
    return capsys.readouterr().out


def rows(text: str) -> list[list[str]]:
    """Lines of tables as cells, split where a table has more than one blank."""
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in text.splitlines()]


def test_a_set_is_shown_with_its_recipe_by_falling_support(two: tuple[Path, Path], capsys: pytest.CaptureFixture[str]):
    printed = said(capsys, "show", two[0])
    lines = rows(printed)
    expected = [["[bold]", "2", "30", "75.0 %"], ["cat", "1", "20", "25.0 %"], ["oak", "1", "10", "50.0 %"]]
    assert [row for row in lines if row in expected] == expected
    assert ["corpus", "words, 22 words, sha256 abababababab"] in lines
    assert ["TEMI", "n_clusters 8, epochs 3"] in lines
    assert ["negatives", "the rest of the corpus"] in lines
    assert "as it was written" in printed
    assert "more:" not in printed

    printed = said(capsys, "show", two[0], "--top", "2")
    assert ["oak", "1", "10", "50.0 %"] not in rows(printed)
    assert "and 1 more: --top 3 shows all" in printed


def test_an_edited_set_says_so_and_names_its_oddities(two: tuple[Path, Path], capsys: pytest.CaptureFixture[str]):
    content = json.loads((two[0] / "labels.json").read_text())
    content["positives"].append({"label": "CAT"})
    content["recipe"] = {"corpus": {"name": "by hand"}, "seed": None}
    (two[0] / "labels.json").write_text(json.dumps(content))
    printed = said(capsys, "show", two[0])
    assert "EDITED since it was written" in printed
    assert "1 of the positives come more than once" in printed
    assert ["CAT", "-", "-", "-"] in rows(printed)


def test_true_names_are_counted_and_marked(two: tuple[Path, Path], capsys: pytest.CaptureFixture[str]):
    Path("names.txt").write_text("Cat\noak\nhorse\nhorse\n")
    printed = said(capsys, "show", two[0], "--names", "names.txt")
    assert "2 of 3 are positives: overlap 66.7 %, precision 66.7 %, F1 66.7 %; not mined: horse\n" in printed
    assert ["cat", "1", "20", "25.0 %", "*"] in rows(printed)
    hops = "0.00 on average to the nearest name (2 at 0; 1 are no nouns); 3 of 3 names are nouns of WordNet 3.0\n"
    assert f"hops         {hops}" in printed

    Path("names.txt").write_text("x y z\n")
    printed = said(capsys, "show", two[0], "--names", "names.txt")
    assert "hops         none: 0 of 1 names are nouns of WordNet 3.0, and no positive leads to one\n" in printed
    assert ["[bold]", "2", "30", "75.0 %"] in rows(printed)


def test_a_difference_lists_words_of_one_side_support_and_recipe(
    two: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
):
    printed = said(capsys, "diff", *two)
    lines = rows(printed)
    assert ["temi.n_clusters", "8", "16"] in lines
    assert ["extra", "-", "[1, 2]"] in lines
    assert not [row for row in lines if row[:1] in (["temi.epochs"], ["method"])]
    assert lines.index(["only in A: 1"]) < lines.index(["[bold]", "2", "30", "75.0 %"])
    assert lines.index(["only in B: 1"]) < lines.index(["elm", "-", "4", "-"])
    assert "in both: 2 words, 1 of them with another support" in printed
    assert ["cat", "1 > 3", "20 > 25", "25.0 %"] in lines
    assert "negatives: A the rest of the corpus; B 2 words (rust, dust)" in printed
    assert "the two sets are the same" in said(capsys, "diff", two[0], two[0])


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["show", "none.json"], "there is no label set none.json"),
        (["show", "a", "--top", "0"], "top is 0: expected 1 or more"),
        (["show", "a", "--names", "none.txt"], "file of names none.txt does not exist"),
        (["show", "a", "--tpo", "3"], "did you mean 'top'"),
        (["diff", "a"], "1 label sets given: `labels diff A B` compares two"),
        (["shwo", "a"], "did you mean 'labels show'"),
    ],
)
def test_mistakes_are_told_without_a_traceback(
    two: tuple[Path, Path], argv: list[str], words: str, capsys: pytest.CaptureFixture[str]
):
    assert main(["labels", *argv]) == 2
    assert words in capsys.readouterr().err


def test_the_group_without_a_step_prints_its_steps(capsys: pytest.CaptureFixture[str]):
    assert "labels show" in said(capsys)


def test_the_light_commands_import_no_torch(two: tuple[Path, Path]):
    code = (
        "import sys; from ood_lightning.cli.main import main; "
        "assert main(['labels', 'show', 'a']) == main(['labels', 'diff', 'a', 'b.json']) == 0; "
        "assert not {'torch', 'lightning', 'open_clip'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_positives_stand_by_images_then_clusters_then_as_they_were():
    positives = [
        Positive("few images", 9, 1),
        Positive("few clusters", 1, 5),
        Positive("unknown"),
        Positive("first of equals", 2, 5),
        Positive("second of equals", 2, 5),
    ]
    order = ["first of equals", "second of equals", "few clusters", "few images", "unknown"]
    assert [positive.label for positive in by_support(positives)] == order


def test_long_values_are_cut_and_long_lists_end_in_dots():
    recipe = {**RECIPE, "method": "m" * 61, "prompts": {"order": "o" * 60}}
    lines = summary(LabelSet((Positive("oak"),), tuple("abcdefghijkl"), recipe))
    assert lines["method"] == "m" * 57 + "..."
    assert lines["prompts"] == "o" * 60
    assert lines["negatives"] == "12 words (a, b, c, d, e, f, g, h, i, j, k, l)"
    lines = summary(LabelSet((Positive("oak"),), tuple("abcdefghijklm"), recipe))
    assert lines["negatives"] == "13 words (a, b, c, d, e, f, g, h, i, j, k, l, ...)"
    assert lines["supervision"] == "id_images"
    assert "versions" not in lines


def test_words_whose_support_changed_most_come_first(capsys: pytest.CaptureFixture[str]):
    a = LabelSet((Positive("oak", 1, 10), Positive("cat", 1, 20), Positive("elm", 1, 30)), None, RECIPE)
    b = LabelSet((Positive("oak", 1, 12), Positive("cat", 1, 5), Positive("elm", 1, 31)), None, RECIPE)
    print_difference(("a", "b"), (a, b), top=2)
    printed = capsys.readouterr().out
    assert "support, A > B, by change of images, the first 2" in " ".join(printed.split())  # long titles are wrapped
    assert [row[0] for row in rows(printed) if len(row) == 4 and ">" in row[2]] == ["cat", "oak"]
