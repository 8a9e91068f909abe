"""How a line of arguments is read."""

from pathlib import Path

import pytest

from ood_lightning.errors import SettingsError
from ood_lightning.experiments.files import read_sweep
from ood_lightning.experiments.lines import Line, Step, read_lines

SCRIPTS = Path(__file__).parents[2] / "scripts" / "slurm"
SOURCE = Path("lines.txt")


def test_quotes_keep_what_they_hold_and_nothing_is_expanded():
    text = """x: a  'b {c, d} "e"' --f="it's \\n" g\\ h $HOME * ~ {i,j} `k` $(l) --m='{"n": [1, 2]}' ''"""

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
    (line,) = read_lines(text, SOURCE)
    assert line == Line("x", (Step("", tuple(expected)),), {})
    assert line.words(Path("out"), line.steps[0]) == expected


def test_empty_lines_and_comments_do_not_count_and_a_command_may_come_first():
    lines = read_lines("# first\n\na: fit 1\r\n  # second\nb: 2 # 3\n", SOURCE)
    assert [(line.name, line.steps[0]) for line in lines] == [
        ("a", Step("fit", ("1",))),
        ("b", Step("", ("2", "#", "3"))),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("# nothing\n", "has no lines"),
        ("a: 'b\n", "line 1 has a quote or a backslash without its partner"),
        ("a: 1\n--config x\n", "line 2 is not 'NAME: ARGUMENTS'"),
        ("--config: x\n", "line 1 is not 'NAME: ARGUMENTS'"),
        ("../a: 1\n", "it would lead to another folder"),
        ("a\x1b[2J: 1\n", "it holds a control character"),
        (f"{'a' * 151}: 1\n", "151 bytes"),
        ("a: 1\nb: 2\na: 3\n", "two lines have the name a"),
    ],
)
def test_errors_say_what_is_wrong(text: str, words: str):
    with pytest.raises(SettingsError, match=words):
        read_lines(text, SOURCE)


def test_a_setting_is_the_last_option_of_its_name():
    (line,) = read_lines("a: --x.y 1 --x.y=2 --z", SOURCE)
    assert (line.value("x.y"), line.value("z"), line.value("x")) == ("2", "", None)


def test_the_examples_have_lines_of_different_names():
    lines = read_sweep(SCRIPTS / "eval_lines.txt")
    assert [line.name for line in lines] == ["all", "sharper", "nice", "nouns"]
    # a label set that lies on disk is refused under other prompts, after a minute and a half
    texts = [" ".join(line.steps[0].words) for line in lines]
    assert all("--model.label_sets=" in text for text in texts if "--model.prompts" in text)


def test_the_sweep_has_enough_numbers_of_clusters_for_an_elbow():
    lines = read_sweep(SCRIPTS / "cluster_lines.txt")
    assert len(lines) >= 5
    assert all(line.name == f"c{line.value('model.n_clusters')}" for line in lines)
