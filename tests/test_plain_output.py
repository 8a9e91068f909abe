"""What reaches the terminal: names as they are, and nothing that acts on it."""

import io
import logging
import os
import subprocess
import sys
import unicodedata
import warnings
from pathlib import Path

import pytest
from command_line import said
from hypothesis import example, given
from hypothesis import strategies as st
from tqdm import tqdm

from ood_lightning.cli.main import main
from ood_lightning.plain_output import PlainStream, one_line, plain_output, plain_text
from ood_lightning.progress import bar
from ood_lightning.report.console import console, table

EVIL = "a\x1b[2J\x1b]0;owned\x07\u202eb\x9b31m\u200b\u2066"
RAW = ("\x1b", "\x07", "\u202e", "\x9b", "\u200b", "\u2066")


def holds_raw(text: str) -> list[str]:
    return [character for character in RAW if character in text]


@given(st.text())
@example(EVIL)
@example("caf\udce9.jpg")
def test_a_shown_text_holds_no_control_format_or_broken_character(text: str):
    kinds = {unicodedata.category(c) for c in plain_text(text) if c not in "\n\t"}
    assert not kinds & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert one_line(text).isprintable()


def test_words_of_all_languages_stay():
    words = "Käse, 日本語, עברית, हिन्दी, 🦊 [red] a\\b"
    assert plain_text(words) == words


def test_prints_logs_warnings_and_bars_are_plain_inside(capsys: pytest.CaptureFixture[str]):
    with plain_output():
        print(EVIL)
        logging.StreamHandler().emit(logging.makeLogRecord({"msg": EVIL}))
        sys.stderr.write(warnings.formatwarning(EVIL, UserWarning, "file.py", 1, ""))
        bar(1, EVIL, "img").close()
        sys.stderr.writelines([EVIL])

    output, error = capsys.readouterr()
    assert not holds_raw(output + error)
    assert output == plain_text(EVIL) + "\n"
    assert error.count(r"\x1b[2J") >= 4


def test_tables_are_plain_and_as_wide_as_what_they_show(capsys: pytest.CaptureFixture[str]):
    console().print(table(EVIL, [EVIL, "[bold]n[/bold]"], [[EVIL, "[/x]"], ["x\ny", ":smile:"]]))
    console().print(EVIL, soft_wrap=True)
    output = capsys.readouterr().out
    assert not holds_raw(output)
    assert output.count(plain_text(EVIL)) == 4
    for words in ("[bold]n[/bold]", "[/x]", r"x\ny", ":smile:"):
        assert words in output


def test_styles_reach_a_terminal_and_the_escapes_of_a_name_do_not(monkeypatch: pytest.MonkeyPatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stdout", PlainStream(terminal))
    for name, value in {"TERM": "xterm-256color", "COLUMNS": "80"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
    console().print(EVIL, style="bold")
    assert terminal.getvalue() == f"\x1b[1m{plain_text(EVIL)}\x1b[0m\n"


def test_a_progress_bar_still_moves_and_wandb_is_readable():
    terminal = io.StringIO()
    stream = PlainStream(terminal)
    with tqdm(total=2, desc="embed", file=stream, mininterval=0) as progress_bar:  # type: ignore[arg-type]
        progress_bar.update(2)
    assert terminal.getvalue().startswith("\rembed:   0%")
    assert "\rembed: 100%" in terminal.getvalue()
    assert "\\r" not in terminal.getvalue()

    stream.write("\n\n\x1b[A\x1b[A")
    stream.write("\x1b[34m\x1b[1mwandb\x1b[0m: offline\n")
    assert terminal.getvalue().endswith("\n\n\x1b[A\x1b[Awandb: offline\n")
    stream.write("name\rhidden")
    assert terminal.getvalue().endswith("name\\rhidden")


def test_an_error_shows_a_name_of_the_command_line(capsys: pytest.CaptureFixture[str]):
    assert main(["labels", "show", f"{EVIL}.json"]) == 2
    error = said(capsys)
    assert not holds_raw(error)
    assert r"a\x1b[2J" in error


def test_standard_output_is_itself_again_after_a_command(capsys: pytest.CaptureFixture[str]):
    before = sys.stdout, sys.stderr
    assert main(["labels", "show", "nowhere.json"]) == 2
    assert (sys.stdout, sys.stderr) == before


def test_a_file_name_that_is_no_utf8_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = os.fsdecode(bytes(tmp_path) + b"/caf\xe9.json")
    assert main(["labels", "show", path]) == 2
    assert r"caf\udce9.json" in said(capsys)


def test_logs_of_other_libraries_look_like_ours(capsys: pytest.CaptureFixture[str]):
    """open_clip logs by the functions of `logging`, which set up lines of `WARNING:root:` where nothing is set up."""
    root, handlers = logging.getLogger(), logging.getLogger().handlers[:]
    try:
        root.handlers = []
        with plain_output():
            logging.warning("no\x1b[2J weights")
            logging.getLogger("another").info("not asked for")
        assert capsys.readouterr().err == "warning: no\\x1b[2J weights\n"
        assert root.handlers == []
    finally:
        root.handlers = handlers


def test_a_record_that_its_library_prints_itself_is_not_printed_twice(capsys: pytest.CaptureFixture[str]):
    """Lightning's loggers have a handler of their own and pass records on to the root, too."""
    library = logging.getLogger("a_library")
    handler = logging.StreamHandler(sys.stderr)
    library.addHandler(handler)
    try:
        with plain_output():
            logging.getLogger("a_library.part").warning("heard once")
        assert capsys.readouterr().err == "heard once\n"
    finally:
        library.removeHandler(handler)


@pytest.mark.slow
def test_lightnings_lines_are_printed_once_and_plainly():
    """In a process of its own: what Lightning sets up when it is imported depends on the handlers that are there."""
    code = """
from ood_lightning.plain_output import plain_output, without_noise
with plain_output():
    from lightning.pytorch.utilities.rank_zero import rank_zero_info
    without_noise()
    rank_zero_info("seen")
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stderr == "seen\n"


@pytest.mark.parametrize("words", [["data", "list"], ["--help"], ["sweep", "lines", "many.txt"]])
def test_a_reader_that_has_seen_enough_ends_a_command_without_an_error(words: list[str]):
    lines = (f"line{i}: test --config configs/eval.yaml --seed_everything {i}" for i in range(3000))
    Path("many.txt").write_text("\n".join(lines))
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-m", "ood_lightning", *words], stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


def test_another_broken_pipe_stays_an_error(monkeypatch: pytest.MonkeyPatch):
    def broken(words: list[str], from_process: bool) -> int:
        raise BrokenPipeError("of a worker")

    monkeypatch.setattr("ood_lightning.cli.main._run", broken)
    with pytest.raises(BrokenPipeError, match="of a worker"):
        main(["data", "list"])
