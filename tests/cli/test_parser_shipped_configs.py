"""The shipped configs: each parses and builds what it names."""

import functools
import re
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
import yaml
from command_line import CONFIGS, command_of

from ood_lightning.cli.main import TRAINER, main
from ood_lightning.cli.parser import run_step
from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.words import Corpus
from ood_lightning.detectors.base import Detector, StreamDetector
from ood_lightning.encoders.base import Encoder
from ood_lightning.filtering.judges.base import Judge

pytestmark = pytest.mark.slow  # every config

SHIPPED = sorted(CONFIGS.rglob("*.yaml"))
PARTS = {
    "encoders": Encoder,
    "detectors": Detector,
    "streams": StreamDetector,
    "corpora": Corpus,
    "prompts": Prompts,
    "judges": Judge,
}
WHOLE = [path for path in SHIPPED if path.parent.name not in PARTS]


def short(path: Path) -> str:
    return str(path.relative_to(CONFIGS).with_suffix(""))


@pytest.mark.parametrize("path", WHOLE, ids=short)
def test_every_shipped_config_parses_under_the_command_on_its_first_line(
    path: Path, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as stop:
        main([*command_of(path), "--print_config"])
    out = capsys.readouterr()
    assert stop.value.code == 0, out.err
    assert isinstance(yaml.safe_load(out.out), dict)


@pytest.mark.parametrize("path", [p for p in WHOLE if command_of(p)[0] in TRAINER], ids=short)
@pytest.mark.slow
def test_every_trainer_config_builds_trainer_data_and_model(path: Path, monkeypatch: pytest.MonkeyPatch):
    calls = []
    command = command_of(path)
    original = getattr(L.Trainer, command[0])

    @functools.wraps(original)
    def instead(self: L.Trainer, *args: Any, **options: Any) -> None:
        calls.append((self, options["model"], options["datamodule"]))

    monkeypatch.setattr(L.Trainer, command[0], instead)
    monkeypatch.setattr("ood_lightning.cli.trainer.before_work", lambda checks: None)  # its sets are not here
    assert main([*command, "--trainer.accelerator", "cpu", "--trainer.devices", "1"]) == 0

    ((trainer, model, data),) = calls
    assert type(model).__module__.startswith("ood_lightning.")
    assert type(data).__module__.startswith("ood_lightning.")
    assert trainer.default_root_dir.startswith("runs/")
    if hasattr(model, "encoder"):  # the link: loaded once
        assert model.encoder is data.encoder


@pytest.mark.parametrize("path", [p for p in SHIPPED if p.parent.name in PARTS], ids=short)
def test_every_shipped_part_builds(path: Path):
    built: list[object] = []
    kind = PARTS[path.parent.name]

    def build(part: Any) -> None:
        built.append(part)

    build.__annotations__["part"] = kind
    assert run_step(build, ["--part", str(path)], "build") == 0
    assert isinstance(built[0], kind)


@pytest.mark.parametrize("path", SHIPPED, ids=short)
def test_every_shipped_config_begins_with_a_comment(path: Path):
    assert path.read_text(encoding="utf-8").startswith("# ")


def test_a_part_of_the_experiments_is_not_written_twice():
    """`detectors/NAME.yaml` holds what several experiments share."""
    parts = [path for path in SHIPPED if path.parent.name in PARTS]
    contents = [yaml.safe_dump(yaml.safe_load(path.read_text(encoding="utf-8"))) for path in parts]
    assert len(set(contents)) == len(contents)


# those that have no ID set, or that need the very names of the published run
GIVES_NAMES = {
    "filter",
    "imagenet/clipn",
    "corpora/pos_na_with_names",
    "corpora/pos_n_with_names",
}


@pytest.mark.parametrize("path", [p for p in SHIPPED if short(p) not in GIVES_NAMES], ids=short)
def test_a_config_takes_the_names_of_whatever_id_set_it_is_run_on(path: Path):
    """Names of a set in a config would go with it to another ID set; mined ones (`runs/`) are no names."""
    settings = path.read_text(encoding="utf-8")
    assert not [line for line in settings.splitlines() if re.search(r"(^|\W)names: *(?!runs/)\w+[:/.]", line)]
