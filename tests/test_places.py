"""Paths as settings name them."""

from pathlib import Path

import pytest

from ood_lightning.errors import SettingsError, SourceError
from ood_lightning.places import check_out, check_writable, expand, expanded, locate, shipped, shipped_config


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("SCRATCH", "~/fast")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("~/x", "/home/me/x"),
        ("~", "/home/me"),
        ("$HOME/x", "/home/me/x"),
        ("${SCRATCH}/x", "/home/me/fast/x"),
        ("a/~/b", "a/~/b"),
        ("~no-such-person/x", "~no-such-person/x"),  # a file may be called so
        ("5$ off.jpg", "5$ off.jpg"),
        ("cost$5.jpg", "cost$5.jpg"),
    ],
)
def test_home_and_variables_are_put_in(path: str, expected: str):
    assert expanded(path) == expanded(Path(path)) == locate(path) == Path(expected)


def test_a_variable_that_is_not_set_is_named():
    with pytest.raises(SettingsError, match=r"'\$NOWHERE/x' names the variable NOWHERE, which is not set"):
        expanded("$NOWHERE/x")


def test_an_out_file_may_end_in_capitals_and_begin_with_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    check_out("~/x.CSV", ".csv")
    with pytest.raises(SettingsError, match=r"out is '~/x\.txt': expected a name ending in \.csv"):
        check_out("~/x.txt", ".csv")


@pytest.mark.parametrize("path", ["", " "])
def test_an_empty_path_is_not_the_current_folder(path: str):
    with pytest.raises(SettingsError, match=r"a path is empty: .*`\.` is the current one"):
        locate(path)


def test_a_file_is_no_folder_and_a_folder_no_file(tmp_path: Path):
    file = tmp_path / "file"
    file.write_text("")
    check_writable(file, "key", folder=False)
    check_writable(tmp_path / "new" / "folder", "key", folder=True)
    with pytest.raises(SettingsError, match=r"key is .*file', which is a file: expected a folder"):
        check_writable(file, "key", folder=True)
    with pytest.raises(SettingsError, match=r"key is .*, which is a folder: expected a file"):
        check_writable(tmp_path, "key", folder=False)


def test_a_range_of_billions_is_refused_before_it_is_written_out():
    with pytest.raises(SourceError, match=r"'t-\{0\.\.99999999999\}\.tar' names more than 10,000,000 files"):
        expand("t-{0..99999999999}.tar")


@pytest.mark.parametrize("name", ["clustermine.yaml", "configs/clustermine.yaml", "./encoders/../clustermine.yaml"])
def test_a_shipped_config_is_found_by_name(name: str):
    path = shipped_config(name)
    assert path is not None
    assert path.samefile(shipped("configs") / "clustermine.yaml")


@pytest.mark.parametrize(
    "name", ["none.yaml", "encoders", "../pyproject.toml", "/etc/passwd", "", "configs/../../x.yaml"]
)
def test_nothing_else_is_shipped(name: str):
    assert shipped_config(name) is None
