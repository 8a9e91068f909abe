"""A grid stands for lines: every combination of its values."""

from pathlib import Path

import pytest

from ood_lightning.errors import SettingsError
from ood_lightning.experiments.grid import read_grid
from ood_lightning.experiments.lines import Line, Step

SOURCE = Path("grid.yaml")


def grid(text: str) -> list[Line]:
    return read_grid(text, SOURCE)


def test_a_setting_of_the_one_step_is_an_option():
    lines = grid("steps: {fit: --config 'a b.yaml'}\ngrid: {model.n_clusters: [16, 32], seed: [0, null]}")
    assert [line.name for line in lines] == [
        "n_clusters-16_seed-0",
        "n_clusters-16_seed-null",
        "n_clusters-32_seed-0",
        "n_clusters-32_seed-null",
    ]
    assert lines[3] == Line(
        "n_clusters-32_seed-null",
        (Step("fit", ("--config", "a b.yaml", "--model.n_clusters=32", "--seed=null")),),
        {"model.n_clusters": "32", "seed": "null"},
    )
    assert lines[0].folder(Path("out"), lines[0].steps[0]) == Path("out/n_clusters-16_seed-0")


def test_values_and_folders_stand_where_a_step_names_them():
    text = """
steps:
  mine: --prompts={prompts} --out {mine}/labels.json
  test: >-
    --model.prompts {prompts} --labels {mine}/labels.json '--d={"a": {b}}'
grid:
  prompts: [configs/prompts/bare.yaml, "a b"]
"""
    first, second = grid(text)
    assert (first.name, second.name) == ("prompts-bare", "prompts-a-b")

    mine, test = first.steps
    assert first.words(Path("out"), mine) == [
        "--prompts=configs/prompts/bare.yaml",
        "--out",
        "out/prompts-bare/mine/labels.json",
    ]
    assert first.words(Path("out"), test)[2:] == ["--labels", "out/prompts-bare/mine/labels.json", '--d={"a": {b}}']
    assert second.steps[1].words[1] == "a b"


def test_values_with_names_are_called_so():
    (line,) = grid("steps: {test: --x}\ngrid: {sets: {two: '{\"a\": 1}'}}")
    assert (line.name, dict(line.values)) == ("sets-two", {"sets": "two"})
    assert line.steps[0].words == ("--x", '--sets={"a": 1}')


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("steps:\n  fit: a: b", "grid.yaml, line 2 is no YAML"),
        ("steps: {fit: a}\ngrid:\n  c: [1]\n  c: [2]\n", "grid.yaml, line 4 is no YAML: the key 'c' comes twice"),
        ("steps: {fit: a}\ngrid: &x\n  c: *x\n", "grid.yaml"),
        ("steps: {fit: a}", "grid"),
        ("steps: {fit: a}\ngrid: {}", "has no grid"),
        ("steps: {}\ngrid: {a: [1]}", "has no steps"),
        ("steps: {fit: a}\ngrid: {a: []}", "grid.a has no values"),
        ("steps: {fit: a}\ngrid: {a: [[1]]}", "grid"),
        ("steps: {fit: a}\ngrid: {a: [1]}\nlines: 3", "lines"),
        ("steps: {rm: -rf}\ngrid: {a: [1]}", "the step 'rm' is none of fit, test"),
        ("steps: {fit: a, test: b}\ngrid: {fit: [1]}", "'fit' is a step"),
        ("steps: {fit: a, test: b}\ngrid: {c: [1]}", r"no step names \{c\}"),
        ("steps: {fit: '{test}/x', test: '{c}'}\ngrid: {c: [1]}", r"fit names \{test\}, which runs after it"),
        ('steps: {fit: "\'"}\ngrid: {c: [1]}', "fit has a quote"),
        ("steps: {fit: a}\ngrid: {c: [a/x.yaml, b/x.yaml]}", "two values of grid.c would be called 'x'"),
        ("steps: {fit: a}\ngrid: {b: " + str(list(range(200))) + ", c: " + str(list(range(200))) + "}", "40,000 lines"),
    ],
)
def test_errors_say_what_is_wrong(text: str, words: str):
    with pytest.raises(SettingsError, match=words):
        grid(text)
