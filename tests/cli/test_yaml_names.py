"""Names in a config are the texts that stand there, or the config is refused."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_configs
import yaml
from command_line import said

from ood_lightning.cli.main import main
from ood_lightning.cli.parser import BadSettings, parsed
from ood_lightning.report.stored import read_results

NAMES = ("no", "off", "null", "~", "1e3", "0x1F", "1:30", "2024-01-01", "a.b", "mean", "o [a]", "=1")


def wants(groups: dict[str, list[str]], label: str = "", explain: str | None = None) -> int:
    """A command with names.

    Args:
        groups: sets by name.
        label: a name.
        explain: a name or nothing.
    """
    return 0


def from_file(text: str) -> dict[str, object]:
    Path("c.yaml").write_text(text)
    return parsed(wants, ["--config", "c.yaml"], "wants")


@pytest.mark.parametrize("name", NAMES)
def test_a_key_is_the_text_that_is_written(name: str):
    assert from_file(f"groups: {{{name!r}: [x]}}")["groups"] == {name: ["x"]}
    if "[" not in name:
        assert from_file(f"groups:\n  {name}: [x]\n")["groups"] == {name: ["x"]}
        assert parsed(wants, ["--groups", f"{{{name}: [x]}}"], "wants")["groups"] == {name: ["x"]}


@pytest.mark.parametrize("value", ["no", "off", "true", "1e3", "12", "0x1F", ".inf"])
@pytest.mark.parametrize("key", ["label: {}\ngroups: {{}}", "explain: {}\ngroups: {{}}", "groups: {{near: [{}]}}"])
def test_a_value_that_yaml_made_something_else_of_is_refused(key: str, value: str):
    with pytest.raises(BadSettings, match="put quotes around names"):
        from_file(key.format(value))
    assert from_file(key.format(repr(value)))


def test_a_value_on_the_command_line_is_a_text():
    assert parsed(wants, ["--groups", "{}", "--label", "no", "--explain", "1e3"], "wants") == {
        "groups": {},
        "label": "no",
        "explain": "1e3",
    }


def test_a_name_that_comes_twice_is_refused_with_its_line():
    with pytest.raises(BadSettings, match=r"(?s)the key 'near' comes twice.*line 3"):
        from_file("groups:\n  near: [x]\n  near: [y]\n")


def test_merged_mappings_still_merge():
    merged = from_file("groups: {<<: &all {near: [x], far: [y]}, near: [z]}")["groups"]
    assert merged == {"near": ["z"], "far": ["y"]}


@pytest.mark.parametrize("name", ["x", "{a,b}", "{a, b}/x.tar", "a:", "a: b"])
def test_texts_that_look_like_mappings_stay_texts(name: str):
    assert parsed(wants, ["--groups", "{}", "--label", name], "wants")["label"] == name


@pytest.mark.slow
def test_groups_detectors_and_label_sets_keep_their_names(
    eval_yaml: Path, sets: Path, capsys: pytest.CaptureFixture[str]
):
    settings = yaml.safe_load(eval_yaml.read_text())
    model, data = settings["model"]["init_args"], settings["data"]["init_args"]
    model["label_sets"] = {"off": model["label_sets"]["names"]}
    model["detectors"] = {"1e3": {**model["detectors"]["MCM"], "init_args": {"labels": "off"}}}
    data["ood_shards"] = {"no": [str(sets / "blues")], "null": [str(sets / "greys")]}
    text = yaml.safe_dump(settings)
    for name in ("no", "null", "off"):  # as a person writes them
        text = text.replace(f"'{name}':", f"{name}:")
    eval_yaml.write_text(text)

    assert main(["test", "--config", str(eval_yaml)]) == 0
    results, _ = read_results(Path("run/eval"))
    assert {row.group for row in results} == {"no", "null", ""}
    assert {row.detector for row in results} == {"1e3"}
    assert Path("run/eval/labels/off.json").is_file()
    assert "mean no" in capsys.readouterr().out

    (written,) = Path("run/eval/log").glob("*/config.yaml")  # what we write can be given again
    assert main(["test", "--config", str(written)]) == 0
    assert read_results(Path("run/eval"))[0] == results


@pytest.mark.parametrize("name", ["mean", "mean near"])
def test_a_set_that_is_called_as_means_are_is_refused(
    eval_yaml: Path, tmp_path: Path, make_set: object, name: str, capsys: pytest.CaptureFixture[str]
):
    folder = make_set(tmp_path / "odd", name, role="ood", shards=(3,))  # type: ignore[operator]
    settings = yaml.safe_load(eval_yaml.read_text())
    settings["data"]["init_args"]["ood_shards"]["near"] = [str(folder)]
    tiny_configs.write(eval_yaml, settings)
    assert main(["test", "--config", str(eval_yaml)]) == 2
    assert f"a set is called {name!r}" in said(capsys)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["", " ", "MCM ", " near", "a  b"])
@pytest.mark.parametrize("kind", ["detector", "group"])
def test_names_that_tables_do_not_show_are_refused(
    eval_yaml: Path, kind: str, name: str, capsys: pytest.CaptureFixture[str]
):
    settings = yaml.safe_load(eval_yaml.read_text())
    model, data = settings["model"]["init_args"], settings["data"]["init_args"]
    names, old = {"detector": (model["detectors"], "MCM"), "group": (data["ood_shards"], "near")}[kind]
    names[name] = names.pop(old)
    tiny_configs.write(eval_yaml, settings)
    assert main(["test", "--config", str(eval_yaml)]) == 2
    assert (f"a {kind} is called {name!r}" if name else "eval.yaml is no config: a key is empty") in said(capsys)


def test_two_sets_that_share_a_shard_are_refused(eval_yaml: Path, sets: Path, capsys: pytest.CaptureFixture[str]):
    shutil.copytree(sets / "blues", "copy")
    manifest = Path("copy", "manifest.json")
    manifest.write_text(manifest.read_text().replace('"blues"', '"others"'))
    settings = yaml.safe_load(eval_yaml.read_text())
    settings["data"]["init_args"]["ood_shards"]["far"].append("copy")
    tiny_configs.write(eval_yaml, settings)
    assert main(["test", "--config", str(eval_yaml)]) == 2
    assert "sets 'blues' and 'others' share pictures" in said(capsys)


@pytest.mark.slow
def test_a_config_is_utf8_in_a_locale_that_is_not(tmp_path: Path):
    """Of the prompts, which name the words that are scored with."""
    Path("prompts.yaml").write_bytes('\ufefftemplates: ["ein Bild von {}", "schöner Grünfink {}"]\n'.encode())
    code = (
        "from ood_lightning.cli.parser import parsed\nfrom ood_lightning.corpora.prompts import Prompts\n"
        "def step(prompts: Prompts) -> int: ...\n"
        "print(ascii(parsed(step, ['--prompts', 'prompts.yaml'], 'step')['prompts'].templates))"
    )
    locale = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "POSIX"}
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, **locale}, capture_output=True, text=True)
    assert "sch\\xf6ner Gr\\xfcnfink" in done.stdout, done.stderr
