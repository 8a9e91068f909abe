"""The table of keys is the parser's own, and a misspelt key is told in its words without torch."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from ood_lightning.cli import trainer
from ood_lightning.cli.parser_messages import SETS_NOTHING, known_keys
from ood_lightning.cli.trainer_keys import TOP_KEYS, TRAINER_KEYS, check_top_keys
from ood_lightning.errors import UserError


class ParserMade(Exception):
    """Ends a command when its parser stands."""


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """The keys of the parsers of `fit` and `test`."""
    names: dict[str, list[str]] = {}

    def stop(cli: Any, parser: Any, args: Any) -> None:
        names.update({command: known_keys(part) for command, part in cli._subcommand_parsers.items()})
        raise ParserMade

    monkeypatch.setattr(trainer.OODCLI, "parse_arguments", stop)
    with pytest.raises(ParserMade):
        trainer.run(["fit"])
    return names


def test_the_table_holds_the_parsers_keys(keys: dict[str, list[str]]):
    assert set(keys) == set(TOP_KEYS)
    for command, names in keys.items():
        top = {name.partition(".")[0] for name in names} - set(SETS_NOTHING)
        assert top == set(TOP_KEYS[command])

        below = {name.split(".")[1].removesuffix("+") for name in names if name.startswith("trainer.")}
        assert below == set(TRAINER_KEYS)


def refusal(words: list[str], configs: list[dict[Any, Any]]) -> str:
    with pytest.raises(UserError) as refused:
        check_top_keys("fit", words, configs)
    return str(refused.value)


def refusal_of_parser(words: list[str]) -> str:
    with pytest.raises(UserError) as refused:
        trainer.run(["fit", *words])
    return str(refused.value)


@pytest.mark.parametrize(
    "words",
    [
        ["--modell=3"],
        ["--modell.class_path", "x"],
        ["--max_epochs", "3"],
        ["--trainr.max_epochs=3"],
        ["--nix"],
        ["--verbose", "true"],
        ["--modell+=x"],
    ],
    ids=" ".join,
)
def test_an_option_is_refused_as_the_parser_does(words: list[str]):
    assert refusal(words, []) == refusal_of_parser(words)


@pytest.mark.parametrize("config", [{"modell": 3}, {"max_epochs": 3}, {"nix": 1}, {"callback": []}, {"modell": None}])
def test_a_key_in_a_file_is_refused_as_the_parser_does(config: dict[str, Any], tmp_path: Path):
    path = tmp_path / "x.yaml"
    path.write_text(yaml.safe_dump(config))
    assert refusal([], [config]) == refusal_of_parser(["--config", str(path)])


def test_a_misspelt_key_with_keys_below_it_is_named_alone():
    assert refusal([], [{"trainr": {"max_epochs": 1}}]) == "there is no key 'trainr'; did you mean 'trainer'?"
    assert refusal([], [{"model": {}}, {"modell": {"class_path": "x"}}]).endswith("did you mean 'model'?")


def test_what_is_right_or_below_the_first_level_is_left_to_the_parser():
    words = ["--trainer.max_epoch=3", "--trainer.callbacks+=x", "--data+", "--print_config=skip_null", "--config", "x"]
    check_top_keys("fit", [*words, "--model.help=x", "x --odd", "--no-model", "--"], [{"data+": [], 1: 2}])
    check_top_keys("test", ["--verbose=true"], [{"verbose": True}])
    check_top_keys("fit", ["--nix", "--help"], [])
