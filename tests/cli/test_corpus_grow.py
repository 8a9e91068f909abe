"""`corpus grow` on drawings: a proposal, a person's edits, a new corpus, and what it does to held-out pictures."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from chat_server import Server, completion, serving
from unpacked import unpack

from ood_lightning.cli.main import main
from ood_lightning.data.artifacts.label_set import LabelSet
from ood_lightning.filtering.judges.openai_compatible import OpenAICompatibleJudge
from ood_lightning.growing import steps

JUDGE = "ood_lightning.filtering.judges.openai_compatible.OpenAICompatibleJudge"
CORPUS = ("wagon", "letter", "castle", "bread", "music", "sleep", "winter", "tool", "dress", "metal")  # no animal


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("grow")
    unpack("id_test", folder / "animals", 60)
    return folder


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with serving(monkeypatch) as running:
        running.reply = lambda question, times: (200, completion("1. Animal\n2. bread\n3. insect\n4. bird"))
        yield running


@pytest.fixture
def grow(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(kept / "animals", tmp_path / "animals")
    Path("words.txt").write_text("\n".join(CORPUS))
    corpus = ["--corpus", "ood_lightning.corpora.words.WordFile", "--corpus.path", "words.txt"]
    machine = ["--cache_dir", str(kept / "cache"), "--num_workers", "0", "--out", "g", "--clusters", "6"]

    def call(*words: str) -> int:
        settings = ["--encoder", "encoders/pictograms.yaml", "--id_shards", "animals", "--prompts", "prompts/bare.yaml"]
        return main(["corpus", "grow", *settings, *corpus, *machine, *words])

    return call


def named(server: Server) -> list[str]:
    return ["--server", JUDGE, "--server.url", server.url, "--server.model", "tiny"]


@pytest.mark.slow
def test_words_are_proposed_edited_and_added_and_the_gain_is_measured(grow: Any, server: Server, capsys: Any):
    assert grow(*named(server), "--pictures") == 0
    assert "3 words are proposed: accept, edit or refuse them in g/proposal.txt" in capsys.readouterr().out
    assert all(isinstance(body["messages"][1]["content"], list) for body in server.seen)
    assert all(path.suffix == ".jpg" for path in Path("g/sheets").iterdir())
    assert len(list(Path("g/sheets").iterdir())) == len(server.seen)

    text = Path("g/proposal.txt").read_text()
    assert "? bread" not in text  # the corpus has it
    text = re.sub(r"^\? animal$", "+ animal", text, flags=re.MULTILINE)
    text = re.sub(r"^\? insect$", "+ Small  Insect", text, flags=re.MULTILINE)
    Path("g/proposal.txt").write_text(text)
    n_asked = len(server.seen)
    assert grow("--apply") == 0
    printed = capsys.readouterr().out
    assert len(server.seen) == n_asked
    assert "2 words accepted, 1 of them edited or your own; 2 not taken" in printed
    assert re.search(r"ID mass of 30 held-out pictures: 0\.\d{4} before, 0\.\d{4} after, [-+]0\.\d{4} \[", printed)

    file = json.loads(Path("g/grown.json").read_text())
    assert {one["word"]: one["origin"] for one in file["accepted"]} == {"animal": "model", "small insect": "person"}
    assert file["refused"] == ["insect", "bird"]
    assert file["model"] == f"tiny at {server.url}"
    assert {one["answer"] for one in file["replies"]} == {"1. Animal\n2. bread\n3. insect\n4. bird"}
    judgement = file["judgement"]
    assert judgement["gain"] == pytest.approx(judgement["id_mass_after"] - judgement["id_mass_before"])
    assert "animal" in judgement["elected"]

    grown = yaml.safe_load(Path("g/corpus.yaml").read_text())
    assert grown["class_path"] == "ood_lightning.corpora.grown.Grown"
    source = ["--source", "ood_lightning.label_sets.posmine.PosMine", "--source.min_images", "1"]
    settings = ["--encoder", "encoders/pictograms.yaml", "--prompts", "prompts/bare.yaml", "--id_shards", "animals"]
    assert main(["mine", *settings, *source, "--corpus", "g/corpus.yaml", "--out", "labels.json"]) == 0
    label_set = LabelSet.read("labels.json")
    assert "animal" in label_set.words
    assert label_set.supervision == ("id_images", "llm")


@pytest.mark.slow
def test_a_persons_edits_are_never_written_over_and_other_settings_are_refused(grow: Any, server: Server, capsys: Any):
    assert grow(*named(server)) == 0
    before = Path("g/proposal.txt").read_bytes()
    assert grow(*named(server)) == 2
    assert "g/proposal.txt is there already: add --apply" in capsys.readouterr().err
    assert Path("g/proposal.txt").read_bytes() == before

    assert grow("--apply") == 2
    assert "accepts no word, " in capsys.readouterr().err
    assert grow("--apply", "--seed", "1") == 2
    assert "was made with another seed: use the settings that proposed" in capsys.readouterr().err
    assert not Path("g/grown.json").exists()


def test_a_proposal_that_came_meanwhile_is_not_written_over(
    grow: Any, server: Server, capsys: Any, monkeypatch: pytest.MonkeyPatch
):
    def other_process_ends(_: object) -> None:
        Path("g").mkdir()
        Path("g/proposal.txt").write_text("edited")

    monkeypatch.setattr(OpenAICompatibleJudge, "check", other_process_ends)
    assert grow(*named(server)) == 2
    assert "g/proposal.txt is there already: add --apply" in capsys.readouterr().err
    assert Path("g/proposal.txt").read_text() == "edited"


@pytest.mark.slow
def test_apply_takes_the_number_of_groups_that_was_proposed_with(
    grow: Any, server: Server, capsys: Any, monkeypatch: pytest.MonkeyPatch
):
    """Rounding may choose another one on another machine."""
    assert grow(*named(server)) == 0
    text = Path("g/proposal.txt").read_text()
    Path("g/proposal.txt").write_text(text.replace("? animal", "+ animal"))

    monkeypatch.setattr(steps, "choose_clusters", lambda *_: pytest.fail("is not asked"))
    assert grow("--apply", "--clusters", "null") == 0
    assert json.loads(Path("g/grown.json").read_text())["judgement"]["elected"] == ["animal"]
    assert grow("--apply", "--clusters", "5") == 2
    assert "was made with another clusters" in capsys.readouterr().err


def test_mistakes_are_named_before_anything_is_embedded(grow: Any, server: Server, capsys: Any):
    for words, expected in (
        ((), "no server is named that proposes words"),
        (("--apply",), "there is no g/proposal.txt: run the command without --apply first"),
        ((*named(server), "--words", "0"), "words is 0: expected 1 or more"),
    ):
        assert grow(*words) == 2
        assert expected in capsys.readouterr().err
    assert not Path("g").exists()


def test_a_server_that_is_down_is_said_at_once(grow: Any, capsys: Any, monkeypatch: pytest.MonkeyPatch):
    with serving(monkeypatch) as gone:
        url = gone.url
    assert grow("--server", JUDGE, "--server.url", url, "--server.model", "tiny") == 2
    assert "cannot be asked" in capsys.readouterr().err
    assert not Path("g").exists()
