"""Every command that README and docs show is one that its program takes; nothing is run here.

What is run, and what is not and why, stands in tests/scripts/test_shown_commands.py.
"""

import re
import shlex
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ood_lightning.cli.main import main
from scripts.shown_commands import Block, blocks, write_files

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md"))]
BLOCKS = [block for page in PAGES for block in blocks(page) if block.language == "bash"]
PACKAGE = (["python", "-m", "ood_lightning"], ["ood-lightning"])

# of other people, or of the shell: nothing to look up here
OTHER_TOOLS = {
    *("cat", "cd", "cp", "curl", "cut", "echo", "find", "for", "gsutil", "jq", "mkdir", "mv", "printf", "rm", "sed"),
    *("sort", "tar", "unzip", "md5sum", "sha256sum", "xargs", "awk", "grep", "head", "while", "read", "wget", "gzip"),
    *("eval", "export", "set", "source", "wandb", "srun", "done", "hf", "huggingface-cli", "git", "ln", "test"),
}
SLURM_SCRIPTS = {  # what the arguments behind a job script are
    "fit.sbatch": lambda words: ["fit", *words[1:]],
    "embed_array.sbatch": lambda words: ["embed", *words],
}
KEYWORDS = ("do", "then", "else", "!", "{", "time")


def without_documents(script: str) -> str:
    """Here-documents are input, not commands."""
    return re.sub(r"(?ms)<<'(\w+)'(.*?\n).*?^\1$", r"\2", script)


def simple_commands(script: str) -> Iterator[list[str]]:
    """Commands of a script in words, without comments, redirections, assignments and keywords."""
    for line in without_documents(script).replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|()<>")
        lexer.whitespace_split, lexer.commenters = True, "#"
        command: list[str] = []
        skip = False
        for word in [*lexer, ";"]:
            if word and set(word) <= set(";&|()"):
                if command:
                    yield command
                command = []
            elif skip or (word and set(word) <= set("<>&")):
                skip = not skip
            elif command or not (word in KEYWORDS or re.fullmatch(r"\w+=.*", word)):
                command.append(word)


def check_package(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The parser takes them."""
    words = [word.replace("$c", "16") for word in words]  # the number that a loop of the shell fills in
    if words and words[-1] in ("--help", "--version"):
        words = words[:-1]
    with pytest.raises(SystemExit) as stop:
        assert main([*words, "--print_config"]) == 0, capsys.readouterr().err
    assert stop.value.code == 0, capsys.readouterr().err


def check_python(words: list[str]) -> None:
    """A module or script of the project, pytest, or a line of code."""
    if words[:1] == ["-c"]:
        compile(words[1], "-c", "exec")
    elif words[:1] == ["-m"]:
        module = ROOT.joinpath(*words[1].split("."))
        assert module.is_dir() or module.with_suffix(".py").is_file() or words[1] in ("pytest", "venv"), words
    elif words and words[0] != "-" and not words[0].startswith("raw/"):  # raw/ holds what was fetched
        assert (ROOT / words[0]).is_file(), words


def check_make(words: list[str]) -> None:
    """A target."""
    targets = re.findall(r"(?m)^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert set(words) <= set(targets)


def check_pip(words: list[str]) -> None:
    """Extras that there are."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = re.findall(r"\[([\w,]+)\]", " ".join(words))
    assert {name for extra in extras for name in extra.split(",")} <= set(project["optional-dependencies"])


def check_script(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A shell script of the project, and the files behind it."""
    path = ROOT / words[0]
    subprocess.run(["bash", "-n", path], check=True)
    if path.name in SLURM_SCRIPTS:
        check_package(SLURM_SCRIPTS[path.name](words[1:]), capsys)


CHECKS: dict[str, Callable[[list[str]], None]] = {"make": check_make, "pip": check_pip}


def check(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A command of any program.

    Raises:
        AssertionError: it would not be taken, or the program is unknown.
    """
    for begin in PACKAGE:
        if words[: len(begin)] == begin:
            return check_package(words[len(begin) :], capsys)

    program = words[0]
    if program in ("python", "python3", ".venv/bin/python"):
        check_python(words[1:])
    elif program in CHECKS:
        CHECKS[program](words[1:])
    elif program == "sbatch":
        script = [at for at, word in enumerate(words) if word.endswith(".sbatch")]
        if script:
            check_script(words[script[0] :], capsys)
    elif program.startswith("scripts/"):
        check_script(words, capsys)
    else:
        assert program in OTHER_TOOLS or program.startswith(".venv/bin/"), f"an unknown program: {words}"

    ours = [word for word in words if re.match(r"(configs|scripts|assets)/[\w./-]+$", word)]
    assert not [word for word in ours if not (ROOT / word).exists() and not word.endswith("site.env")]


def test_there_are_commands_to_check():
    assert len(BLOCKS) > 60
    pages = {Path(block.page).stem for block in BLOCKS}
    assert {"README", "index", "pipeline", "detectors", "corpora", "labels", "filter", "encoders", "tutorial"} <= pages


@pytest.mark.slow
@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.page}:{block.line}")
def test_a_block_is_bash_whose_commands_are_taken(
    block: Block, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    for name in ("configs", "scripts", "assets"):
        (tmp_path / name).symlink_to(ROOT / name)
    write_files(ROOT / block.page, tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    subprocess.run(["bash", "-n", "-c", block.text], check=True)
    for words in simple_commands(block.text):
        check(words, capsys)


SPANS = [
    (page.stem, command)
    for page in PAGES
    for command in dict.fromkeys(
        re.findall(
            r"`((?:python -m ood_lightning|ood-lightning) [a-z][^`\n]*)`",
            re.sub(r"(?ms)^```.*?^```", "", page.read_text(encoding="utf-8")),
        )
    )
]


@pytest.mark.slow
@pytest.mark.parametrize(("page", "command"), SPANS)
def test_a_command_within_a_sentence_is_taken(
    page: str, command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(ROOT)
    check(shlex.split(command), capsys)


def test_commands_are_told_from_what_surrounds_them():
    script = (
        "set -a; source x.env  # why\n"
        "for c in 1 2; do\n    A=b python -m x $c \\\n  --y > 'a b' && cat z | jq .s\ndone\n"
    )
    assert list(simple_commands(script)) == [
        ["set", "-a"],
        ["source", "x.env"],
        ["for", "c", "in", "1", "2"],
        ["python", "-m", "x", "$c", "--y"],
        ["cat", "z"],
        ["jq", ".s"],
        ["done"],
    ]


def test_a_wrong_option_or_program_would_be_seen(capsys: pytest.CaptureFixture[str]):
    for command in ("python -m ood_lightning report runs/a --htlm x", "pip install '.[docz]'", "make demos", "olo --x"):
        with pytest.raises(AssertionError):
            check(shlex.split(command), capsys)
