"""Every command that the README and the pages of docs/ show is one that the command line takes."""

import re
import shlex
from pathlib import Path

import pytest

from ood_lightning.cli.main import main

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md"))]


def commands(page: Path) -> list[str]:
    """`python -m ood_lightning ...` of code blocks and of code within sentences, continued lines joined.

    Those of `data` are checked with the cards that print them.
    """
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    blocks = "\n".join(re.findall(r"(?ms)^```\w*\n(.*?)^```", text))
    spans = re.findall(r"`(python -m ood_lightning [^`\n]+)`", re.sub(r"(?ms)^```.*?^```", "", text))
    in_blocks = re.findall(r"(?m)^ *(python -m ood_lightning .+)$", blocks)
    return [command for command in [*in_blocks, *spans] if not command.startswith("python -m ood_lightning data ")]


COMMANDS = [(page.stem, command) for page in PAGES for command in dict.fromkeys(commands(page))]


def test_there_are_commands_to_check():
    assert {"README", "index", "pipeline", "detectors", "corpora", "labels", "filter", "encoders"} <= {
        page for page, _ in COMMANDS
    }


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_a_command_is_what_the_parser_takes(
    page: str, command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(ROOT)
    argv = shlex.split(command.replace("$c", "16"), comments=True)[3:]  # the number that a loop of the shell fills in
    with pytest.raises(SystemExit) as stop:
        assert main([*argv, "--print_config"]) == 0, capsys.readouterr().err
    assert stop.value.code == 0
