"""An item's steps: which commands, in which folders, and what of them is finished."""

from pathlib import Path
from typing import Any

import pytest

from ood_lightning.errors import SettingsError
from ood_lightning.experiments.records import Record
from ood_lightning.reproduction.item import Work
from ood_lightning.reproduction.item_files import item_names, read_item
from ood_lightning.reproduction.plan import Run, planned, runs_of, waves

OUT = Path("out")


def work(steps: dict[str, str], **grid: Any) -> list[Run]:
    return runs_of(Work(steps=steps, grid=grid), OUT, "item")


def finish(run: Run) -> None:
    """Leave what a step leaves that has ended well."""
    Record("", True, []).write(OUT / run.line.name)


def test_a_step_runs_for_each_value_of_the_settings_that_it_depends_on():
    runs = work({"fit": "fit --c {c}", "a": "test {fit}/labels.json", "b": "test --k {k}"}, c=[1, 2], k=[3])
    assert [(run.step, run.where) for run in runs] == [
        ("fit", {"c": "1"}),
        ("fit", {"c": "2"}),
        ("a", {"c": "1"}),
        ("a", {"c": "2"}),
        ("b", {"k": "3"}),
    ]
    fit = runs[1].line
    assert fit.steps[0].words == ("--c", "2")
    assert runs[3].line.steps[0].words == (f"out/{fit.name}/labels.json",)
    assert runs[3].after == (fit.name,)


def test_one_command_has_one_folder_in_all_items_wherever_it_lies():
    (first,) = work({"fit": "fit --c {c}"}, c=[4])
    (second,) = runs_of(Work(steps={"mine": "fit --c 4"}), Path("elsewhere"), "other")
    assert first.line.name == second.line.name
    assert work({"fit": "fit --c 5"})[0].line.name != first.line.name


def test_the_content_of_a_file_that_a_step_names_counts_and_so_in_steps_that_read_it():
    steps = {"fit": "fit --config own.yaml", "test": "test {fit}/labels.json"}
    names = []
    for text in ("a: 1", "a: 2"):
        Path("own.yaml").write_text(text)
        names.append([run.line.name for run in work(steps)])
    assert not set(names[0]) & set(names[1])


def test_a_step_may_name_its_own_folder():
    (run,) = work({"filter": "filter --out {filter}"})
    assert run.line.steps[0].words == ("--out", f"out/{run.line.name}")


@pytest.mark.parametrize(
    ("steps", "grid", "words"),
    [
        ({"a": "test {b}", "b": "fit"}, {}, "item, a names {b}, which runs after it"),
        ({"a": "sweep x"}, {}, "item, a begins with ['sweep']: expected one of fit, test"),
        ({"a": "test"}, {"a": [1]}, "item: 'a' is a step, and cannot be a setting too"),
        ({"a": "test"}, {"k": [1]}, "item: no step names {k}"),
        ({"a": "test {k}"}, {"k": []}, "item: grid.k has no values"),
        ({"a": "test 'x"}, {}, "item, a has a quote or a backslash without its partner"),
    ],
)
def test_refusals(steps: dict[str, str], grid: dict[str, Any], words: str):
    with pytest.raises(SettingsError) as error:
        work(steps, **grid)
    assert str(error.value).startswith(words)


def test_what_is_finished_is_not_run_and_what_reads_a_step_that_runs_again_runs_too():
    runs = work({"fit": "fit --c {c}", "test": "test {fit}/labels.json"}, c=[1, 2])
    for run in runs:
        finish(run)
    assert not any(line.to_run for line in planned(runs, OUT))

    (OUT / runs[0].line.name / "sweep.json").unlink()
    again = [line.line.name for line in planned(runs, OUT) if line.to_run]
    assert again == [runs[0].line.name, runs[2].line.name]


def test_a_wave_reads_what_earlier_ones_wrote():
    runs = work({"fit": "fit --c {c}", "test": "test {fit}/labels.json", "alone": "test --x"}, c=[1, 2])
    steps = [
        [run.step for run in runs if run.line.name in {line.line.name for line in wave}]
        for wave in waves(runs, planned(runs, OUT))
    ]
    assert steps == [["fit", "fit", "alone"], ["test", "test"]]

    finish(runs[0])
    second = waves(runs, planned(runs, OUT))
    assert [line.line.name for line in second[0]] == [runs[1].line.name, runs[2].line.name, runs[4].line.name]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["full", "twin"])
@pytest.mark.parametrize("name", item_names())
def test_every_shipped_item_has_a_plan(name: str, kind: Any):
    runs = runs_of(read_item(name).work(kind), OUT, name)
    assert runs
    order = [run.line.name for run in runs]
    assert all(order.index(before) < order.index(run.line.name) for run in runs for before in run.after)
