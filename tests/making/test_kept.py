"""What a step found is taken from the run's folder, if it was found on the same inputs."""

from pathlib import Path

import pytest

from ood_lightning.errors import SettingsError
from ood_lightning.making.kept import FILE, Kept


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
