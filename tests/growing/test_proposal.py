"""The file that a person edits: written, edited, read back, and every mistake in a line."""

import re
import subprocess
from pathlib import Path

import pytest

from ood_lightning.corpora.grown import AcceptedWord, Parent
from ood_lightning.errors import CorpusError
from ood_lightning.growing.groups import Group
from ood_lightning.growing.proposal import FORMAT, TEXT, Proposal, Reply, read_choices, read_proposal, write_proposal

CORPUS = ("horse", "tiger")
REPLIES = (
    Reply(3, "what?", False, "zebra\nmule", ("zebra", "mule"), ()),
    Reply(12, "and this?", False, "liger\nmule", ("liger", "mule"), ("tiger",)),
)
PROPOSAL = Proposal(
    format=FORMAT,
    parent=Parent("list", 2, "ab" * 32),
    prompts="p",
    encoder="e",
    pictures="f",
    seed=0,
    clusters=4,
    model="tiny at http://x/v1",
    replies=REPLIES,
)
GROUPS = [Group(n, 9, 0.4, 0.3, (("horse", 4), ("tiger", 0)), (0,), "only 40 % name its word") for n in (3, 12)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_proposal(tmp_path, PROPOSAL, GROUPS, 4)
    return tmp_path


def edited(folder: Path, *lines: str) -> Path:
    (folder / TEXT).write_text("\n".join(["[3] 9 pictures", *lines]), encoding="utf-8")
    return folder


def test_what_is_written_says_how_to_edit_it_and_nothing_is_accepted_yet(folder: Path):
    text = (folder / TEXT).read_text()
    assert "proposes for 2 of 4 groups of pictures, which list describes badly" in text
    assert (
        "[12] 9 pictures, sheets/12.jpg: only 40 % name its word\n# nearest: horse (4), tiger\n? liger\n? mule\n"
        in text
    )
    assert read_proposal(folder) == PROPOSAL
    with pytest.raises(CorpusError, match=r"accepts no word, 4 are undecided \(`\?`\): write `\+`"):
        read_choices(folder, PROPOSAL, CORPUS)


def test_the_command_that_accepts_all_does_so_in_any_folder(tmp_path: Path):
    folder = tmp_path / "it's a run"
    folder.mkdir()
    write_proposal(folder, PROPOSAL, GROUPS, 4)
    (command,) = re.findall(r"`(sed .*)`", (folder / TEXT).read_text())
    subprocess.run(["bash", "-c", command], check=True)
    assert len(read_choices(folder, PROPOSAL, CORPUS).accepted) == 3


def test_accepted_edited_refused_and_own_words(folder: Path):
    edited(folder, "+ zebra", "- mule", "[12]", "+ Ligers ", "? mule", "+ tigon", "+ ZEBRA")
    choices = read_choices(folder, PROPOSAL, CORPUS)
    assert choices.accepted == (
        AcceptedWord("zebra", 3, "model"),
        AcceptedWord("ligers", 12, "person"),
        AcceptedWord("tigon", 12, "person"),
    )
    assert choices.refused == ("mule", "liger")
    assert choices.n_undecided == 1


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("zebra", "line 2: 'zebra' is no `+ word`"),
        ("+zebra", "line 2: '+zebra' is no `+ word`"),
        ("[99] x", "line 2: there is no group 99"),
        (f"[{'9' * 5000}] x", "9] x' is no `+ word`"),
        ("+ Horse", "line 2: 'horse' is in the corpus already"),
        ("+ ze\x1bbra", r"line 2: 'ze\x1bbra' is no word that can be printed"),
    ],
)
def test_a_mistake_is_named_with_its_line(folder: Path, line: str, expected: str):
    with pytest.raises(CorpusError) as refused:
        read_choices(edited(folder, line), PROPOSAL, CORPUS)
    assert expected in str(refused.value)
    assert "\x1b" not in str(refused.value)


def test_a_damaged_or_missing_record_is_refused(tmp_path: Path):
    with pytest.raises(CorpusError, match="does not exist"):
        read_proposal(tmp_path)
    (tmp_path / "proposal.json").write_text('{"format": "ood_lightning/corpus-proposal/1"}')
    with pytest.raises(CorpusError, match="is missing"):
        read_proposal(tmp_path)
