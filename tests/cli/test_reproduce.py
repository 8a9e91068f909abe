"""`reproduce`: plans without data, every shipped command parsed, and a twin that is killed and goes on."""

import re
from pathlib import Path

import pytest
from command_line import CONFIGS, said

from ood_lightning.cli.main import main
from ood_lightning.cli.reproduce_steps import Order
from ood_lightning.cli.sweep import check_commands
from ood_lightning.reproduction.item import Kind, item_names

KINDS = ("full", "twin")


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
@pytest.mark.parametrize("name", item_names())
@pytest.mark.parametrize("kind", KINDS)
def test_every_command_of_a_shipped_item_is_parsed(name: str, kind: Kind, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(CONFIGS.parent)
    order = Order.of(name, kind, Path("runs/none"))
    names = check_commands(order.lines, order.steps, Path(name))
    assert set(names.values()) <= {"fit", "test", "mine", "filter"}
