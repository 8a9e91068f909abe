"""The commands that pages show, and how they are run: with this interpreter and this checkout."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r'(?ms)^```(\w+)(?: title="[^"]*")?\n(.*?)^```$')
TO_COMMAND = 'if [ "$2" = ood_lightning ]; then shift 2; exec ood-lightning "$@"; fi\n'
PROGRAMS = {"ood-lightning": "-m ood_lightning", "python": ""}  # each is this interpreter with these arguments


class Block(NamedTuple):
    """A fenced block of a page.

    Attributes:
        page: path below the project's folder.
        line: of its first line of text, from 1.
        language: `bash`, `python`, `text`, ...
        text: without the fences.
    """

    page: str
    line: int
    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    """Fenced blocks of a page that name a language, in their order."""
    text = page.read_text(encoding="utf-8")
    name = page.relative_to(ROOT).as_posix()
    found = FENCE.finditer(text)
    return [Block(name, text.count("\n", 0, match.start()) + 2, *match.groups()) for match in found]


def write_files(page: Path, folder: Path) -> None:
    """Write the files that a page shows, those with a title."""
    text = page.read_text(encoding="utf-8")
    for name, content in re.findall(r'(?ms)^```\w+ title="([\w.]+)"\n(.*?)^```$', text):
        (folder / name).write_text(content, encoding="utf-8")


class Ran(NamedTuple):
    """What a script did.

    Attributes:
        status: exit status.
        output: of each of its parts, standard output alone.
        errors: standard error of the whole.
    """

    status: int
    output: list[str]
    errors: str


def run(parts: Sequence[Block], folder: Path, added: Mapping[str, str] | None = None) -> Ran:
    """Run blocks of bash and Python one after another, in one shell, until one fails.

    Args:
        parts: in their order.
        folder: where they run.
        added: arguments behind a command of the package, such as `{"run": "--encoder pictograms"}`.
    """
    bin_folder = folder / ".bin"
    bin_folder.mkdir(exist_ok=True)
    cases = "".join(f'{command}) set -- "$@" {words};;\n' for command, words in (added or {}).items())
    for name, words in PROGRAMS.items():
        begins = f'case "$1" in\n{cases}esac\n' if words else TO_COMMAND
        (bin_folder / name).write_text(f'#!/bin/sh\n{begins}exec "{sys.executable}" {words} "$@"\n')
        (bin_folder / name).chmod(0o755)
    (bin_folder / "pip").write_text("#!/bin/sh\n")  # nothing is installed: this is the interpreter that has it all
    (bin_folder / "pip").chmod(0o755)

    mark = "-- next block --"
    script = "set -e\n" + f"\necho '{mark}'\n".join(_in_shell(part) for part in parts)
    environment = {
        **os.environ,
        "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}".rstrip(os.pathsep),
    }
    done = subprocess.run(["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True)
    return Ran(done.returncode, done.stdout.split(f"{mark}\n"), done.stderr)


def _in_shell(part: Block) -> str:
    return part.text if part.language == "bash" else f"python - <<'END_OF_BLOCK'\n{part.text}END_OF_BLOCK\n"


def missing(shown: str, printed: str) -> list[str]:
    r"""Lines that a page shows and that were not printed in this order; digits and widths of columns may differ.

    A line of dots stands for any lines, dots at the end of a line for its rest.

    >>> missing("2 of 3 rows\nthe last ...", "header\n5  of 7 rows\nthe last line"), missing("a\n...\nno row", "a")
    ([], ['no row'])
    """
    lines = iter([_without_numbers(line) for line in printed.splitlines()])
    lost = []
    for line in filter(None, (line.strip() for line in shown.splitlines())):
        begins, dots, _ = _without_numbers(line).partition("...")
        found = (begins == one or (dots and one.startswith(begins.strip())) for one in lines)
        if begins and not any(found):  # which takes all before it, too
            lost.append(line)
    return lost


def _without_numbers(line: str) -> str:
    return " ".join(re.sub(r"-?\d[\d.,]*(e-?\d+)?", "#", line).split())
