"""`fit --help` and `test --help`: our keys on one screen, as the classes have them; `--help-all` has every key."""

import re
from importlib import import_module
from inspect import signature

import pytest

from ood_lightning.cli.main import main
from ood_lightning.cli.trainer_help import EXAMPLES, PARTS, WIDTH, Part, settings_of

SCREEN = 60  # lines


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as stop:
        main([*words])
    assert stop.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("part", [part for parts in PARTS.values() for part in parts], ids=lambda part: part.name)
def test_the_settings_are_those_of_the_class(part: Part):
    module, _, name = part.path.rpartition(".")
    parameters = signature(getattr(import_module(module), name)).parameters
    settings = settings_of(part)
    assert [setting.name for setting in settings] == list(parameters)
    assert all(setting.text for setting in settings)
    assert [s.default is None for s in settings] == [p.default is p.empty for p in parameters.values()]


@pytest.mark.parametrize("command", PARTS)
@pytest.mark.parametrize("words", [["--help"], ["-h"], ["--config", "none.yaml", "--help"]])
def test_the_help_fits_on_a_screen(command: str, words: list[str], capsys: pytest.CaptureFixture[str]):
    lines = printed(capsys, command, *words).splitlines()
    assert len(lines) <= SCREEN
    assert max(map(len, lines)) <= WIDTH
    assert not [line for line in lines if line.startswith("  --trainer.") and "precision" in line]
    assert any("--help-all" in line for line in lines)
    assert [line.strip() for line in lines if line.startswith("  python")] == [
        f"python -m ood_lightning {example}" for example in EXAMPLES[command]
    ]


@pytest.mark.slow
@pytest.mark.parametrize("command", PARTS)
def test_all_keys_are_shown_on_demand(command: str, capsys: pytest.CaptureFixture[str]):
    everything = printed(capsys, command, "--help-all")
    assert "--trainer.accumulate_grad_batches" in everything
    assert "--lr_scheduler" in everything

    ours = printed(capsys, command, "--help")
    top = set(re.findall(r"(?m)^  --(\w+)", ours)) - {"help"}
    assert all(f"--{key}" in everything for key in top)


@pytest.mark.slow
@pytest.mark.parametrize("example", [example for examples in EXAMPLES.values() for example in examples])
def test_the_examples_are_taken(example: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    from source_files import ROOT

    monkeypatch.chdir(ROOT)
    assert "class_path" in printed(capsys, *example.split(), "--print_config")
