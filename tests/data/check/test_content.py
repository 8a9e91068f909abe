"""`data check`: every kind of damage is found and named, and nothing is found where nothing is wrong."""

import json
import re
import shutil
import tarfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from shard_files import COLOURS, MakeSet, encoded, write_tar

from ood_lightning.cli.main import main
from ood_lightning.data.artifacts.features import Features
from ood_lightning.data.cards import compare
from ood_lightning.data.cards.cards import read_card
from ood_lightning.data.cards.compare import matching
from ood_lightning.data.check.content import SetContent, ShardContent, content
from ood_lightning.data.check.exact_duplicates import duplicates
from ood_lightning.data.check.near_duplicates import near_duplicates
from ood_lightning.data.shards.manifest import Manifest, Shard
from ood_lightning.data.shards.members import located
from ood_lightning.data.shards.read_manifest import read_manifest
from ood_lightning.data.shards.samples import read_samples
from ood_lightning.hashes import sha256_of

BLOCK = 512


def checked(*given: str | Path) -> tuple[int, list[dict[str, str]]]:
    status = main(["data", "check", *map(str, given), "--out=r.json", "--workers=1"])
    return status, json.loads(Path("r.json").read_text())["problems"]


@pytest.fixture
def whole(tmp_path: Path, make_set: MakeSet) -> Path:
    return make_set(tmp_path, "whole", colours=("red", "green"), shards=(4, 3))


def described(folder: Path, members: list[list[tuple[str, bytes]]], names: tuple[str, ...] = ()) -> Path:
    """A set with a manifest that fits its shards."""
    folder.mkdir()
    shards = []
    for i, some in enumerate(members):
        path = folder / f"{i}.tar"
        write_tar(path, some)
        pictures = sum(name.endswith("png") for name, _ in some)
        shards.append(Shard(path.name, pictures, path.stat().st_size, sha256_of(path)))
    Manifest(folder.name, "id", tuple(shards), names).write(folder)
    return folder


def test_sound_sets_have_no_problems(sets: Path, capsys: pytest.CaptureFixture[str]):
    assert checked(sets / "id_test", sets / "shifted", "--ood", sets / "blues", sets / "greys") == (0, [])
    said = capsys.readouterr().out
    assert "no problems found" in said
    report = json.loads(Path("r.json").read_text())
    assert [(s["name"], s["role"], s["samples"], s["classes"]) for s in report["sets"]] == [
        ("id_test", "id", 12, 2), ("shifted", "covariate", 7, 2), ("blues", "ood", 9, 1), ("greys", "ood", 8, 1),
    ]  # fmt: skip


@pytest.mark.parametrize("workers", [1, 3])
def test_any_number_of_workers_finds_the_same(sets: Path, workers: int):
    found = content([(read_manifest(str(sets / "train")), "id")], workers)
    alone = content([(read_manifest(str(sets / "train")), "id")], 1)
    assert [s.digests for s in found[0].shards] == [s.digests for s in alone[0].shards]
    assert found[0].n_samples == 48


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 255
    path.write_bytes(data)


def test_a_damaged_shard_is_named_and_the_others_are_not(whole: Path, capsys: pytest.CaptureFixture[str]):
    broken = whole / "whole-000001.tar"
    with tarfile.open(broken) as tar:
        first, second = tar.getmembers()[0].offset_data, tar.getmembers()[2].offset
    flip(broken, first + 100)
    status, found = checked(whole)
    assert status == 1
    assert (found[0]["kind"], found[0]["where"]) == ("shard", "whole-000001.tar")
    assert found[0]["what"].startswith("has SHA-256 ")
    assert {p["where"].split()[0] for p in found} == {"whole-000001.tar"}
    assert "whole-000001.tar: has SHA-256" in capsys.readouterr().out
    flip(broken, second + 5)  # a header: the format itself would end here without a word
    whats = " ".join(p["what"] for p in checked(whole)[1])
    assert "is damaged or cut after 2 members" in whats or "is no sound tar" in whats
    assert "holds 1 picture, the manifest says 3" in whats
    broken.write_bytes(broken.read_bytes()[:1536])
    whats = " ".join(p["what"] for p in checked(whole)[1])
    assert "has 1536 bytes, the manifest says" in whats
    broken.unlink()
    assert [(p["where"], p["what"]) for p in checked(whole)[1]] == [("whole-000001.tar", "is missing")]


def test_undecodable_pictures_wrong_labels_and_keys_are_named(tmp_path: Path):
    good = [encoded(COLOURS["red"], i) for i in range(4)]
    folder = described(
        tmp_path / "odd",
        [
            [("a.png", good[0]), ("a.cls", b"0"), ("b.png", good[1][:-40]), ("b.cls", b"2")],
            [("c.png", good[2]), ("c.cls", b"x"), ("d.png", good[3])],
        ],
        ("red", "green"),
    )
    found = {(p["kind"], p["where"]): p["what"] for p in checked(folder)[1]}
    assert "cannot be decoded" in found.pop(("picture", "0.tar b"))
    assert "cannot be read" in found.pop(("label", "1.tar c"))
    (both,) = found.items()
    assert both[0] == ("label", "classes")
    assert Counter(p["kind"] for p in checked(folder)[1]) == {"picture": 1, "label": 3}
    all_of = [p["what"] for p in checked(folder)[1] if p["where"] == "classes"]
    assert all_of[0] == "1 picture with a label such as 2: class_names go from 0 to 1"
    assert all_of[1] == "1 picture without a class, though the set has 2 class names"
    again = described(tmp_path / "twice", [[("a.png", good[0]), ("b.png", good[1]), ("a.png", good[2])]])
    assert [(p["kind"], p["where"], p["what"]) for p in checked(again)[1]] == [("key", "0.tar a", "comes twice")]


def test_numbered_folders_sorted_as_text_are_noticed(tmp_path: Path):
    def members(order: list[str]) -> list[list[tuple[str, bytes]]]:
        rows = []
        for label, name in enumerate(order):
            rows += [(f"{name}/x.cls", str(label).encode()), (f"{name}/x.png", encoded(COLOURS["red"], label))]
        return [rows]

    assert checked(described(tmp_path / "numbers", members(["0", "1", "2", "10"]))) == (0, [])
    status, found = checked(described(tmp_path / "text", members(["0", "1", "10", "2"])))
    assert status == 1
    assert "folder '10' has label 2. They seem to be sorted as text." in found[0]["what"]


def labelled(names: list[str], folder: str = "") -> list[list[tuple[str, bytes]]]:
    """One shard with a picture in each class folder, numbered in their order."""
    rows = []
    for label, name in enumerate(names):
        rows += [(f"{folder}{name}/x.cls", str(label).encode()), (f"{folder}{name}/x.png", encoded((label, 0, 0), 1))]
    return [rows]


def test_folders_below_a_shared_one_are_looked_at_too(tmp_path: Path):
    assert checked(described(tmp_path / "sound", labelled(["0", "2", "10"], "v2/"))) == (0, [])
    (found,) = checked(described(tmp_path / "text", labelled(["0", "10", "2"], "v2/val/")))[1]
    assert "folder '10' has label 1. They seem to be sorted as text." in found["what"]


def test_class_names_in_another_order_than_the_folders_are_noticed(tmp_path: Path):
    folders = ["001.Black_footed_Albatross", "002.Laysan_Albatross", "003.Auk"]
    names = ("Black footed albatross", "Laysan Albatross", "auk")
    assert checked(described(tmp_path / "sound", labelled(folders), names)) == (0, [])
    assert checked(described(tmp_path / "synsets", labelled(["n2", "n1"]), ("cat", "dog"))) == (0, [])
    status, found = checked(described(tmp_path / "turned", labelled(folders), (names[1], names[0], names[2])))
    assert status == 1
    assert [(p["kind"], p["where"]) for p in found] == [("label", "classes")]
    assert found[0]["what"].endswith(
        "folder '001.Black_footed_Albatross' has label 0, which class_names calls 'Laysan Albatross'; "
        "'Black footed albatross' is 1 there"
    )


def test_a_shard_that_may_not_be_read_is_a_problem_and_not_the_end(whole: Path, monkeypatch: pytest.MonkeyPatch):
    def refused(path: Path) -> str:
        if path.name == "whole-000000.tar":
            raise PermissionError(13, "Permission denied", str(path))
        return sha256_of(path)

    monkeypatch.setattr("ood_lightning.data.check.content.sha256_of", refused)
    status, found = checked(whole)
    assert status == 1
    assert [(p["where"], p["what"]) for p in found] == [("whole-000000.tar", "cannot be read: Permission denied")]


def test_a_report_that_cannot_be_written_is_refused_before_anything_is_read(
    whole: Path, capsys: pytest.CaptureFixture[str]
):
    Path("folder.json").mkdir()
    for out, words in (("folder.json", "is a folder"), (f"{whole}/manifest.json/r.json", "it is a file")):
        assert main(["data", "check", str(whole), f"--out={out}"]) == 2
        said = capsys.readouterr()
        assert words in said.err
        assert "check:" not in said.err
        assert not said.out


def test_what_the_machine_denies_is_said_without_a_traceback(
    whole: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def denied(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied", "manifest.json")

    monkeypatch.setattr("ood_lightning.data.shards.manifest.Path.read_bytes", denied)
    assert main(["data", "check", str(whole)]) == 2
    assert capsys.readouterr().err == "error: manifest.json: Permission denied\n"


def test_sets_of_one_name_are_told_apart_and_one_set_is_not_taken_twice(
    tmp_path: Path, whole: Path, capsys: pytest.CaptureFixture[str]
):
    other = Path(shutil.copytree(whole, tmp_path / "copy"))
    status, found = checked(whole, other)
    assert (status, len(found)) == (1, 7)
    assert {(p["set"], p["what"].rpartition(" ")[2]) for p in found} == {(str(other), repr(str(whole)))}
    assert main(["data", "check", str(whole), "--ood", f"{whole}/../whole"]) == 2
    assert "is given twice: all its pictures would be duplicates" in capsys.readouterr().err


def test_the_same_bytes_within_and_across_sets_are_found(tmp_path: Path):
    red = [encoded(COLOURS["red"], i) for i in range(5)]
    one = described(tmp_path / "one", [[("a.png", red[0]), ("b.png", red[1])], [("c.png", red[0])]])
    other = described(tmp_path / "other", [[("d.png", red[2]), ("e.png", red[1])]])
    status, found = checked(one, "--ood", other)
    assert status == 1
    assert [(p["set"], p["where"], p["what"]) for p in found] == [
        ("one", "1.tar c", "has the bytes of 0.tar a of this set"),
        ("other", "0.tar e", "has the bytes of 0.tar b of set 'one'"),
    ]


@settings(max_examples=100, deadline=None)
@given(sets=st.lists(st.lists(st.lists(st.integers(0, 6), max_size=5), max_size=3), min_size=1, max_size=3))
def test_groups_of_duplicates_are_those_of_a_slow_search(sets: list[list[list[int]]]):
    def shard(values: list[int]) -> ShardContent:
        return ShardContent("x", b"".join(bytes([v % 3]) * 8 + bytes([v]) * 8 for v in values))

    manifest = Manifest("x", "id", ())
    found = duplicates([SetContent(manifest, "id", [shard(values) for values in one]) for one in sets])
    places: dict[int, list[tuple[int, int, int]]] = {}
    for i, one in enumerate(sets):
        for j, values in enumerate(one):
            for k, value in enumerate(values):
                places.setdefault(value, []).append((i, j, k))
    assert found == sorted(group for group in places.values() if len(group) > 1)


def test_near_duplicates_are_those_of_a_loop():
    draw = torch.Generator().manual_seed(0)
    known = torch.nn.functional.normalize(torch.randn(40, 6, generator=draw), dim=1)
    asked = torch.nn.functional.normalize(
        torch.cat([known[:5] + 0.05 * torch.randn(5, 6, generator=draw), torch.randn(20, 6, generator=draw)]), dim=1
    )

    def features(name: str, image: torch.Tensor) -> Features:
        return Features(name, image, torch.full((len(image),), -1), [f"{name}{i}" for i in range(len(image))], [])

    found = near_duplicates(features("o", asked), features("i", known), 0.95)
    expected = []
    for i, row in enumerate(asked.double()):
        cosines = [float(row @ other) for other in known.double()]
        if max(cosines) >= 0.95:
            expected.append((-max(cosines), f"o{i}", f"i{cosines.index(max(cosines))}"))
    assert [(n.key, n.nearest) for n in found] == [(key, near) for _, key, near in sorted(expected)]
    assert len(found) >= 5
    torch.testing.assert_close([n.cosine for n in found], [-c for c, _, _ in sorted(expected)])
    halves = near_duplicates(features("o", known.half()), features("i", known.half()), 0.999999)
    assert len(halves) == 40, "no cosine is short of 1 by rounding"
    assert max(n.cosine for n in halves) <= 1


def test_near_duplicates_come_from_the_cache(
    whole: Path, tmp_path: Path, encoder_yaml: dict[str, Any], capsys: pytest.CaptureFixture[str]
):
    with tarfile.open(whole / "whole-000000.tar") as tar:
        file = tar.extractfile("whole0000.png")
        assert file is not None
        same = file.read()
    ood = described(tmp_path / "far", [[("x.png", same + b"\0"), ("y.png", encoded((0, 0, 0), 1))]])  # other bytes
    twin = described(tmp_path / "twin", [[("x.png", encoded((0, 0, 0), 2))], [("x.png", same), ("z.png", same + b"1")]])
    given = [f"--encoder={json.dumps(encoder_yaml)}", "--num_workers=0", "--cache_dir=cache"]
    assert main(["data", "check", str(whole), "--ood", str(ood), "--features=cache"]) == 2
    said = capsys.readouterr().err
    assert "holds none: run `embed`" in said
    assert "check:" not in said  # nothing was read before
    assert main(["data", "check", str(whole), "--ood", str(ood)]) == 0
    assert "nearly ID ones were not looked for: that takes --features" in capsys.readouterr().out
    assert main(["embed", *given, "--shards", str(whole), str(ood), str(twin)]) == 0
    status, found = checked(whole, "--ood", ood, "--features=cache", "--near=0.99999")
    assert status == 1
    assert [(p["kind"], p["where"]) for p in found] == [("near", "0.tar x")]
    assert found[0]["what"] == "has cosine 1.0000 with whole-000000.tar whole0000 of set 'whole'"
    both = checked(whole, "--ood", twin, "--features=cache", "--near=0.99999")[1]
    assert [(p["kind"], p["where"]) for p in both] == [("duplicate", "1.tar x"), ("near", "1.tar z")]
    (encoder,) = Path("cache").iterdir()
    assert checked(whole, "--ood", ood, f"--features={encoder}", "--near=0.99999") == (1, found)
    shutil.copytree(encoder, "cache/another")
    assert main(["data", "check", str(whole), "--ood", str(ood), "--features=cache"]) == 2
    assert "holds those of 2 encoders: name one of" in capsys.readouterr().err


def test_the_protocols_with_the_counts_of_a_set_are_named(
    whole: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    assert matching(5160, 43) == matching(5160, 0) == ["textures43"]
    assert matching(5160, 44) == []
    assert matching(7, 2) == []
    known = {
        name: replace(
            read_card("textures43"),
            name=name,
            classes=classes,
            protocols=tuple(replace(read_card("textures43").protocols[0], name=p, images=n) for p, n in of.items()),
        )
        for name, classes, of in (("a", 2, {"all": 7}), ("b", None, {"all": 8, "some": 7}), ("c", 3, {"all": 7}))
    }
    monkeypatch.setattr(compare, "card_names", lambda: sorted(known))
    monkeypatch.setattr(compare, "read_card", known.__getitem__)
    assert checked(whole) == (0, [])
    assert "a, b@some" in capsys.readouterr().out
    assert json.loads(Path("r.json").read_text())["sets"][0]["counts_of"] == ["a", "b@some"]


def test_duplicates_in_a_remote_set_are_named(tmp_path: Path):
    picture = encoded(COLOURS["red"], 0)
    folder = described(tmp_path / "one", [[("a.png", picture)], [("b.png", picture)]])
    tars = f"pipe:cat {folder}/{{0..1}}.tar"
    assert [(p["where"], p["what"]) for p in checked(tars)[1]] == [("1.tar b", "has the bytes of 0.tar a of this set")]


def test_headers_alone_find_the_samples_that_are_read(sets: Path):
    for name in ("id_test", "train"):
        manifest = read_manifest(str(sets / name))
        for shard in manifest.shards:
            path = manifest.path(shard)
            found = [(s.key, s.picture.read(), int(s.label.read()) if s.label else -1) for s in located(path)]
            assert found == [tuple(sample) for sample in read_samples(path)]


def test_lists_of_sets_are_given_as_a_shell_gives_them(sets: Path, capsys: pytest.CaptureFixture[str]):
    blues, greys = str(sets / "blues"), str(sets / "greys")
    for several in (["--ood", blues, greys], ["--ood", blues, f"--ood={greys}"], [f"--ood=[{blues}, {greys}]"]):
        assert main(["data", "check", str(sets / "id_test"), *several, "--workers=1"]) == 0
        said = capsys.readouterr().out
        assert "blues" in said
        assert "greys" in said


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("--near=98", "near is 98.0: expected a cosine"),
        ("--workers=0", "workers is 0"),
        ("--out=r.txt", "ending in .json"),
        ("--featurs=x", "there is no key 'featurs'; did you mean 'features'?"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    wrong: str, words: str, whole: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["data", "check", str(whole), wrong]) == 2
    assert words in capsys.readouterr().err
    assert main(["data", "chek", str(whole)]) == 2
    assert "did you mean 'data check'?" in capsys.readouterr().err


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
