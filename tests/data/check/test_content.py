"""`data check`: every kind of damage is found and named, and nothing is found where nothing is wrong."""

import json
import re
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from checked_sets import run_check, set_of
from shard_files import COLOURS, MakeSet, encoded

from ood_lightning.cli.main import main
from ood_lightning.data.cards import compare
from ood_lightning.data.cards.cards import read_card
from ood_lightning.data.cards.compare import matching
from ood_lightning.data.check.content import content
from ood_lightning.data.shards.read_manifest import read_manifest
from ood_lightning.data.shards.samples import located, read_samples
from ood_lightning.data.shards.tars import SCATTERED, Slice
from ood_lightning.hashes import sha256_of


@pytest.fixture
def whole(tmp_path: Path, make_set: MakeSet) -> Path:
    return make_set(tmp_path, "whole", colours=("red", "green"), shards=(4, 3))


def test_sound_sets_have_no_problems(sets: Path, capsys: pytest.CaptureFixture[str]):
    assert run_check(sets / "id_test", sets / "shifted", "--ood", sets / "blues", sets / "greys") == (0, [])
    said = capsys.readouterr().out
    assert "no problems found" in said

    report = json.loads(Path("r.json").read_text())
    assert [(s["name"], s["role"], s["samples"], s["classes"]) for s in report["sets"]] == [
        ("id_test", "id", 12, 2), ("shifted", "covariate", 7, 2), ("blues", "ood", 9, 1), ("greys", "ood", 8, 1),
    ]  # fmt: skip


@pytest.mark.parametrize("workers", [1, 3])
def test_any_number_of_workers_finds_the_same(sets: Path, workers: int):
    manifest = read_manifest(str(sets / "train"))
    (several,) = content([(manifest, "id")], workers)
    (alone,) = content([(manifest, "id")], 1)
    assert [shard.digests for shard in several.shards] == [shard.digests for shard in alone.shards]
    assert several.n_samples == 48


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 255
    path.write_bytes(data)


def test_a_damaged_shard_is_named_and_the_others_are_not(whole: Path, capsys: pytest.CaptureFixture[str]):
    broken = whole / "whole-000001.tar"
    with tarfile.open(broken) as tar:
        members = tar.getmembers()

    flip(broken, members[0].offset_data + 100)
    status, problems = run_check(whole)
    assert status == 1
    assert (problems[0]["kind"], problems[0]["where"]) == ("shard", "whole-000001.tar")
    assert problems[0]["what"].startswith("has SHA-256 ")
    assert {p["where"].split()[0] for p in problems} == {"whole-000001.tar"}
    assert "whole-000001.tar: has SHA-256" in capsys.readouterr().out

    flip(broken, members[2].offset + 5)  # a header: the format itself would end here without a word
    whats = " ".join(p["what"] for p in run_check(whole)[1])
    assert "is damaged or cut after 2 members" in whats or "is no sound tar" in whats
    assert "holds 1 picture, the manifest says 3" in whats

    broken.write_bytes(broken.read_bytes()[:1536])
    whats = " ".join(p["what"] for p in run_check(whole)[1])
    assert "has 1536 bytes, the manifest says" in whats

    broken.unlink()
    assert [(p["where"], p["what"]) for p in run_check(whole)[1]] == [("whole-000001.tar", "is missing")]


@pytest.mark.parametrize(
    ("ending", "data", "words"),
    [
        ("cls", b"9" * 30, "its .cls is b'99999999999999999999': expected an integer"),
        ("json", b"[" * 100_000, "its .json cannot be read"),
        ("json", b"{", "its .json cannot be read"),
        ("json", b" " * 2**21, "its .json has 2,097,152 bytes, more than any that is read"),
    ],
)
def test_members_beside_a_picture_that_nobody_can_read_are_named(tmp_path: Path, ending: str, data: bytes, words: str):
    picture = encoded(COLOURS["red"], 0)
    folder = set_of(tmp_path / "odd", [[("a.png", picture), (f"a.{ending}", data), ("b.png", picture + b"\0")]])
    (problem,) = run_check(folder)[1]
    assert problem["where"] == "0.tar a"
    assert problem["what"].startswith(words)


def test_undecodable_pictures_and_wrong_labels_are_named(tmp_path: Path):
    good = [encoded(COLOURS["red"], i) for i in range(4)]
    folder = set_of(
        tmp_path / "odd",
        [
            [("a.png", good[0]), ("a.cls", b"0"), ("b.png", good[1][:-40]), ("b.cls", b"2")],
            [("c.png", good[2]), ("c.cls", b"x"), ("d.png", good[3])],
        ],
        ("red", "green"),
    )

    out_of_range, without, picture, cls = run_check(folder)[1]  # first what the set as a whole has
    assert (picture["kind"], picture["where"]) == ("picture", "0.tar b")
    assert picture["what"].startswith("cannot be read: ")
    assert (cls["kind"], cls["where"]) == ("label", "1.tar c")
    assert cls["what"] == "its .cls is b'x': expected an integer from 0 to 9223372036854775807, or -1 for no class"
    assert [(p["kind"], p["where"]) for p in (out_of_range, without)] == [("label", "classes")] * 2
    assert out_of_range["what"] == "1 picture with a label such as 2: class_names go from 0 to 1"
    assert without["what"] == "1 picture without a class, though the set has 2 class names"


def test_images_whose_bytes_cannot_be_read_are_no_duplicates(whole: Path, monkeypatch: pytest.MonkeyPatch):
    def unreadable(self: Slice) -> bytes:
        raise OSError("Input/output error")

    monkeypatch.setattr(Slice, "read", unreadable)
    _, problems = run_check(whole)
    assert "duplicate" not in {p["kind"] for p in problems}
    assert [p["what"] for p in problems if p["kind"] == "picture"] == ["cannot be read: Input/output error"] * 7


def test_an_image_without_a_class_says_nothing_of_its_folder(tmp_path: Path):
    members = [
        ("cat/a.png", encoded(COLOURS["red"], 0)),
        ("dog/b.png", encoded(COLOURS["red"], 1)),
        ("dog/b.cls", b"0"),
    ]
    _, problems = run_check(set_of(tmp_path / "half", [members], ("dog", "cat", "owl")))
    assert [p["what"] for p in problems] == ["1 picture without a class, though the set has 3 class names"]


def test_a_key_that_comes_twice_is_named(tmp_path: Path):
    good = [encoded(COLOURS["red"], i) for i in range(3)]
    again = set_of(tmp_path / "twice", [[("a.png", good[0]), ("b.png", good[1]), ("a.png", good[2])]])
    assert [(p["kind"], p["where"], p["what"]) for p in run_check(again)[1]] == [("key", "0.tar a", SCATTERED)]


def test_a_shard_that_may_not_be_read_is_a_problem_and_not_the_end(whole: Path, monkeypatch: pytest.MonkeyPatch):
    def refused(path: Path) -> str:
        if path.name == "whole-000000.tar":
            raise PermissionError(13, "Permission denied", str(path))
        return sha256_of(path)

    monkeypatch.setattr("ood_lightning.data.check.content.sha256_of", refused)
    status, problems = run_check(whole)
    assert status == 1
    assert [(p["where"], p["what"]) for p in problems] == [("whole-000000.tar", "cannot be read: Permission denied")]


def test_headers_alone_find_the_samples_that_are_read(sets: Path):
    for name in ("id_test", "train"):
        manifest = read_manifest(str(sets / name))
        for shard in manifest.shards:
            path = manifest.path(shard)
            images = [(s.key, s.picture.read(), int(s.label.read()) if s.label else -1) for s in located(path)]
            assert images == [tuple(sample)[:3] for sample in read_samples(path)]


def test_the_protocols_with_the_counts_of_a_set_are_named(
    whole: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    assert matching(5160, 43) == matching(5160, 0) == ["textures43"]
    assert matching(5160, 44) == []
    assert matching(7, 2) == []

    template = read_card("textures43")
    known = {}
    for name, n_classes, counts in (("a", 2, {"all": 7}), ("b", None, {"all": 8, "few": 7}), ("c", 3, {"all": 7})):
        protocols = tuple(replace(template.protocols[0], name=p, images=n) for p, n in counts.items())
        known[name] = replace(template, name=name, classes=n_classes, protocols=protocols)
    monkeypatch.setattr(compare, "card_names", lambda: sorted(known))
    monkeypatch.setattr(compare, "read_card", known.__getitem__)

    assert run_check(whole) == (0, [])
    assert "a, b@few" in capsys.readouterr().out
    assert json.loads(Path("r.json").read_text())["sets"][0]["counts_of"] == ["a", "b@few"]


def test_a_set_is_compared_with_its_card(whole: Path, capsys: pytest.CaptureFixture[str]):
    """A confirmed count is a problem; other differences are worth a look."""
    assert main(["data", "check", str(whole), "--card", "textures43"]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "the card textures43 says 5,160" in said
    assert re.search(r"worth a look: role id, the card textures43 says ood", said)
    assert main(["data", "check", str(whole), "--card", "textures34"]) == 2
    assert "textures43" in capsys.readouterr().err
    assert main(["data", "check", str(whole), str(whole / "manifest.json"), "--card", "textures43"]) == 2
    assert "is compared with one set" in capsys.readouterr().err
