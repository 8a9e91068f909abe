"""`data list`, `data show` and the pages made from cards: one table everywhere, and nothing heavy is imported."""

import re
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from ood_lightning.cli.main import main
from ood_lightning.data.cards.cards import card_names, find, group_names, read_card, read_group
from ood_lightning.report import cards, console

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "data").glob("*.md"))


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = spec_from_file_location("make_card_pages", ROOT / "scripts" / "make_card_pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def said(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert main(["data", *argv]) == 0
    return capsys.readouterr().out


def cells(text: str) -> list[list[str]]:
    """Lines of a printed table with as many cells as its header."""
    rows = [[cell.strip() for cell in re.split(r" {2,}", line.strip())] for line in text.splitlines()]
    return [row for row in rows if len(row) == len(cards.COLUMNS) and row != cards.COLUMNS]


@pytest.mark.parametrize("group", [None, *group_names()])
def test_the_pages_show_the_table_that_is_printed(
    group: str | None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(console, "WIDTH", 400)  # so that no cell is folded
    printed = cells(said(capsys, "list", *(["--group", group] if group else [])))
    assert [row[0] for row in printed] == (card_names() if group is None else list(read_group(group).sets))
    mark = f"<!-- cards: table {group or 'all'} -->"
    (page,) = [path for path in PAGES if mark in path.read_text()]
    part = page.read_text().partition(mark)[2].partition("<!-- end -->")[0]
    on_page = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in part.splitlines() if "|" in line]
    assert on_page[2:] == printed
    assert ("?: not counted" in part) == any(row[2].endswith("?") for row in printed)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_pages_say_what_the_cards_say(path: Path, script: ModuleType):
    text = path.read_text(encoding="utf-8")
    assert script.page(text) == text, "run scripts/make_card_pages.py"


def test_a_page_that_is_not_the_cards_is_found(script: ModuleType):
    stale = "before\n<!-- cards: table openood-near -->\nold\n<!-- end -->\nafter\n"
    fresh = script.page(stale)
    assert "| ssb-hard | ood | 49,000 | 980 | not stated |" in fresh
    assert "old" not in fresh
    assert fresh.startswith("before\n")
    assert fresh.endswith("after\n")


def test_every_recipe_of_a_group_is_on_its_page(script: ModuleType):
    for group in group_names():
        text = script.commands(read_group(group).sets)
        for reference in read_group(group).sets:
            assert f"--card {reference}\n" in text or f"# {reference}: there is no recipe" in text
        for line in ("git clone", "curl -L -C - -o raw/NINCO_all", "python - <<'END' > raw/imagenet_names.txt"):
            assert text.count(line) <= 1, "a shared step stands twice"


def test_a_card_is_shown_in_full_with_its_commands(capsys: pytest.CaptureFixture[str]):
    printed = said(capsys, "show", "imagenet-a")
    for words in (
        "imagenet-a: ImageNet-A",
        "7,500 (full)",
        "licence      MIT (repository)",
        "https://huggingface.co/datasets/clip-benchmark/wds_imagenet-a",
        "0.69 GB archive, 0.68 GB with labels",
        "every name is cut to its first word",
        "69.87 ViT-H-14-quickgelu/dfn5b",
        "groups       covariate",
        "CVPR 2021, https://arxiv.org/abs/1907.07174",
        "not run by us",
        "data pack raw/imagenet-a",
        "data check shards/imagenet-a --card imagenet-a",
        "embed --encoder configs/encoders/vit_h14_dfn5b.yaml",
    ):
        assert words in printed, words

    for name in card_names():
        card = read_card(name)
        printed = said(capsys, "show", name)
        texts = (card.citation, card.source, *card.traps, *card.checks, *card.synsets[:3])
        assert all(text in printed for text in texts)


def test_a_protocol_has_a_folder_and_a_reference_of_its_own(capsys: pytest.CaptureFixture[str]):
    printed = said(capsys, "show", "openimage-o@openood", "ninco-v2")
    assert "test_openimage_o.txt" in printed
    assert "--name openimage-o-openood --role ood --protocol openimage-o@openood" in printed
    assert "data check shards/openimage-o-openood --card openimage-o@openood" in printed
    assert "There is no recipe for protocol full." in printed
    folders = [cards.shards(*find(card.reference(p))) for card in map(read_card, card_names()) for p in card.protocols]
    assert len(set(folders)) == len(folders)


def test_wrong_names_are_told_without_a_traceback(capsys: pytest.CaptureFixture[str]):
    for argv, words in (
        (["show", "texture"], "did you mean 'textures' or 'textures43'?"),
        (["list", "--group", "openood"], "did you mean 'openood-far' or 'openood-near'?"),
        (["list", "--grup", "classic"], "did you mean 'group'?"),
        (["shwo"], "did you mean 'data show'?"),
        (["show", "cub@val"], "only all, test"),
    ):
        assert main(["data", *argv]) == 2
        printed = capsys.readouterr().err
        assert words in printed
        assert "Traceback" not in printed


def test_neither_torch_nor_lightning_is_imported():
    code = (
        "import sys; from ood_lightning.cli.main import main; main(['data', 'list']); main(['data', 'show', 'ninco']); "
        "bad = {'torch', 'lightning', 'open_clip', 'pyarrow', 'numpy'} & set(sys.modules); assert not bad, bad"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_a_narrow_terminal_cuts_no_word_short(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(console, "WIDTH", 80)
    table = said(capsys, "list", "--group=clustermine").partition("Stated sizes")[0]
    assert "…" not in table
    assert max(len(line) for line in table.splitlines() if "─" in line) <= 80
