"""What `data check` prints and gives to other programs: counts of sets, the first problems of each kind."""

from collections import Counter

import pytest

from ood_lightning.data.check.content import Problem, SetContent, ShardContent
from ood_lightning.data.shards.manifest import Manifest, Shard
from ood_lightning.report.checked import FEW, as_json, print_check


def content(name: str, classes: Counter[int]) -> SetContent:
    """A set of five images in two shards, of which its manifest promises six."""
    manifest = Manifest(name, "ood", (Shard("0.tar", 3, 1), Shard("1.tar", 3, 1)), ("oak", "elm", "ash"))
    whole = ShardContent("0.tar", b"0" * 48, classes)
    return SetContent(manifest, "ood", [whole, ShardContent("1.tar", b"0" * 32)], ["oaks@full", "elms"])


def problems(name: str, kind: str, n: int) -> list[Problem]:
    return [Problem(name, kind, f"0.tar {i}", "cut short") for i in range(n)]


def test_sets_stand_with_their_counts_and_problems(capsys: pytest.CaptureFixture[str]):
    sets = [content("trees", Counter({-1: 2, 0: 1, 2: 2})), content("birds", Counter({-1: 3}))]
    print_check(sets, [*problems("trees", "damage", 2), *problems("trees", "label", 1)])
    printed = capsys.readouterr().out
    rows = [line.split("  ") for line in printed.splitlines()]
    cells = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    assert ["trees", "ood", "2", "5", "6", "2", "3", "oaks@full, elms", "3"] in cells
    assert ["birds", "ood", "2", "5", "6", "0", "3", "oaks@full, elms", "0"] in cells
    assert "trees, damage: 2\n  0.tar 0: cut short\n  0.tar 1: cut short\n" in printed
    assert printed.endswith("\n3 problems\n")


@pytest.mark.parametrize(("n", "more"), [(FEW, ""), (FEW + 2, "and 2 more")])
def test_of_many_problems_the_first_are_listed(n: int, more: str, capsys: pytest.CaptureFixture[str]):
    print_check([content("trees", Counter())], problems("trees", "damage", n))
    printed = capsys.readouterr().out
    assert f"trees, damage: {n}" in printed
    assert printed.count("cut short") == FEW
    assert ("more" in printed) == bool(more)
    assert more in printed


def test_nothing_wrong_is_said(capsys: pytest.CaptureFixture[str]):
    print_check([content("trees", Counter())], [])
    assert capsys.readouterr().out.endswith("no problems found\n")


def test_other_programs_get_the_same():
    trees = content("trees", Counter({-1: 2, 0: 1, 2: 2}))
    report = as_json([trees], problems("trees", "damage", 1))

    assert report == {
        "format": "ood_lightning/check/1",
        "sets": [
            {
                "name": "trees",
                "role": "ood",
                "fingerprint": trees.manifest.fingerprint,
                "shards": 2,
                "samples": 5,
                "promised": 6,
                "classes": 2,
                "class_names": 3,
                "counts_of": ["oaks@full", "elms"],
            }
        ],
        "problems": [{"set": "trees", "kind": "damage", "where": "0.tar 0", "what": "cut short"}],
    }
