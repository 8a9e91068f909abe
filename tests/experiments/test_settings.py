"""What makes a line run again: its arguments, and what the files that they name contain."""

from pathlib import Path

import pytest

from ood_lightning.experiments.grid import read_grid
from ood_lightning.experiments.lines import Line, read_lines
from ood_lightning.experiments.settings import settings_hashes


def of(arguments: str) -> list[str]:
    (line,) = read_lines(f"a: {arguments}", Path("lines.txt"))
    return settings_hashes(line)


def test_the_name_of_a_line_does_not_count_its_arguments_do():
    assert settings_hashes(read_lines("b: fit --x 1", Path("x"))[0]) == of("fit --x 1")
    assert len({of("fit --x 1")[0], of("fit --x 2")[0], of("test --x 1")[0], of("fit --x=1")[0]}) == 4


@pytest.mark.parametrize("word", ["--config a.yaml", "--config=a.yaml", """'--d={"x": "a.yaml"}'"""])
@pytest.mark.parametrize("changed", ["a.yaml", "parts/b.yaml", "parts/c.yaml", "words.txt"])
def test_a_file_counts_by_what_it_contains_and_so_do_those_that_it_names(changed: str, word: str):
    Path("parts").mkdir()
    files = {
        "a.yaml": "b: parts/b.yaml\nwords: [words.txt]",
        "parts/b.yaml": "c: c.yaml",
        "parts/c.yaml": "a: ../a.yaml",
        "words.txt": "dog",
    }
    for name, content in files.items():
        Path(name).write_text(content)

    before = of(f"fit {word}")
    assert of(f"fit {word}") == before
    Path(changed).write_text(files[changed] + "\n")
    assert of(f"fit {word}") != before


def test_a_shipped_config_counts_as_the_file_that_it_is():
    before = of("fit --config kmeans.yaml")
    Path("kmeans.yaml").write_text("x: 1")
    assert of("fit --config kmeans.yaml") != before


def test_what_a_step_writes_does_not_count():
    before = of("mine --out labels.json")
    Path("labels.json").write_text("{}")
    assert of("mine --out labels.json") == before
    assert of("test --labels labels.json") != of("mine --labels labels.json")


def chain(fit: str) -> Line:
    text = f"steps: {{fit: '{fit}', test: '--labels {{fit}}/labels.json --c {{c}}'}}\ngrid: {{c: [1]}}"
    return read_grid(text, Path("grid.yaml"))[0]


def test_a_step_counts_in_those_after_it_and_the_folder_of_the_sweep_does_not():
    first, second = settings_hashes(chain("--x 1")), settings_hashes(chain("--x 2"))
    assert first[0] != second[0]
    assert first[1] != second[1]


def test_damaged_and_odd_files_are_left_to_the_command():
    Path("a.yaml").write_text("a: [")
    Path("b.yaml").write_text("a: &a [*a, *a]")
    Path("c.yaml").write_bytes(b"\xff: \x00")
    assert len({of(f"fit --config {name}.yaml")[0] for name in "abc"}) == 3
