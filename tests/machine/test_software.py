"""Versions of Python and torch, and the lists of WordNet: what passes and what fails."""

import tomllib
from importlib.metadata import PackageNotFoundError

import pytest
from source_files import ROOT

from ood_lightning.errors import CorpusError
from ood_lightning.machine import software


def test_the_oldest_releases_are_those_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == ">=" + ".".join(map(str, software.OLDEST_PYTHON))
    assert "torch>=" + ".".join(map(str, software.OLDEST_TORCH)) in project["dependencies"]
    required = {text.split(">")[0].split("[")[0] for text in project["dependencies"]}
    assert set(software.BESIDE_TORCH) <= required


def test_this_python_passes_and_an_old_one_fails():
    assert software.python_line().verdict == "PASS"
    old = software.python_line((3, 10, 4))
    assert old.verdict == "FAIL"
    assert "3.10.4" in old.state
    assert "3.11 or newer" in old.mend


def test_another_system_is_a_warning(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(software.platform, "system", lambda: "Darwin")
    assert software.python_line().verdict == "WARN"


def pretend(monkeypatch: pytest.MonkeyPatch, **versions: str | None) -> None:
    """Let packages have these versions, or be missing; all others have some."""

    def version(name: str) -> str:
        state = versions.get(name, "9.9")
        if state is None:
            raise PackageNotFoundError(name)
        return state

    monkeypatch.setattr(software, "version", version)


@pytest.mark.parametrize(
    ("versions", "verdict", "words"),
    [
        ({"torch": "2.13.1+cu130"}, "PASS", "2.13.1"),
        ({"torch": "3.0.0"}, "PASS", "3.0.0"),
        ({"torch": "2.10.0"}, "FAIL", "too old"),
        ({"torch": None}, "FAIL", "pip install torch torchvision"),
        ({"pyarrow": None, "lightning": None}, "FAIL", "pip install lightning pyarrow"),
    ],
)
def test_torch_and_its_companions(
    versions: dict[str, str | None], verdict: str, words: str, monkeypatch: pytest.MonkeyPatch
):
    pretend(monkeypatch, **versions)
    line = software.torch_line()
    assert line.verdict == verdict
    assert words in line.text


def test_wordnet_is_whole():
    line = software.wordnet_line()
    assert line.verdict == "PASS"
    assert "82,115" in line.state


def test_damaged_lists_of_words_fail(monkeypatch: pytest.MonkeyPatch):
    def damaged(name: str, digest: str) -> str:
        raise CorpusError(f"{name} was changed.")

    monkeypatch.setattr(software, "frozen_text", damaged)
    line = software.wordnet_line()
    assert line.verdict == "FAIL"
    assert "was changed. To mend it: install the package again" in line.text
