"""`$WANDB_MODE`, as people write it."""

import os
from pathlib import Path

import pytest

from ood_lightning.callbacks.wandb import RunLogger


@pytest.mark.parametrize(
    ("value", "mode"), [("Offline", "offline"), ("DISABLED", "disabled"), ("of course", "offline")]
)
def test_the_mode_may_have_capitals_and_a_wrong_one_ends_no_run(
    value: str, mode: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
):
    """W&B itself reads the variable too, and would raise."""
    monkeypatch.setenv("WANDB_MODE", value)
    assert RunLogger(save_dir=str(tmp_path))._wandb_init["mode"] == os.environ["WANDB_MODE"] == mode
    assert ("WANDB_MODE is 'of course': expected one of offline, online" in caplog.text) == (value == "of course")
