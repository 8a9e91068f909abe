"""What a step found is taken from the run's folder, if it was found on the same inputs."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from ood_lightning.cli.yaml_names import TextKeys
from ood_lightning.errors import SettingsError
from ood_lightning.making.kept import EARLIER, FILE, RESULTS, Kept, write_settings
from ood_lightning.page.runs import RUN_SETTINGS


def test_a_step_is_taken_only_where_its_inputs_are_the_same(tmp_path: Path):
    kept = Kept(tmp_path)
    assert kept.get("clusters", {"seed": 0}) is None
    kept.put("clusters", {"seed": 0}, {"n": 3})
    kept.put("votes", {"seed": 0}, True)
    assert Kept(tmp_path).get("clusters", {"seed": 0}) == {"n": 3}
    assert kept.get("clusters", {"seed": 1}) is None
    kept.put("clusters", {"seed": 1}, {"n": 4})
    assert kept.get("clusters", {"seed": 0}) is None
    assert kept.get("votes", {"seed": 0}) is True


def test_a_damaged_file_is_named(tmp_path: Path):
    (tmp_path / FILE).write_text("{")
    with pytest.raises(SettingsError, match="is damaged"):
        Kept(tmp_path).get("clusters", {})


def results(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} & {*RESULTS, EARLIER}


def finished(folder: Path, text: str) -> None:
    """The results of a run."""
    (folder / "detector").mkdir()
    (folder / "detector" / "labels.json").write_text(text)
    (folder / "decisions.csv").write_text(text)


def test_results_of_another_run_are_moved_away_when_a_run_begins(tmp_path: Path):
    kept = Kept(tmp_path)
    assert kept.begin({"seed": 0}) == []
    finished(tmp_path, "first")
    assert Kept(tmp_path).begin({"seed": 0}) == []  # the same one goes on
    assert results(tmp_path) == {"detector", "decisions.csv"}

    assert kept.begin({"seed": 1}) == ["detector", "decisions.csv"]
    assert results(tmp_path) == {EARLIER}
    assert kept.begin({"seed": 2}) == []  # it was stopped before it had any
    assert (tmp_path / EARLIER / "detector" / "labels.json").read_text() == "first"

    finished(tmp_path, "third")
    kept.begin({"seed": 0})
    assert (tmp_path / EARLIER / "detector" / "labels.json").read_text() == "third"
    assert results(tmp_path) == {EARLIER}


def test_results_that_nobody_claims_are_moved_away_too(tmp_path: Path):
    finished(tmp_path, "of an older version")
    assert Kept(tmp_path).begin({}) == ["detector", "decisions.csv"]


def test_what_is_no_part_of_a_run_is_moved_away(tmp_path: Path):
    Kept(tmp_path).begin({})
    (tmp_path / "votes.safetensors").write_text("")
    assert Kept(tmp_path).begin({}, further=("votes.safetensors",)) == ["votes.safetensors"]
    assert (tmp_path / EARLIER / "votes.safetensors").exists()


HEADER = "Cookie: " + "; ".join(f"part{i}=SECRET{i}" for i in range(12))  # longer than a line of YAML


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"folders": ["1e3"], "clusters": 3}, {"folders": ["1e3"], "clusters": 3}),
        (
            {"folders": ["pipe:cat a.tar"], "names": "my-token", "clusters": 3},
            {"folders": ["pipe:cat a.tar"], "names": "my-token", "clusters": 3},
        ),
        (
            {"folders": [f'pipe:curl -H "{HEADER}" ftp://h/a.tar']},
            {"folders": ['pipe:curl -H "Cookie: ***" ftp://h/a.tar']},
        ),
        (
            {"corpus": {"class_path": "a.B", "init_args": {"path": "https://me:secret@host/a"}}},
            {"corpus": {"class_path": "a.B", "init_args": {"path": "https://***@host/a"}}},
        ),
    ],
)
def test_settings_are_read_as_they_were_but_for_secrets(
    settings: dict[str, Any], expected: dict[str, Any], tmp_path: Path
):
    """By the parsers of commands, for which `1e3` is a number."""
    write_settings(tmp_path, settings)
    assert yaml.load((tmp_path / RUN_SETTINGS).read_text(), Loader=TextKeys) == expected
