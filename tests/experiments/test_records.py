"""Which steps of a sweep count as finished."""

from pathlib import Path

import pytest

from ood_lightning.experiments.lines import Line, Step
from ood_lightning.experiments.records import FILE, Record, plan

LINE = Line("a", (Step("fit", ("--seed_everything=1",)), Step("test", ("--model", "{fit}"))), {"seed": "1"})


def finish(line: Line, n_steps: int) -> None:
    """Note the first steps of a line as finished."""
    (planned,) = plan([line], Path("out"))
    for step in planned.steps[:n_steps]:
        step.folder.mkdir(parents=True, exist_ok=True)
        Record(step.settings, True, []).write(step.folder)


def to_run(line: Line) -> list[str]:
    (planned,) = plan([line], Path("out"))
    return [step.step.command for step in planned.to_run]


@pytest.mark.parametrize(("n_steps", "left"), [(0, ["fit", "test"]), (1, ["test"]), (2, [])])
def test_finished_steps_are_not_run_again(n_steps: int, left: list[str]):
    finish(LINE, n_steps)
    assert to_run(LINE) == left


def test_a_step_of_other_settings_and_those_after_it_are_run():
    finish(LINE, 2)
    changed = LINE._replace(steps=(Step("fit", ("--seed_everything=2",)), LINE.steps[1]))
    assert to_run(changed) == ["fit", "test"]


def test_a_step_that_was_begun_is_run_again():
    finish(LINE, 2)
    (planned,) = plan([LINE], Path("out"))
    Record(planned.steps[1].settings, False, []).write(planned.steps[1].folder)
    assert to_run(LINE) == ["test"]


def test_a_damaged_record_is_none():
    finish(LINE, 2)
    Path("out/a/fit", FILE).write_text("{")
    assert to_run(LINE) == ["fit", "test"]
