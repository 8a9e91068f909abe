"""The command `data check`: what it refuses before it reads, and how sets are named."""

import shutil
from pathlib import Path

import pytest
from checked_sets import run_check
from shard_files import MakeSet

from ood_lightning.cli.main import main


@pytest.fixture
def whole(tmp_path: Path, make_set: MakeSet) -> Path:
    return make_set(tmp_path, "whole", colours=("red", "green"), shards=(4, 3))


def test_a_report_that_cannot_be_written_is_refused_before_anything_is_read(
    whole: Path, capsys: pytest.CaptureFixture[str]
):
    Path("folder.json").mkdir()
    for out, words in (("folder.json", "is a folder"), (f"{whole}/manifest.json/r.json", "it is a file")):
        assert main(["data", "check", str(whole), f"--out={out}"]) == 2
        said = capsys.readouterr()
        assert words in said.err
        assert "check:" not in said.err
        assert not said.out


def test_what_the_machine_denies_is_said_without_a_traceback(
    whole: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def denied(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied", "manifest.json")

    monkeypatch.setattr("ood_lightning.data.shards.manifest.Path.read_bytes", denied)
    assert main(["data", "check", str(whole)]) == 2
    assert capsys.readouterr().err == "error: manifest.json: Permission denied\n"


def test_sets_of_one_name_are_told_apart_and_one_set_is_not_taken_twice(
    tmp_path: Path, whole: Path, capsys: pytest.CaptureFixture[str]
):
    other = Path(shutil.copytree(whole, tmp_path / "copy"))
    status, problems = run_check(whole, other)
    assert (status, len(problems)) == (1, 7)
    assert {(p["set"], p["what"].rpartition(" ")[2]) for p in problems} == {(str(other), repr(str(whole)))}
    assert main(["data", "check", str(whole), "--ood", f"{whole}/../whole"]) == 2
    assert "is given twice: all its pictures would be duplicates" in capsys.readouterr().err


def test_lists_of_sets_are_given_as_a_shell_gives_them(sets: Path, capsys: pytest.CaptureFixture[str]):
    blues, greys = str(sets / "blues"), str(sets / "greys")
    for several in (["--ood", blues, greys], ["--ood", blues, f"--ood={greys}"], [f"--ood=[{blues}, {greys}]"]):
        assert main(["data", "check", str(sets / "id_test"), *several, "--workers=1"]) == 0
        said = capsys.readouterr().out
        assert "blues" in said
        assert "greys" in said


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("--near=98", "near is 98.0: expected a cosine"),
        ("--workers=0", "workers is 0"),
        ("--out=r.txt", "ending in .json"),
        ("--featurs=x", "there is no key 'featurs'; did you mean 'features'?"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    wrong: str, words: str, whole: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["data", "check", str(whole), wrong]) == 2
    assert words in capsys.readouterr().err
    assert main(["data", "chek", str(whole)]) == 2
    assert "did you mean 'data check'?" in capsys.readouterr().err
