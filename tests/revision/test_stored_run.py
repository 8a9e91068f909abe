"""A finished run is read by the settings of its last test."""

from pathlib import Path

import pytest

from ood_lightning.errors import SourceError
from ood_lightning.revision.stored_run import settings_file


def test_the_last_version_counts_and_folders_of_a_person_do_not(tmp_path: Path):
    for name in ("version_9", "version_10", "version_old", "version_1_copy"):
        (tmp_path / "log" / name).mkdir(parents=True)
        (tmp_path / "log" / name / "config.yaml").touch()
    assert settings_file(tmp_path) == tmp_path / "log" / "version_10" / "config.yaml"


def test_without_settings_there_is_nothing_to_read(tmp_path: Path):
    (tmp_path / "log" / "version_old").mkdir(parents=True)
    (tmp_path / "log" / "version_old" / "config.yaml").touch()
    with pytest.raises(SourceError, match="name the folder of a finished `test` run"):
        settings_file(tmp_path)
