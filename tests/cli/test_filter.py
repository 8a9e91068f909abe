"""`filter` in-process: a mined set and a stored one, by WordNet and by decisions from a file."""

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml

from ood_lightning.cli.main import main
from ood_lightning.data.artifacts.label_set import LabelSet, Positive
from ood_lightning.filtering.judges.base import Answer, Judge, Question

pytestmark = pytest.mark.slow  # whole commands

JUDGES = "ood_lightning.filtering.judges"
WORDS = ("oslo", "collie", "sofa", "bird's nest", "birds nest", "ox", "timber wolf", "genus ginkgo", "lamp", "beagle")
NAMES = ("dog", "wolf", "lamp")


class Parrot(Judge):
    """Says the same to everything."""

    llm: ClassVar[bool] = True
    remembered: ClassVar[bool] = True

    def __init__(self, yes: bool) -> None:
        self.yes = yes

    @property
    def identity(self) -> str:
        return f"parrot {self.yes}"

    def answer(self, questions: Sequence[Question]) -> Iterator[list[tuple[int, Answer]]]:
        yield [(row, Answer(self.yes, margin=1.0, mass=0.2, tokens=5)) for row in range(len(questions))]


@pytest.fixture
def command(tmp_path: Path, encoder_yaml: dict[str, Any]) -> Any:
    """Writer of a config; returns the command."""
    (tmp_path / "corpus.txt").write_text("\n".join(WORDS + NAMES) + "\n")
    (tmp_path / "names.txt").write_text("\n".join(NAMES) + "\n")
    settings: dict[str, Any] = {
        "encoder": encoder_yaml,
        "label_set": {
            "class_path": "ood_lightning.label_sets.sources.MinedNegatives",
            "init_args": {"names": str(tmp_path / "names.txt"), "count": 9},
        },
        "judge": {"class_path": f"{JUDGES}.wordnet.WordNetJudge"},
        "corpus": {
            "class_path": "ood_lightning.corpora.words.WordFile",
            "init_args": {"path": str(tmp_path / "corpus.txt")},
        },
        "prompts": {"templates": ["a photo of a {}."]},
        "out": "run",
        "cache_dir": "cache",
    }

    def write(**more: Any) -> list[str]:
        path = tmp_path / "filter.yaml"
        path.write_text(yaml.safe_dump({**settings, **more}))
        return ["filter", "--config", str(path)]

    return write


def rows(path: str) -> list[dict[str, str]]:
    with Path(path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def parrot(yes: bool) -> dict[str, Any]:
    return {"class_path": f"{__name__}.Parrot", "init_args": {"yes": yes}}


def test_wordnet_filters_mined_negatives(command: Any, capsys: pytest.CaptureFixture[str]):
    assert main(command()) == 0
    label_set = LabelSet.read("run/labels.json")
    assert not label_set.edited
    assert label_set.words == list(NAMES)
    assert set(label_set.negatives or ()) == {"sofa", "birds nest"}
    assert label_set.supervision == ("id_names",)
    assert label_set.recipe["method"] == "NegLabel + NegFilter"
    assert label_set.recipe["filter"]["judge"] == "WordNet 3.0, cousins 0"

    dropped = {row["original"]: (row["word"], row["reason"], row["name"]) for row in rows("run/dropped.csv")}
    first, second = ("bird's nest", "birds nest") if "birds nest" in dropped else ("birds nest", "bird's nest")
    assert dropped == {
        "oslo": ("oslo", "proper noun", ""), "genus ginkgo": ("genus ginkgo", "proper noun", ""),
        "collie": ("collie", "subcategory", "dog"), "beagle": ("beagle", "subcategory", "dog"),
        "timber wolf": ("timber wolf", "subcategory", "wolf"), "ox": ("ox", "too short", ""),
        second: ("birds nest", "repeated", ""),
    }  # fmt: skip

    report = json.loads(Path("run/report.json").read_text())
    assert report["counts"]["given"] == report["counts"]["kept"] + len(dropped)
    assert report["renamed"] == ({"birds nest": first} if first != "birds nest" else {})
    assert not Path("run/decisions.jsonl").exists()
    assert "2 of 9 negatives kept" in capsys.readouterr().out

    before = Path("run/labels.json").read_bytes()
    assert main(command()) == 0
    assert Path("run/labels.json").read_bytes() == before


def test_the_rest_of_a_corpus_is_filtered_and_originals_may_stay(command: Any, capsys: pytest.CaptureFixture[str]):
    assert main(command()) == 0
    recipe = LabelSet.read("run/labels.json").recipe
    LabelSet((Positive("dog"),), None, {**recipe, "method": "mine", "supervision": ["id_images"]}).write("mined.json")
    assert main(command(label_set="mined.json", out="rest", rules={"cleaned": False})) == 0
    label_set = LabelSet.read("rest/labels.json")
    assert label_set.negatives == ("sofa", "bird's nest", "timber wolf", "lamp", "wolf")
    assert label_set.supervision == ("id_images",)
    assert "5 of 11 negatives kept" in capsys.readouterr().out


def test_a_run_is_repeated_from_its_decisions_and_a_second_judge_is_compared(
    command: Any, capsys: pytest.CaptureFixture[str]
):
    wordnet = {"class_path": f"{JUDGES}.wordnet.WordNetJudge"}
    assert main(command(judge=parrot(False), second_judge=wordnet)) == 0
    label_set = LabelSet.read("run/labels.json")
    assert label_set.supervision == ("id_names", "llm")
    assert {"oslo", "collie", "sofa"} < set(label_set.negatives or ())

    report = json.loads(Path("run/report.json").read_text())
    assert report["second"]["cost"]["judge"] == "WordNet 3.0, cousins 0"
    proper, kinds = report["second"]["agreement"]
    assert (proper["only_second_yes"], proper["both_yes"]) == (2, 0)
    assert kinds["only_second_yes"] == 3
    assert report["cost"]["tokens"] == 5 * report["cost"]["questions"]
    differing = [(row["word"], row["name"], row["first"], row["second"]) for row in rows("run/disagreements.csv")]
    assert ("oslo", "", "no", "yes") in differing
    assert ("collie", "dog", "no", "yes") in differing

    out = capsys.readouterr().out
    assert "second judge: WordNet 3.0" in out
    assert "only 20 % on yes or no" in " ".join(out.split())

    replay = {"class_path": f"{JUDGES}.replay.ReplayJudge", "init_args": {"files": ["run/decisions.jsonl"]}}
    assert main(command(judge=replay, out="again")) == 0
    assert LabelSet.read("again/labels.json").negatives == label_set.negatives
    assert "llm" in LabelSet.read("again/labels.json").supervision
    capsys.readouterr()
    assert main(command(judge=parrot(False))) == 0
    assert f"{report['cost']['questions']} answered before" in capsys.readouterr().out


def test_a_judge_that_drops_everything_leaves_an_empty_set_and_says_so(
    command: Any, capsys: pytest.CaptureFixture[str]
):
    assert main(command(judge=parrot(True))) == 0
    assert LabelSet.read("run/labels.json").negatives == ()
    assert "no negative is left" in capsys.readouterr().out
    assert main(command(label_set="run/labels.json", out="twice")) == 2
    assert "error: the label set has no negatives to filter" in capsys.readouterr().err


def test_mistakes_are_one_message(command: Any, capsys: pytest.CaptureFixture[str]):
    replay = {"class_path": f"{JUDGES}.replay.ReplayJudge", "init_args": {"files": ["none.txt"]}}
    for more, words in (
        ({"judge": replay}, "there is no file of decisions none.txt"),
        ({"rules": {"nearest": 0}}, "nearest is 0"),
        ({"rules": {"neerest": 5}}, "did you mean 'rules.nearest'"),
        ({"label_set": "none.json"}, "there is no label set none.json"),
    ):
        assert main(command(**more)) == 2
        error = capsys.readouterr().err
        assert words in error
        assert "Traceback" not in error


def test_id_features_are_those_of_the_training_pictures(command: Any, sets: Path, capsys: pytest.CaptureFixture[str]):
    assert main(command(id_features=True)) == 2
    assert "name them as id_train_shards" in capsys.readouterr().err
    assert main(command(id_features=True, id_train_shards=str(sets / "id_test"), names_check="warn")) == 0
    recipe = LabelSet.read("run/labels.json").recipe
    assert recipe["filter"]["id_pictures"] == 12
    assert "id_images" in recipe["supervision"]
