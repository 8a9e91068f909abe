"""Broken YAML is named by file and line, and a name that does not exist comes with those like it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import CONFIGS

from ood_lightning.cli.config_files import check_files, similar_names, with_shipped
from ood_lightning.cli.main import main
from ood_lightning.errors import SettingsError

Refused = Callable[[list[str], str], None]


def test_broken_yaml_is_named_by_file_and_line(refused: Refused):
    Path("parts").mkdir()
    Path("parts/encoder.yaml").write_text("class_path: x\ninit_args: {a: [1\n")
    Path("embed.yaml").write_text("encoder: parts/encoder.yaml\nshards: [x]\n")
    refused(["embed", "--config", "embed.yaml"], r"parts/encoder\.yaml, line 3, column 1 is no YAML: ")
    refused(["embed", "--encoder=parts/encoder.yaml", "--shards", "x"], r"parts/encoder\.yaml, line 3")
    Path("test.yaml").write_text("model:\n\tx: 1\n")
    refused(["test", "--config", "test.yaml"], r"test\.yaml, line 2, column 1 is no YAML: ")
    Path("latin.yaml").write_bytes("é: 1\n".encode("latin-1"))
    refused(["fit", "--config=latin.yaml"], r"latin\.yaml, line 1: byte 0xe9 at column 1 is no UTF-8")

    Path("sound.yaml").write_text("encoder: sound.yaml\nother: [none.yaml]\n")  # names itself, and no such file
    check_files(["--config", "sound.yaml"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", r"x\.yaml is empty: expected lines `KEY: VALUE`"),
        (b"- 1\n", r"x\.yaml holds a list: expected lines"),
        (b"model: &m {again: *m}\n", r"x\.yaml is no config: it is nested more than 50 deep"),
        (b"a: " + b"[" * 2000 + b"]" * 2000, r"x\.yaml is no config: it is nested more than 50 deep"),
        (b"a: {'': [1]}\n", r"x\.yaml is no config: a key is empty, with the value '\[1\]': give it a name"),
        (b'a: ["b\\0.yaml"]\n', r"x\.yaml is no config: the text 'b\\x00\.yaml' holds a NUL character"),
        (b"a: 2026-13-45\n", r"x\.yaml holds what is no value of YAML: month must be in 1\.\.12"),
        ("a: 1\n".encode("utf-16"), r"x\.yaml, line 1: byte 0xff at column 1 is no UTF-8"),
        (
            b"a: &a [1,1,1,1,1,1,1,1,1,1]\n"
            + b"".join(b"%c: &%c [%s]\n" % (n + 1, n + 1, b",".join([b"*%c" % n] * 10)) for n in b"abcdef"),
            r"x\.yaml is no config: it holds more than 1,000,000 values, with those that its aliases stand for",
        ),
    ],
    ids=["empty", "list", "in itself", "deep", "empty key", "NUL", "no date", "utf-16", "aliases"],
)
def test_a_file_that_no_parser_should_be_given(text: bytes, words: str, refused: Refused):
    Path("x.yaml").write_bytes(text)
    refused(["fit", "--config", "x.yaml"], words)


def test_a_word_may_begin_as_the_home_of_a_person_who_is_not_there(refused: Refused):
    refused(["fit", "--config=~no-such-person/x.yaml"], r"there is no config ~no-such-person/x\.yaml")
    check_files(["--images", "~no-such-person/x.jpg"])


def test_a_config_that_does_not_exist_comes_with_near_ones(refused: Refused):
    refused(["test", "--config", f"{CONFIGS}/evl.yaml"], r"there is no config .*evl\.yaml; near ones: .*/eval\.yaml")
    with pytest.raises(SettingsError, match=r"there is no config nowhere/x\.yaml"):
        check_files(["-c", "nowhere/x.yaml"])


@pytest.mark.parametrize(
    ("wrong", "key", "near_one", "folder"),
    [
        ("detectors/mcn.yaml", "model.detectors", "detectors/mcm.yaml", "configs/detectors/"),
        ("pictogram.yaml", "encoder", "encoders/pictograms.yaml", "configs/encoders/"),
        ("wordnet", "corpus", "ood_lightning.corpora.wordnet.WordNet", "configs/corpora/"),
        ("ood_lightning.encoders.openclip.OpenCLIP", "data.encoder", "ood_lightning.encoders.openclip.OpenClip", ""),
        ("wordnt.yaml", "second_judge", "judges/wordnet.yaml", "configs/judges/"),
    ],
)
def test_a_part_that_does_not_exist_comes_with_near_ones_and_their_place(
    wrong: str, key: str, near_one: str, folder: str
):
    said = similar_names(wrong, key)
    assert near_one in said.split(". All are in ")[0]
    assert folder in said


def test_a_shipped_config_is_found_by_name_unless_a_file_is_there():
    words = ["--config", "clustermine.yaml", "--config=configs/eval.yaml", "-c", "none.yaml", "eval.yaml"]
    resolved = with_shipped(words)
    files = [i for i, word in enumerate(resolved) if Path(word.removeprefix("--config=")).is_file()]
    assert files == [1, 2]
    assert resolved[4:] == words[4:]

    Path("clustermine.yaml").write_text("a: 1\n")
    assert with_shipped(words)[1] == "clustermine.yaml"


def test_a_part_of_ones_own_config_may_be_a_shipped_one(capsys: pytest.CaptureFixture[str]):
    Path("own.yaml").write_text("encoder: encoders/pictograms.yaml\nshards: [x]\n")
    with pytest.raises(SystemExit) as ended:
        main(["embed", "--config", "own.yaml", "--print_config"])
    assert ended.value.code == 0
    assert "model: builtin:pictograms/model" in capsys.readouterr().out


@pytest.mark.parametrize("folder", ["", "configs/"])
def test_members_of_a_mapping_may_be_shipped_parts(folder: str, capsys: pytest.CaptureFixture[str]):
    detectors = {"MCM": f"{folder}detectors/mcm.yaml"}
    with pytest.raises(SystemExit) as ended:
        main(["test", "--config", "eval.yaml", f"--model.detectors={json.dumps(detectors)}", "--print_config"])
    assert ended.value.code == 0
    assert "class_path: ood_lightning.detectors.mcm.MCM" in capsys.readouterr().out


def test_a_config_of_a_whole_command_is_no_part(refused: Refused):
    part = '{"ClusterMine": "clustermine.yaml"}'
    refused(
        ["test", "--config", "eval.yaml", f"--model.detectors={part}"],
        "'clustermine.yaml' is no file, nor the path of a class",
    )
