"""What a step found is taken from the run's folder, if it was found on the same inputs."""

from pathlib import Path

import pytest

from ood_lightning.errors import SettingsError
from ood_lightning.making.kept import EARLIER, FILE, RESULTS, Kept


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
