"""`labels show` and `labels diff`: what is printed, and that nothing heavy is imported for it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ood_lightning.cli.main import main
from ood_lightning.data.artifacts.label_set import LabelSet, Positive

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


def said(capsys: pytest.CaptureFixture[str], *given: object) -> str:
    assert main(["labels", *map(str, given)]) == 0
    return capsys.readouterr().out


def rows(text: str) -> list[list[str]]:
    """Lines of tables as cells, split where a table has more than one blank."""
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in text.splitlines()]


def test_a_set_is_shown_with_its_recipe_by_falling_support(two: tuple[Path, Path], capsys: pytest.CaptureFixture[str]):
    told = said(capsys, "show", two[0])
    shown = rows(told)
    expected = [["[bold]", "2", "30", "75.0 %"], ["cat", "1", "20", "25.0 %"], ["oak", "1", "10", "50.0 %"]]
    assert [row for row in shown if row in expected] == expected
    assert ["corpus", "words, 22 words, sha256 abababababab"] in shown
    assert ["TEMI", "n_clusters 8, epochs 3"] in shown
    assert ["negatives", "the rest of the corpus"] in shown
    assert "as it was written" in told
    assert "more:" not in told
    told = said(capsys, "show", two[0], "--top", "2")
    assert ["oak", "1", "10", "50.0 %"] not in rows(told)
    assert "and 1 more: --top 3 shows all" in told


def test_an_edited_set_says_so_and_names_its_oddities(two: tuple[Path, Path], capsys: pytest.CaptureFixture[str]):
    content = json.loads((two[0] / "labels.json").read_text())
    content["positives"].append({"label": "CAT"})
    content["recipe"] = {"corpus": "by hand", "seed": None}
    (two[0] / "labels.json").write_text(json.dumps(content))
    told = said(capsys, "show", two[0])
    assert "EDITED since it was written" in told
    assert "1 of the positives come more than once" in told
    assert ["CAT", "-", "-", "-"] in rows(told)


def test_true_names_are_counted_and_marked(two: tuple[Path, Path], capsys: pytest.CaptureFixture[str]):
    Path("names.txt").write_text("Cat\noak\nhorse\nhorse\n")
    told = said(capsys, "show", two[0], "--names", "names.txt")
    assert "2 of 3 are positives: overlap 66.7 %, precision 66.7 %, F1 66.7 %; not mined: horse\n" in told
    assert ["cat", "1", "20", "25.0 %", "*"] in rows(told)
    hops = "0.00 on average to the nearest name (2 at 0; 1 are no nouns); 3 of 3 names are nouns of WordNet 3.0\n"
    assert f"hops         {hops}" in told
    Path("names.txt").write_text("x y z\n")
    told = said(capsys, "show", two[0], "--names", "names.txt")
    assert "hops         none: 0 of 1 names are nouns of WordNet 3.0, and no positive leads to one\n" in told
    assert ["[bold]", "2", "30", "75.0 %"] in rows(told)


def test_a_difference_lists_words_of_one_side_support_and_recipe(
    two: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
):
    told = said(capsys, "diff", *two)
    shown = rows(told)
    assert ["temi.n_clusters", "8", "16"] in shown
    assert ["extra", "-", "[1, 2]"] in shown
    assert not [row for row in shown if row[:1] in (["temi.epochs"], ["method"])]
    assert shown.index(["only in A: 1"]) < shown.index(["[bold]", "2", "30", "75.0 %"])
    assert shown.index(["only in B: 1"]) < shown.index(["elm", "-", "4", "-"])
    assert "in both: 2 words, 1 of them with another support" in told
    assert ["cat", "1 > 3", "20 > 25", "25.0 %"] in shown
    assert "negatives: A the rest of the corpus; B 2 words (rust, dust)" in told
    assert "the two sets are the same" in said(capsys, "diff", two[0], two[0])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["show", "none.json"], "there is no label set none.json"),
        (["show", "a", "--top", "0"], "top is 0: expected 1 or more"),
        (["show", "a", "--names", "none.txt"], "file of names none.txt cannot be read"),
        (["show", "a", "--tpo", "3"], "did you mean 'top'"),
        (["diff", "a"], "1 label sets given: `labels diff A B` compares two"),
        (["shwo", "a"], "did you mean 'labels show'"),
    ],
)
def test_mistakes_are_told_without_a_traceback(
    two: tuple[Path, Path], given: list[str], words: str, capsys: pytest.CaptureFixture[str]
):
    assert main(["labels", *given]) == 2
    assert words in capsys.readouterr().err


def test_the_group_without_a_step_prints_its_steps(capsys: pytest.CaptureFixture[str]):
    assert "labels show" in said(capsys)


def test_the_light_commands_import_no_torch(two: tuple[Path, Path]):
    code = (
        "import sys; from ood_lightning.cli.main import main; "
        "assert main(['labels', 'show', 'a']) == main(['labels', 'diff', 'a', 'b.json']) == 0; "
        "assert not {'torch', 'lightning', 'open_clip'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
