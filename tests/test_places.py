"""Paths as settings name them."""

from pathlib import Path

import pytest

from ood_lightning.errors import SettingsError
from ood_lightning.places import check_out, expanded, locate


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
