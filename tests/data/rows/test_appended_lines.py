"""Lines are kept whole: what a killed run left unfinished goes before the next line comes."""

from pathlib import Path

import pytest

from ood_lightning.data.rows.appended_lines import AppendedLines
from ood_lightning.errors import SettingsError


def test_an_unfinished_line_is_cut_off_by_the_next_one(tmp_path: Path):
    path = tmp_path / "lines.txt"
    path.write_bytes(b"\xef\xbb\xbfone\ntwo\nthr")
    file = AppendedLines(path, SettingsError)
    assert file.lines == ["one", "two"]
    assert path.read_bytes().endswith(b"thr")

    file.add(["drei", "vier"])
    file.add(["fünf"])
    assert AppendedLines(path, SettingsError).lines == ["one", "two", "drei", "vier", "fünf"]


def test_a_file_need_not_exist_and_a_folder_is_refused(tmp_path: Path):
    file = AppendedLines(tmp_path / "deep" / "lines.txt", SettingsError)
    assert file.lines == []
    file.add(["one"])
    assert (tmp_path / "deep" / "lines.txt").read_text() == "one\n"
    with pytest.raises(SettingsError, match="deep cannot be read: Is a directory"):
        AppendedLines(tmp_path / "deep", SettingsError)
