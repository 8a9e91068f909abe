"""Reading cards: unknown names, damaged files, and what the commands do then."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ood_lightning.cli.main import main
from ood_lightning.data.cards import cards
from ood_lightning.data.cards.cards import (
    DamagedCardError,
    card_names,
    find,
    groups_of,
    read_card,
    read_group,
    with_groups,
)
from ood_lightning.data.cards.compare import known, matching
from ood_lightning.data.shards.manifest import Manifest
from ood_lightning.errors import SettingsError

Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of all cards that a test may damage."""
    copy = tmp_path / "cards"
    shutil.copytree(cards.FOLDER, copy)
    monkeypatch.setattr(cards, "FOLDER", copy)
    read_card.cache_clear()
    read_group.cache_clear()
    yield copy
    read_card.cache_clear()
    read_group.cache_clear()


def edit(path: Path, change: Change) -> None:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def test_unknown_names_are_answered_with_similar_ones():
    for wrong, similar in (
        ("texture", "'textures' or 'textures43'"),
        ("imagenet_v2", "'imagenet-v2'"),
        ("NINCO", "'ninco'"),
    ):
        with pytest.raises(SettingsError, match=f"no card '{wrong}'; did you mean {similar}"):
            read_card(wrong)

    with pytest.raises(SettingsError, match=r"no card '\.\./groups/classic'"):
        read_card("../groups/classic")
    with pytest.raises(SettingsError, match="no group 'clasic'; did you mean 'classic'"):
        read_group("clasic")


def test_a_card_is_read_as_its_file_says(folder: Path):
    edit(folder / "cub.yaml", lambda card: card.update(synsets="n01 n02", excludes=["a", "b"]))
    card = read_card("cub")
    content = yaml.safe_load((folder / "cub.yaml").read_text())
    assert (card.name, card.title, card.synsets, card.excludes) == ("cub", content["title"], ("n01", "n02"), ("a", "b"))
    assert [protocol.name for protocol in card.protocols] == list(content["protocols"])
    assert card.protocol("test").images == content["protocols"]["test"]["images"]
    assert card.mirrors[0].at == content["mirrors"][0]["at"]

    top1 = read_card("imagenet-val").top1
    assert top1 is not None
    assert top1.percent == yaml.safe_load((folder / "imagenet-val.yaml").read_text())["top1"]["percent"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda card: card.pop("licence"), "licence is missing"),
        (lambda card: card.update(licence=""), "licence is ''"),
        (lambda card: card.update(colour="red"), "colour is a key that nothing here knows"),
        (lambda card: card.update(name="cub"), "name is a key that nothing here knows"),
        (lambda card: card.update(role="far"), "role is 'far': input should be 'id', 'covariate' or 'ood'"),
        (lambda card: card.update(classes="200"), "classes is '200'"),
        (lambda card: card.update(classes=-1), "classes is -1"),
        (lambda card: card.update(protocols={}), "protocols is {}"),
        (lambda card: card["protocols"]["test"].pop("images"), "protocols.test.images is missing"),
        (lambda card: card["protocols"]["test"].update(images=True), "protocols.test.images is True"),
        (lambda card: card["protocols"]["all"].update(steps=["none"]), "protocols.all.steps names 'none', which is no"),
        (lambda card: card["mirrors"][0].update(url="x"), "mirrors.0.url is a key that nothing here knows"),
        (lambda card: card.update(contamination={"percent": 101, "note": "x"}), "contamination.percent is 101"),
        (lambda card: card.update(top1={"source": "x", "percent": {"a": "70"}}), "top1.percent.a is '70'"),
    ],
)
def test_a_damaged_card_is_named_by_file_and_field(folder: Path, change: Change, words: str):
    edit(folder / "cub.yaml", change)
    with pytest.raises(DamagedCardError, match=rf"cub\.yaml: {words}"):
        read_card("cub")


@pytest.mark.parametrize(
    "content",
    [b"", b"- a\n", b"title: [\n", b"title: \xff\n", b"2026-01-01: x\n", b"a: &a [*a]\n", b"title: 2026-13-45\n"],
)
def test_a_file_that_is_no_card_is_named(folder: Path, content: bytes):
    (folder / "cub.yaml").write_bytes(content)
    with pytest.raises(DamagedCardError, match=r"cub\.yaml( is not readable as YAML| holds what is no plain data|: )"):
        read_card("cub")


def test_the_list_shows_sound_cards_and_names_the_damaged_one(folder: Path, capsys: pytest.CaptureFixture[str]):
    edit(folder / "cub.yaml", lambda card: card.pop("licence"))
    edit(folder / "groups" / "classic.yaml", lambda group: group.update(sets=[]))
    assert main(["data", "list"]) == 1
    out, err = capsys.readouterr()
    rows = {line.split()[0] for line in out.splitlines() if line.strip()}
    assert set(card_names()) - rows == {"cub"}
    assert "cub.yaml: licence is missing" in err
    assert "classic.yaml: sets is []" in err

    assert main(["data", "list", "--group", "fine-grained"]) == 1
    out, err = capsys.readouterr()
    assert "pets" in out
    assert err.count("damaged: ") == err.count("cub.yaml: licence is missing") == 1
    assert main(["data", "list", "--group", "imagenet"]) == 0
    assert main(["data", "list", "--group", "classic"]) == 2


def test_a_list_of_damaged_cards_alone_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]):
    edit(folder / "groups" / "fine-grained.yaml", lambda group: group.update(sets=["cub"]))
    (folder / "cub.yaml").write_text("{}")
    assert main(["data", "list", "--group", "fine-grained"]) == 2
    assert "cub.yaml: title is missing" in capsys.readouterr().err


def test_a_damaged_card_is_refused_where_it_is_asked_for_and_nowhere_else(folder: Path):
    expected = matching(500, 10)
    assert expected == ["imagenet-10"]
    (folder / "cub.yaml").write_text("{}")
    read_card.cache_clear()
    assert matching(500, 10) == expected
    assert find("pets")[0].name == "pets"
    assert groups_of("pets") == ["fine-grained"]

    assert known(Manifest("a", "id", (), protocol="nobody's")) is None
    with pytest.raises(DamagedCardError, match=r"cub\.yaml"):
        known(Manifest("a", "id", (), protocol="cub@test"))


def test_a_group_stands_for_the_folders_that_its_sets_are_packed_into():
    assert with_groups(["shards/mine", "group:negrefine"]) == [
        *("shards/mine", "shards/inaturalist", "shards/openimage-o", "shards/ninco-clean", "shards/ninco-imagefolder")
    ]
    assert with_groups([]) == []
    with pytest.raises(SettingsError, match="no group 'clasic'; did you mean 'classic'"):
        with_groups(["group:clasic"])
