"""A watch over periods: what is counted, when the line is crossed, and that a restart changes nothing."""

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from watched import SCORES, THRESHOLD, rows, write_csv, write_lines

from ood_lightning.errors import SettingsError
from ood_lightning.watching.predictions import Source, sources_of
from ood_lightning.watching.state import State
from ood_lightning.watching.watch import Watch


def begin(state: State | None = None, rate: float | None = None) -> Watch:
    return Watch(state or State.begin(SCORES, 0.01), SCORES, THRESHOLD, rate)


def watch(watched: Watch, *sources: Source) -> State:
    for source in sources:
        list(watched.take(source))
    watched.finish()
    return watched.state


def days(folder: Path) -> list[Source]:
    """Two quiet days, and one of which half is strange."""
    for number, n_strange in enumerate((0, 0, 150), start=1):
        write_lines(folder / f"2026-11-0{number}" / "rows.jsonl", rows(300, number, n_strange))
    return sources_of([str(folder)], "input")


def test_the_alarm_comes_on_the_day_of_the_change(tmp_path: Path):
    state = watch(begin(), *days(tmp_path))
    assert [(one.name, one.images) for one in state.periods] == [(f"2026-11-0{n}", 300) for n in (1, 2, 3)]
    assert state.alarm is not None
    assert state.alarm.period == "2026-11-03"
    assert 601 <= state.alarm.image < 650
    assert state.alarm.path == f"3/{state.alarm.image - 601}.png"
    assert state.highest >= np.log(100)
    assert state.periods[2].concepts["fish"] == 150
    assert state.periods[2].rejected > 140 > 30 > state.periods[0].rejected


def test_a_restart_at_any_block_ends_in_the_same_state(tmp_path: Path):
    sources = days(tmp_path)
    whole = watch(begin(), *sources)
    file = tmp_path / "state.json"

    for n_blocks in (1, 2, 4):
        first = begin()
        blocks = (n for source in sources for n in first.take(source))
        for _ in range(n_blocks):
            next(blocks)
        first.state.write(file)
        again = begin(State.read(file, SCORES, 0.01))
        assert watch(again, *sources) == whole
        assert sum(again.batches.values()) + sum(first.batches.values()) == 900


def test_a_file_that_grew_is_gone_on_with_and_one_that_changed_is_refused(tmp_path: Path):
    predicted = rows(400, seed=1)
    file = write_lines(tmp_path / "rows.jsonl", predicted[:100])
    (source,) = sources_of([str(file)], "input")
    state = watch(begin(), source)
    write_lines(file, predicted)
    grown = begin(state)
    assert watch(grown, source).images == 400
    assert grown.batches == {"rows": 300}

    write_lines(file, predicted[1:])
    with pytest.raises(SettingsError, match="its first 400 rows are not those that were watched before"):
        watch(begin(state), source)


def test_a_csv_with_times_is_cut_into_days_and_all_forms_agree(tmp_path: Path):
    predicted = [
        row for day in (1, 2) for row in sorted(rows(50, day, day=f"2026-11-0{day}"), key=lambda row: row["time"])
    ]
    states = [
        watch(begin(), *sources_of([str(path)], "input"))
        for path in (write_lines(tmp_path / "rows.jsonl", predicted), write_csv(tmp_path / "rows.csv", predicted))
    ]
    assert [one.name for one in states[0].periods] == ["2026-11-01", "2026-11-02"]
    assert states[0].periods == states[1].periods


def test_standard_input_is_new_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    lines = write_lines(tmp_path / "rows.jsonl", rows(20, seed=1)).read_text()
    state = State.begin(SCORES, 0.01)
    for number in (1, 2):
        monkeypatch.setattr(sys, "stdin", io.StringIO(lines))
        watch(begin(state), *sources_of(["-"], f"input {state.n_inputs + 1}"))
        assert state.images == 20 * number
    assert [one.name for one in state.periods] == ["input 1", "input 2"]


def test_images_that_could_not_be_read_are_counted_and_nothing_else(tmp_path: Path):
    predicted = rows(20, seed=1)
    predicted[3] |= {"score": None, "p_value": None, "concepts": [], "error": "cannot be read"}
    state = watch(begin(), *sources_of([str(write_lines(tmp_path / "rows.jsonl", predicted))], "input"))
    assert (state.images, state.periods[0].images, state.periods[0].unread) == (19, 19, 1)


def test_rows_of_another_detector_are_refused(tmp_path: Path):
    predicted = rows(20, seed=1)
    predicted[7]["p_value"] = 0.123
    with pytest.raises(SettingsError, match=r"rows\.jsonl, line 8: its p-value is 0\.123, and this detector's calib"):
        watch(begin(), *sources_of([str(write_lines(tmp_path / "rows.jsonl", predicted))], "input"))


def test_pictures_are_called_ood_day_by_day(tmp_path: Path):
    watched = begin(rate=0.1)
    watch(watched, *days(tmp_path))
    assert {one.period for one in watched.called_ood} == {"2026-11-03"}
    assert 140 <= len(watched.called_ood) <= 170
    assert all(one.p_value <= one.adjusted <= 0.1 for one in watched.called_ood)


def test_exchangeable_days_give_no_alarm_whatever_their_ties(tmp_path: Path):
    tied = tuple(round(score, 0) for score in SCORES)
    predicted = [{"path": "x", "score": round(row["score"], 0), "concepts": []} for row in rows(2000, seed=4)]
    watched = Watch(State.begin(tied, 0.01), tied, -9.0, None)
    assert watch(watched, *sources_of([str(write_lines(tmp_path / "rows.jsonl", predicted))], "input")).alarm is None
