"""`reproduce`: plans without data, every shipped command parsed, and a twin that is killed and goes on."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from command_line import CONFIGS, said

from ood_lightning.cli.main import main
from ood_lightning.cli.reproduce_steps import Order
from ood_lightning.cli.sweep import check_commands
from ood_lightning.experiments.lines import read_lines
from ood_lightning.experiments.records import Record, plan
from ood_lightning.report.stored import read_sheet
from ood_lightning.reproduction.item import Kind
from ood_lightning.reproduction.item_files import item_names, path_of
from ood_lightning.reproduction.result import folder_of

KINDS = ("full", "twin")


@pytest.mark.slow
@pytest.mark.parametrize("name", item_names())
@pytest.mark.parametrize("switch", [[], ["--pictograms"]], ids=KINDS)
def test_every_plan_is_printed_without_any_data(name: str, switch: list[str], capsys: pytest.CaptureFixture[str]):
    assert main(["reproduce", name, "--dry-run", *switch]) == 0
    out = capsys.readouterr().out
    commands = re.findall(r"^python -m ood_lightning (\w+) ", out, re.MULTILINE)
    n_steps = re.search(r"^# (\d+) steps?, 0 finished; results in runs/reproduce$", out, re.MULTILINE)
    assert n_steps
    assert len(commands) == int(n_steps[1])
    assert not Path("runs").exists()


def test_a_plan_says_what_else_needs_a_step(capsys: pytest.CaptureFixture[str]):
    assert main(["reproduce", "clustermine:table2", "--dry-run"]) == 0
    assert re.search(
        r"^# test: also a step of .*clustermine:table9.*; reads fit-", capsys.readouterr().out, re.MULTILINE
    )


def test_all_items_are_listed_with_what_they_take(capsys: pytest.CaptureFixture[str]):
    assert main(["reproduce", "list"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert all(name in out for name in item_names())
    assert "GPU hours and GB are calculated, not measured" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("reproduce clustermine:table10", "there is no item 'clustermine:table10'; did you mean"),
        ("reproduce a b", "2 items given: expected one"),
        ("reproduce clustermine:table1 --jobs 0", "jobs is 0: expected 1 or more"),
        ("reproduce nope.yaml", "the item nope.yaml does not exist"),
        ("reproduce collect a", "1 folder given"),
        ("reproduce collect a b", "there is no a/record.json"),
        ("reproduce colect a", "2 items given"),
    ],
)
def test_refusals(arguments: str, words: str, capsys: pytest.CaptureFixture[str]):
    assert main(arguments.split()) == 2
    assert words in said(capsys)


@pytest.mark.slow
def test_what_is_missing_is_submitted_by_the_pipeline_in_the_order_in_which_it_is_read(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
):
    monkeypatch.chdir(CONFIGS.parent)
    monkeypatch.setenv("OOD_SLURM_SCRIPTS", str(tmp_path))
    out = tmp_path / "out"
    command = ["reproduce", "clustermine:table1", "--slurm=site.env", f"--out={out}"]
    assert main(command) == 2
    assert f"there is no {tmp_path}/pipeline.sh" in said(capfd)

    script = tmp_path / "pipeline.sh"
    script.write_text('#!/bin/sh\necho "$@"\nexit $REFUSED\n')
    script.chmod(0o755)
    monkeypatch.setenv("REFUSED", "2")
    assert main(command) == 2
    monkeypatch.setenv("REFUSED", "0")
    assert main(command) == 0
    file = out / "pipelines/clustermine-table1-full.txt"
    assert f"site.env {file} {out}/steps" in capfd.readouterr().out

    lines = read_lines(file.read_text(), file)
    assert [line.steps[0].command for line in lines] == ["fit", "fit", "fit", "test", "test"]
    order = Order.of("clustermine:table1", "full", out)
    for line in plan(lines, out / "steps"):  # what a task of the array writes, `reproduce` takes for finished
        Record(line.steps[0].settings, True, []).write(line.steps[0].folder)
    assert not any(line.to_run for line in order.again().lines)


@pytest.mark.slow
@pytest.mark.parametrize("name", item_names())
@pytest.mark.parametrize("kind", KINDS)
def test_every_command_of_a_shipped_item_is_parsed(name: str, kind: Kind, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(CONFIGS.parent)
    order = Order.of(name, kind, Path("runs/none"))
    names = check_commands(order.lines, order.steps, Path(name))
    assert set(names.values()) <= {"embed", "filter", "fit", "mine", "test"}


def bytes_of(out: Path, item: str = "clustermine-table1-twin") -> dict[str, bytes]:
    """What has to repeat of an item's result; seconds stand apart."""
    return {path.name: path.read_bytes() for path in sorted((out / item).iterdir()) if path.name != "times.json"}


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all twins, which share steps."""
    return tmp_path_factory.mktemp("twins") / "out"


@pytest.mark.slow
def test_the_twin_of_table1_has_all_its_rows_and_repeats(out: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(CONFIGS.parent)  # its features are kept there
    command = ["reproduce", "clustermine:table1", "--pictograms", f"--out={out}"]
    assert main(command) == 0
    first = bytes_of(out)
    assert set(first) == {"record.json", "result.csv", "result.md", "result.tex"}

    record = json.loads(first["record.json"])
    assert (record["item"], record["kind"], record["conventions"]) == ("clustermine:table1", "twin", ["ours"])
    assert set(record["sets"]) == {"id_test", "id_train", "plants", "food", "objects", "faces", "transport", "symbols"}
    assert {row.partition(",")[0] for row in record["not_run"]} == {"ClusterMine"}
    assert b"verdict" not in first["result.md"]

    shutil.rmtree(out / "clustermine-table1-twin")
    assert main(command) == 0  # nothing but the table
    assert bytes_of(out) == first
    assert main(["reproduce", "collect", f"{out}/clustermine-table1-twin", f"{out}/clustermine-table1-twin/."]) == 0


@pytest.mark.long
def test_the_twin_of_figure6_is_drawn(out: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """With fewer values on each axis: its clustering is that of Table 1, and every kind of step runs."""
    content = yaml.safe_load(path_of("clustermine:figure6").read_text())
    content["twin"]["grid"] |= {"negatives": {"all": None}, "min_images": [6], "clusters": [64, 256]}
    item = tmp_path / "clustermine" / "figure6.yaml"
    item.parent.mkdir()
    item.write_text(yaml.safe_dump(content, sort_keys=False))

    monkeypatch.chdir(CONFIGS.parent)
    assert main(["reproduce", str(item), "--pictograms", "--jobs=2", f"--out={out}"]) == 0
    files = bytes_of(out, "figure6-twin")
    assert b">|P|<" in files["figure.svg"]
    rows = files["result.csv"].decode().splitlines()
    assert sum(",auroc,9" in row for row in rows) == 7


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("name", item_names())
def test_every_twin_ends_with_numbers(name: str, out: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(CONFIGS.parent)
    assert main(["reproduce", name, "--pictograms", f"--out={out}"]) == 0
    rows = read_sheet(folder_of(name, "twin", out) / "result.csv")
    assert any(row["ours"] for row in rows)
    assert all(row["ours"] or row["not_run"].startswith(("needs", "the negatives of")) for row in rows)


@pytest.mark.slow
@pytest.mark.long
def test_a_twin_that_is_killed_at_ten_moments_ends_with_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(CONFIGS.parent)
    command = ["reproduce", "clustermine:table1", "--pictograms"]
    assert main([*command, f"--out={tmp_path}/undisturbed"]) == 0

    argv = [sys.executable, "-m", "ood_lightning", *command, f"--out={tmp_path}/killed"]
    for moment in range(10):
        process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(4 + 2 * moment)
        process.send_signal(signal.SIGKILL if moment % 2 else signal.SIGTERM)
        process.wait()

    # a step whose parent was killed goes on alone, and its folder is refused until it has ended
    status = next(
        (code for _ in range(30) if (code := subprocess.run(argv, stdout=subprocess.DEVNULL).returncode) == 0), 1
    )
    assert status == 0
    assert bytes_of(tmp_path / "killed") == bytes_of(tmp_path / "undisturbed")
