"""The file of a watch: it comes back as it was, and what is another's or damaged is refused in one line."""

import json
from pathlib import Path

import pytest
from watched import SCORES

from ood_lightning.errors import SettingsError
from ood_lightning.watching.state import Alarm, Period, Seen, State


def test_a_state_comes_back_as_it_was(tmp_path: Path):
    state = State.begin(SCORES, 0.01)
    assert State.read(tmp_path / "none.json", SCORES, 0.01) == state
    state.gaps[3] = 7
    state.alarm = Alarm(5, "monday", "caf\\udce9.png")
    state.periods.append(Period("monday", 7, 1, 2, 0.1, {"bear": 7}))
    state.sources["monday/a.csv"] = Seen(8, "ab")
    state.write(tmp_path / "state.json")
    assert State.read(tmp_path / "state.json", SCORES, 0.01) == state
    assert state.images == 7


def test_another_calibration_another_rate_and_damage_are_refused(tmp_path: Path):
    file = tmp_path / "state.json"
    State.begin(SCORES, 0.01).write(file)
    whole = json.loads(file.read_text())
    with pytest.raises(SettingsError, match="is of another detector, or of one that was calibrated otherwise"):
        State.read(file, SCORES[1:], 0.01)
    with pytest.raises(SettingsError, match=r"begun with false_alarms 0\.01, not 0\.05"):
        State.read(file, SCORES, 0.05)

    alarm = {"alarm": {"image": 1, "period": "none", "path": "a.png"}}
    for change in (
        alarm,
        {"gaps": [0]},
        {"log": [0.0]},
        {"shares": [[1.0]]},
        {"gaps": [-1]},
        {"format": "x"},
        {"more": 1},
    ):
        file.write_text(json.dumps(whole | change))
        with pytest.raises(SettingsError, match=r"state\.json") as refused:
            State.read(file, SCORES, 0.01)
        assert "\n" not in str(refused.value)
    file.write_text("{")
    with pytest.raises(SettingsError, match="not readable as JSON"):
        State.read(file, SCORES, 0.01)
