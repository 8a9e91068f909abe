"""Each row of the table of messages, provoked from the jsonargparse that is installed: other words would fail."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn

import jsonargparse
import pytest

from ood_lightning.cli import parser as parser_module
from ood_lightning.cli.parser import BadSettings, PlainErrors, parsed
from ood_lightning.cli.parser_messages import FORMS, MESSAGES, NOISE, known_keys, plain
from ood_lightning.detectors.base import Detector
from ood_lightning.detectors.mcm import MCM


class Recording(PlainErrors):
    """Keeps what jsonargparse says, and then refuses as usual."""

    heard: list[str] = []  # noqa: RUF012

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        self.heard.append(message)
        super().error(message, ex)


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Messages of jsonargparse's own words; a fresh list for each test."""
    monkeypatch.setattr(parser_module, "PlainErrors", Recording)
    monkeypatch.setattr(Recording, "heard", [])
    return Recording.heard


@dataclass
class Crop:
    """A group of settings.

    Args:
        size: in pixels.
    """

    size: int = 224


def step(
    images: list[str] | None = None,
    detector: MCM | None = None,
    scorer: Detector | None = None,
    fixed: Detector = MCM(),  # noqa: B008
    crop: Crop = Crop(),  # noqa: B008
    role: Literal["id", "ood"] = "id",
    share: float = 0.5,
    count: int = 1,
    verify: bool = True,
    sets: dict[str, int] | None = None,
    names: list[int] = [],  # noqa: B006
    groups: dict[str, int] = {},  # noqa: B006
    scorers: dict[str, Detector] = {},  # noqa: B006
) -> int:
    """A step with a parameter of every kind.

    Args:
        images: texts.
        detector: a class that is built.
    """
    return 0


def settings_file(text: str) -> list[str]:
    Path("settings.yaml").write_text(text)
    return ["--config", "settings.yaml"]


def class_file(path: str) -> str:
    Path("other.yaml").write_text(f"class_path: {path}")
    return "other.yaml"


CASES: list[tuple[str, Callable[[], list[str]], str]] = [
    (
        "init_args without class_path",
        lambda: settings_file("scorer: {init_args: {temperature: 2.0}}"),
        "scorer is given init_args and no class_path. A config that changes another one",
    ),
    (
        "value without key",
        lambda: ["folder"],
        "'folder' stands alone: a setting is given as --KEY VALUE, and the keys here are --images, --images+, ",
    ),
    (
        "class of another kind",
        lambda: ["--scorer", "ood_lightning.detectors.adaneg.AdaNeg"],
        "scorer is 'ood_lightning.detectors.adaneg.AdaNeg', which is no Detector",
    ),
    (
        "file of another kind",
        lambda: ["--fixed", class_file("ood_lightning.detectors.adaneg.AdaNeg")],
        "fixed is 'other.yaml', which names a class of another kind",
    ),
    ("no such file", lambda: ["--detector", "mcm.yaml"], "detector is 'mcm.yaml': there is no such file, nor is it"),
    ("no such file", lambda: ["--detector", "mcn.yaml"], "detector is 'mcn.yaml': there is no such file, nor is it"),
    (
        "no such class in a mapping",
        lambda: ['--scorers={"a": "mcn.yaml"}'],
        "'mcn.yaml' is no file, nor the path of a class; near ones: ",
    ),
    (
        "no such class in a mapping",
        lambda: ['--scorers={"a": "ood_lightning.detectors.mcm.MCN"}'],
        "'ood_lightning.detectors.mcm.MCN' is not the path of a class; near ones: ood_lightning.detectors.mcm.MCM",
    ),
    ("other choice", lambda: ["--role", "train"], "role is 'train': expected one of 'id', 'ood'"),
    ("no text", lambda: settings_file("images: [no]"), "images holds False where a text belongs"),
    ("other type", lambda: ["--names", "a"], "names is 'a': expected a list, `[A, B]`"),
    ("other type", lambda: ["--groups", "a"], "groups is 'a': expected a mapping, `{KEY: VALUE}`"),
    ("other type", lambda: ["--count", "many"], "count is 'many': expected a whole number"),
    ("other type", lambda: ["--share", "half"], "share is 'half': expected a number"),
    ("other type", lambda: ["--verify", "maybe"], "verify is 'maybe': expected true or false"),
    (
        "unknown key, named by a class's parser",
        lambda: ["--detector=MCM", "--detector.temprature=2"],
        "there is no key 'temprature'; did you mean 'temperature'?",
    ),
    ("unknown option", lambda: ["--coumt=3"], "there is no key 'coumt'; did you mean 'count'?"),
    ("unknown option", lambda: ["--xyz=3"], "there is no key 'xyz'"),
    (
        "unknown key in a file",
        lambda: settings_file("coumt: 3"),
        "there is no key 'coumt'; did you mean 'count'?",
    ),
    (
        "unknown key of a command or group",
        lambda: settings_file("crop: {sise: 3}"),
        "there is no key 'crop.sise'; did you mean 'crop.size'?",
    ),
    (
        "unknown key in a file",
        lambda: settings_file("detectr: {init_args: 3}"),
        "there is no key 'detectr.init_args'; did you mean 'detector'?",
    ),
]


@pytest.mark.parametrize(("row", "argv", "words"), CASES)
def test_a_message_is_provoked_matched_by_its_row_and_said_in_our_words(
    row: str, argv: Callable[[], list[str]], words: str, heard: list[str]
):
    with pytest.raises(BadSettings) as refused:
        parsed(step, argv(), "step")
    assert str(refused.value).startswith(words)
    assert first_match(heard[-1]) == row


def first_match(message: str) -> str | None:
    """The row of the table that answers a message."""
    rows = (row for row, (pattern, _) in MESSAGES.items() if re.search(pattern, message, re.MULTILINE))
    return next(rows, None)


def test_a_class_that_must_be_given_is_refused_without_its_path_too(heard: list[str]):
    def needs_a_detector(detector: Detector) -> int:
        return 0

    with pytest.raises(BadSettings, match=r"^detector is given init_args and no class_path"):
        parsed(needs_a_detector, settings_file("detector: {init_args: {temperature: 2.0}}"), "step")


def test_a_key_that_a_subcommand_does_not_know(heard: list[str]):
    fit = Recording()
    fit.add_argument("--config", action="config")
    fit.add_argument("--count", type=int)
    parser = Recording()
    parser.add_subcommands().add_subcommand("fit", fit)

    with pytest.raises(BadSettings, match=re.escape("there is no key 'coumt'; did you mean 'count'?")):
        parser.parse_args(["fit", *settings_file("coumt: 3")])
    assert heard == ["Subcommand 'fit' does not accept option 'coumt'"]
    assert first_match(heard[0]) == "unknown key of a command or group"


def test_every_row_and_every_type_is_provoked():
    assert {row for row, _, _ in CASES} == set(MESSAGES)
    named = {form for form in FORMS.values() for _, _, words in CASES if words.endswith(form)}
    assert named == set(FORMS.values())


@pytest.mark.parametrize("beginning", NOISE)
def test_lines_that_list_types_begin_as_in_the_table(beginning: str, heard: list[str]):
    with pytest.raises(BadSettings) as refused:
        parsed(step, ["--sets", "{a: b}"], "step")
    assert str(refused.value) == "sets: Expected a <class 'int'>. Got value: b"
    assert any(line.strip().startswith(beginning) for line in heard[-1].splitlines()), heard[-1]


def test_a_message_of_another_kind_stays():
    assert plain("the following arguments are required: x", []) == "the following arguments are required: x"


def test_private_attributes_of_parsers_are_still_there():
    inner: Any = jsonargparse.ArgumentParser()
    inner.add_argument("--count", type=int)
    outer: Any = jsonargparse.ArgumentParser()
    commands = outer.add_subcommands()
    commands.add_subcommand("fit", inner)
    assert commands in outer._actions
    assert commands._name_parser_map == {"fit": inner}
    assert {"count", "subcommand"} <= set(known_keys(outer))


def test_a_list_of_words_in_place_of_a_config_is_refused_in_a_few_lines_and_at_once():
    """A pattern that begins anew at each letter took hours for it."""
    words = "\n".join(f"word{i}" for i in range(30_000))
    said = plain(f'Parser key "corpus":\n  Expected a dot import path string: {words}', ["corpus"])
    assert said.startswith("corpus: Expected a dot import path string: word0\nword1\n")
    assert len(said.splitlines()) < 20
