"""One rule for names that become names of files, whoever chose them."""

from pathlib import Path

import pytest
import yaml
from command_line import said

from ood_lightning.cli.main import main
from ood_lightning.errors import SettingsError
from ood_lightning.file_names import LONGEST, check_names, name_fault, path_fault

NAMES = ["../x", "/x", "a/b", "a\\b", "..", ".", "", " ", ".hidden", "a\0b", "a\nb", "a\u2028b", "\ud800", "x" * 151]
PATHS = ["../x.tar", "/x.tar", "a/../../x.tar", "a\\..\\x.tar", "pipe:touch x", "https://h/x.tar", "", ".", "a\0.tar"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_leads_elsewhere_or_names_no_file_has_a_fault(name: str):
    assert name_fault(name)
    with pytest.raises(SettingsError, match=r"the label set .* is written to a file of its name, but it"):
        check_names("label set", ["sound", name])


@pytest.mark.parametrize("name", ["imagenet-a", "ImageNet V2 (top)", "goéland", "a.b", "x" * LONGEST])
def test_a_sound_name_has_none(name: str):
    assert not name_fault(name)


@pytest.mark.parametrize("path", PATHS)
def test_a_path_out_of_its_folder_has_a_fault(path: str):
    assert path_fault(path)


@pytest.mark.parametrize("path", ["x.tar", "a/b/x.tar", "./x.tar", "a..b/x.tar", "mit leer.tar"])
def test_a_path_below_its_folder_has_none(path: str):
    assert not path_fault(path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["../../posmine", "a\0b", "a/b"])
def test_no_label_set_is_written_outside_the_run(eval_yaml: Path, name: str, capsys: pytest.CaptureFixture[str]):
    settings = yaml.safe_load(eval_yaml.read_text())
    label_sets = settings["model"]["init_args"]["label_sets"]
    label_sets[name] = next(iter(label_sets.values()))
    eval_yaml.write_text(yaml.safe_dump(settings))
    assert main(["test", "--config", str(eval_yaml)]) == 2
    assert "is written to a file of its name, but it" in said(capsys)
