"""Names as lists and manifests write them: synset lines, ids, numbers and empty ones."""

import json
import logging
from pathlib import Path

import pytest
from shard_files import MakeSet

from ood_lightning.data.class_names import own_names, read_folders, read_names
from ood_lightning.data.shards.read_manifest import read_manifest
from ood_lightning.errors import LabelSetError, ManifestError

SYNSETS = "n01440764 tench, Tinca tinca\nn01443537 goldfish, Carassius auratus\n"


def with_names(folder: Path, names: list[str]) -> str:
    """The set with other class names in its manifest; returns its folder."""
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "class_names": names}))
    return str(folder)


@pytest.fixture
def packed(make_set: MakeSet, tmp_path: Path) -> Path:
    return make_set(tmp_path, "packed", shards=(2,))


def test_a_list_of_synsets_is_read_by_first_synonyms_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    path = tmp_path / "synsets.txt"
    path.write_text(SYNSETS)
    with caplog.at_level(logging.WARNING):
        assert read_names(str(path)) == ["tench", "goldfish"]
    assert "2 of 2 names are lines of ImageNet's list of synsets" in caplog.text
    assert "'n01440764 tench, Tinca tinca' as 'tench'" in caplog.text
    assert read_folders(str(path)) == [("n01440764", "tench"), ("n01443537", "goldfish")]


def test_the_same_with_a_tab_and_in_a_manifest(tmp_path: Path, packed: Path):
    path = tmp_path / "tabs.txt"
    path.write_text(SYNSETS.replace("4 t", "4\tt").replace("7 g", "7\tg"))
    assert read_folders(str(path)) == [("n01440764", "tench"), ("n01443537", "goldfish")]
    assert read_manifest(with_names(packed, SYNSETS.splitlines())).class_names == ("tench", "goldfish")


def test_plain_names_stay_as_they_are(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    path = tmp_path / "plain.txt"
    path.write_text("tench, Tinca tinca\nred  fox\n")
    assert read_names(str(path)) == ["tench, Tinca tinca", "red fox"]
    assert not caplog.text


@pytest.mark.parametrize("empty", ["", " ", "\u00a0"])
def test_an_empty_name_in_a_manifest_is_refused(packed: Path, empty: str):
    with pytest.raises(ManifestError, match=r"manifest\.json, class_names: name 2 is empty"):
        read_manifest(with_names(packed, ["cat", empty]))
    assert read_manifest(with_names(packed, ["cat", "dog"])).class_names == ("cat", "dog")


def test_an_empty_line_of_a_list_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    path = tmp_path / "gap.txt"
    path.write_text("cat\n\ndog\n\n")
    with caplog.at_level(logging.WARNING):
        assert read_names(str(path)) == ["cat", "dog"]
    assert "1 empty line is passed over" in caplog.text


def test_ids_are_refused_in_lists_and_manifests_and_numbers_are_said(
    tmp_path: Path, packed: Path, caplog: pytest.LogCaptureFixture
):
    path = tmp_path / "ids.txt"
    path.write_text("tench\nn01443537\n")
    for source in (str(path), with_names(packed, ["tench", "n01443537"])):
        with pytest.raises(LabelSetError, match=r"1 of the names is an id, such as 'n01443537'"):
            read_names(source)

    path.write_text("zero\n1\n")
    with caplog.at_level(logging.WARNING):
        assert read_names(str(path)) == ["zero", "1"]
    assert "1 of 2 names are numbers, such as '1'" in caplog.text


@pytest.mark.parametrize(
    ("names", "known"),
    [
        (["cat", "7"], ("cat", "7")),
        (["0", "1"], ()),
        (["cat", "n01443537"], ()),
        ([], ()),
    ],
)
def test_a_set_whose_names_are_ids_or_numbers_has_none(packed: Path, names: list[str], known: tuple[str, ...]):
    assert own_names(read_manifest(with_names(packed, names))) == known


@pytest.mark.parametrize("line", ["n02085620-Chihuahua", "n02085620_Chihuahua"])
def test_an_id_may_be_joined_to_its_name(line: str, tmp_path: Path):
    path = tmp_path / "names.txt"
    path.write_text(f"{line}\n")
    assert read_folders(str(path)) == [("n02085620", "Chihuahua")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{0: 'tench, Tinca tinca',\n 1: 'goldfish'}\n", r"line 1: .* is code: write one name a line, without quotes"),
        ('[\n"cat",\n"dog"\n]\n', r"line 1: '\[' is code"),
        ('"cat",\n"dog",\n', r"is code"),
        ("0 cat\n1 dog\n", r"line 1: '0 cat' begins with its number, as all lines do: write the names alone"),
        ("1. cat\n2. dog\n", r"begins with its number"),
        ("\u200b\ncat\n", r"name 1 is empty"),
        ("tench.n.01\n", r"1 of the names is an id, such as 'tench.n.01'"),
    ],
)
def test_lines_that_are_no_names(text: str, words: str, tmp_path: Path):
    path = tmp_path / "names.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(LabelSetError, match=words):
        read_names(str(path))


def test_names_that_look_a_little_like_it_are_names(tmp_path: Path):
    path = tmp_path / "names.txt"
    path.write_text('"Weird Al" Yankovic\n7 Up\nMr. T\n/m/0dzct\tperson\n'.replace("/m/0dzct\t", ""))
    assert read_names(str(path)) == ['"Weird Al" Yankovic', "7 Up", "Mr. T", "person"]
    path.write_text("/m/0dzct\tperson\n")
    assert read_folders(str(path)) == [("/m/0dzct", "person")]


def test_another_file_than_a_txt_is_no_damaged_tar(tmp_path: Path):
    path = tmp_path / "names.csv"
    path.write_text("cat\ndog\n")
    with pytest.raises(LabelSetError, match=r"names\.csv is no list of names: expected a \.txt with one name a line"):
        read_names(str(path))
