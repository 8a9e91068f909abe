"""How a line of arguments is read; needs bash, no Slurm."""

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "scripts/slurm/lines.sh"


def read(text: str, number: int) -> list[str]:
    """Name and arguments of a line."""
    Path("lines.txt").write_text(text)
    done = subprocess.run([str(SCRIPT), "lines.txt", str(number)], capture_output=True, text=True)
    if done.returncode:
        raise ValueError(done.stderr)
    return done.stdout.removesuffix("\0").split("\0")


def test_quotes_keep_what_they_hold_and_nothing_is_expanded():
    line = """x: a  'b {c, d} "e"' --f="it's \\n" g\\ h $HOME * ~ {i,j} `k` $(l) --m='{"n": [1, 2]}' ''"""

    expected = [
        "a",
        'b {c, d} "e"',
        "--f=it's \\n",
        "g h",
        "$HOME",
        "*",
        "~",
        "{i,j}",
        "`k`",
        "$(l)",
        '--m={"n": [1, 2]}',
        "",
    ]
    assert read(line, 0) == ["x", *expected]


def test_empty_lines_and_comments_do_not_count():
    text = "# first\n\na: 1\n  # second\nb: 2 # 3\n"
    assert read(text, 0) == ["a", "1"]
    assert read(text, 1) == ["b", "2", "#", "3"]


@pytest.mark.parametrize(
    ("text", "number", "words"),
    [
        ("a: 1\n", 1, "has 1 lines, 0 to 0: there is no line 1"),
        ("a: 'b\n", 0, "a quote without its partner"),
        ("--config x\n", 0, "is not 'NAME: ARGUMENTS'"),
        ("../a: 1\n", 0, "is not 'NAME: ARGUMENTS'"),
        ("a: 1\nb: 2\na: 3\n", 0, "lines 0 and 2 of lines.txt have one name, a"),
    ],
)
def test_errors_say_what_is_wrong(text: str, number: int, words: str):
    with pytest.raises(ValueError, match=words):
        read(text, number)


def test_the_example_has_four_lines_of_different_names():
    done = subprocess.run([str(SCRIPT), str(SCRIPT.with_name("eval_lines.txt"))], capture_output=True, text=True)
    lines = done.stdout.splitlines()
    assert [line.split(":")[0] for line in lines] == ["0 all", "1 sharper", "2 nice", "3 nouns"]
    # a label set that lies on disk is refused under other prompts, after a minute and a half
    assert all("--model.label_sets=" in line for line in lines if "--model.prompts" in line)


def test_the_sweep_has_enough_numbers_of_clusters_for_an_elbow():
    done = subprocess.run([str(SCRIPT), str(SCRIPT.with_name("cluster_lines.txt"))], capture_output=True, text=True)
    lines = [line.split() for line in done.stdout.splitlines()]
    assert len(lines) >= 5
    assert all(line[1] == f"c{line[-1]}:" for line in lines)
