"""`validate`: the checks that a command begins with, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from ood_lightning.checks import ChecksEndedError, only_checks
from ood_lightning.cli.config_files import check_files
from ood_lightning.errors import SettingsError

# a key that only the settings of this command have
TELLING = {
    "judge": "filter",
    "source": "mine",
    "score": "save-detector",
    "detector": "predict",
    "shards": "embed",
}
CHECKED = ("fit", "test", *TELLING.values())
USAGE = f"usage: python -m ood_lightning validate [{'|'.join(CHECKED)}] --config FILE [--KEY VALUE ...]"


def validate(words: list[str], run: Callable[[list[str]], int]) -> int:
    """Run a command as far as its checks, and print a line for each.

    Args:
        words: what stands behind `validate`: a command and its arguments, or its arguments alone.
        run: runs a command, given by its name and its arguments.

    Returns:
        The exit status, 0.

    Raises:
        SettingsError: it is not clear which command is meant, or a check refuses it.
    """
    if words[:1] in (["-h"], ["--help"]):
        print(f"{USAGE}\n\nLooks at all that files can tell before a command works, and prints a line for each.")
        raise SystemExit(0)  # as of the other commands

    check_files(words)
    command, arguments = (words[0], words[1:]) if words[:1] and words[0] in CHECKED else (command_of(words), words)
    try:
        with only_checks():
            status = run([command, *arguments])
    except ChecksEndedError as ended:
        for line in ended.lines:
            print(line)
        if ended.refusals:
            more = f" (and {len(ended.refusals) - 1} more, above)" if ended.refusals[1:] else ""
            raise SettingsError(f"`{command}` would be refused: {ended.refusals[0]}{more}") from None
        print(f"`{command}` can begin; nothing was computed or written")
        return 0
    return status  # --help or --print_config


def command_of(words: Sequence[str]) -> str:
    """The command whose settings these are, by the keys that they have.

    Raises:
        SettingsError: they may be those of several commands, or of none.
    """
    configs = [
        value or words[index + 1]
        for index, (option, _, value) in enumerate(word.partition("=") for word in words)
        if option in ("-c", "--config") and (value or words[index + 1 :])
    ]
    content = [_keys(Path(path).expanduser()) for path in configs]
    keys = {key for one in content for key in one} | {word.lstrip("-").split("=")[0].split(".")[0] for word in words}
    if "model" in keys:
        from ood_lightning.cli.trainer_settings import commands_for

        models = [one["model"] for one in content if isinstance(one.get("model"), dict)]
        paths = [model["class_path"] for model in models if isinstance(model.get("class_path"), str)]
        possible = commands_for(paths[-1]) if paths else []
    else:
        possible = [command for key, command in TELLING.items() if key in keys]
    if words[:1] and not words[0].startswith("-"):
        raise SettingsError(f"{words[0]!r} is no command that is checked. {USAGE}")
    if not possible:
        raise SettingsError(f"it is not clear which command these settings are for: name it first. {USAGE}")
    return possible[0]


def _keys(path: Path) -> dict[str, Any]:
    """A config's settings by their keys; none where it cannot be read, which the command says in its own words."""
    try:
        content = yaml.safe_load(path.read_bytes())
    except (OSError, yaml.YAMLError):
        return {}
    return content if isinstance(content, dict) else {}
