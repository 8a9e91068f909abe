"""Reading sets: manifests, brace lists, counted tars, and what is refused."""

import io
import json
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from shard_files import MakeSet, encoded, write_tar

from ood_lightning.data.shards.manifest import Manifest, Shard
from ood_lightning.data.shards.read_manifest import index, read_manifest
from ood_lightning.errors import ManifestError, ShardContentError, SourceError
from ood_lightning.hashes import sha256_of
from ood_lightning.places import expand, locate

BLOCK = 512
SHARD = {"path": "a.tar", "samples": 1, "bytes": 1}


@pytest.fixture
def tar(tmp_path: Path) -> Path:
    """Four samples with classes, of one picture each."""
    path = tmp_path / "four-000.tar"
    members = [
        (f"{i}.{ending}", data) for i in range(4) for ending, data in (("png", encoded((9, 9, 9), i)), ("cls", b"1"))
    ]
    write_tar(path, members)
    return path


def offsets(path: Path) -> list[int]:
    """Where the headers of a tar's members begin."""
    with tarfile.open(path) as opened:
        return [member.offset for member in opened]


def test_a_manifest_survives_the_disk(sets: Path):
    manifest = read_manifest(str(sets / "id_test"))
    assert (manifest.name, manifest.role, manifest.class_names) == ("id_test", "id", ("red", "green"))
    assert [shard.samples for shard in manifest.shards] == [5, 1, 6]
    assert manifest.n_samples == 12
    assert all(sha256_of(manifest.path(shard)) == shard.sha256 for shard in manifest.shards)
    assert read_manifest(str(sets / "id_test" / "manifest.json")) == manifest


def test_a_written_manifest_is_read_as_it_was_with_unicode(sets: Path, tmp_path: Path):
    shards = read_manifest(str(sets / "shifted")).shards
    for shard in shards:
        (tmp_path / shard.path).symlink_to(sets / "shifted" / shard.path)
    written = Manifest("mouettes", "ood", shards, ("mouette rieuse", "goéland"), "CC0", "où", "une", root=tmp_path)
    written.write(tmp_path)
    assert read_manifest(str(tmp_path)) == written
    assert read_manifest(str(tmp_path)).root == tmp_path
    assert "goéland" in (tmp_path / "manifest.json").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"role": "far"}, "role is 'far': input should be 'id', 'covariate' or 'ood'"),
        ({"colour": "red"}, "colour is a key that nothing here knows"),
        ({"name": None}, "name is None"),
        ({"class_names": ["a", 2]}, "class_names.1 is 2"),
        ({"shards": [SHARD, {"path": "b.tar", "bytes": 1}]}, "shards.1.samples is missing"),
        ({"shards": [SHARD | {"samples": -1}]}, "shards.0.samples is -1: input should be greater than or equal to 0"),
        ({"shards": [SHARD | {"samples": "1"}]}, "shards.0.samples is '1'"),
        ({"shards": [SHARD | {"bytes": True}]}, "shards.0.bytes is True"),
        ({"shards": [SHARD | {"path": 5}]}, "shards.0.path is 5"),
        ({"shards": [SHARD | {"members": "0"}]}, "shards.0.members is a key that nothing here knows"),
        ({"shards": [SHARD | {"path": "../a.tar"}]}, "shards.0.path is .*: it lies outside the set's folder"),
        ({"shards": [SHARD | {"path": "/a.tar"}]}, "shards.0.path is .*: it lies outside the set's folder"),
        ({"shards": [SHARD | {"path": "pipe:touch x"}]}, "shards.0.path is .*: it begins like an address"),
        ({"shards": [SHARD | {"path": "https://x/a.tar"}]}, "shards.0.path is .*: it begins like an address"),
        ({"origins": {"a.tar": "pipe:touch executed"}}, "origins is a key that nothing here knows"),
        ({"root": "/"}, "root is a key that nothing here knows"),
        ({"name": "../../x"}, r"name is '../../x': it holds / or"),
        ({"name": "/tmp/x"}, r"name is '/tmp/x': it holds / or"),
        ({"name": ".."}, r"name is '..': it is empty or begins with a dot"),
        ({"name": "a\0b"}, r"name is 'a.x00b': it holds a control character"),
        ({"name": 5}, "name is 5"),
        ({"name": ["a"]}, "name is"),
        ({"class_names": "abc"}, "class_names is 'abc'"),
        ({"shards": []}, "shards is .*at least 1 item"),
        ({"shards": {}}, "shards is"),
        ({"shards": [SHARD | {"path": "a\0b"}]}, "shards.0.path is .*control character"),
        ({"shards": [SHARD | {"path": "a\\..\\b"}]}, "shards.0.path is .*: it lies outside"),
        ({"shards": [SHARD | {"sha256": 5}]}, "shards.0.sha256 is 5"),
        ({"shards": [SHARD | {"samples": 2**64}]}, "shards.0.samples is 18446744073709551616"),
    ],
)
def test_a_manifest_with_an_unknown_or_wrong_entry_is_refused(tmp_path: Path, change: dict[str, object], words: str):
    (tmp_path / "manifest.json").write_text(
        json.dumps({"name": "x", "role": "id", "class_names": [], "shards": [SHARD]} | change)
    )
    with pytest.raises(ManifestError, match=rf"manifest\.json: .*{words}"):
        read_manifest(str(tmp_path), whole=False)


NO_MANIFEST = [b"", b"[]", b"{", b'{"name": "x"}', b"\x00", b'{"name": "\xff"}', b"[" * 10**5, b'{"name": "\\udcff"}']


@pytest.mark.parametrize("text", NO_MANIFEST)
def test_a_file_that_is_no_manifest_is_refused_by_its_path(tmp_path: Path, text: bytes):
    (tmp_path / "manifest.json").write_bytes(text)
    with pytest.raises(ManifestError, match=str(tmp_path)):
        read_manifest(str(tmp_path))


def test_orientation_is_part_of_the_fingerprint_where_pictures_are_turned(sets: Path, tmp_path: Path):
    manifest = read_manifest(str(sets / "id_test"))
    for orientation in ("ignore", "exif"):
        for shard in manifest.shards:
            (tmp_path / shard.path).unlink(missing_ok=True)
            (tmp_path / shard.path).symlink_to(sets / "id_test" / shard.path)
        replace(manifest, orientation=orientation).write(tmp_path)
        stored = read_manifest(str(tmp_path))
        assert stored.upright == (orientation == "exif")
        assert (stored.fingerprint == manifest.fingerprint) == (orientation == "ignore")

    entries = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps({**entries, "orientation": "upright"}))
    with pytest.raises(ManifestError, match="orientation is 'upright': input should be 'ignore' or 'exif'"):
        read_manifest(str(tmp_path))

    del entries["orientation"]  # as manifests before it, and those of others
    (tmp_path / "manifest.json").write_text(json.dumps(entries))
    assert read_manifest(str(tmp_path)).fingerprint == manifest.fingerprint


def test_a_manifest_that_notepad_saved_is_read(make_set, tmp_path: Path):
    file = make_set(tmp_path, "s") / "manifest.json"
    before = read_manifest(str(file))
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    assert read_manifest(str(file)) == before


def test_a_shard_listed_twice_is_refused(tmp_path: Path, tar: Path):
    shard = Shard(tar.name, 4, tar.stat().st_size)
    Manifest("twice", "id", (shard, shard)).write(tmp_path)
    with pytest.raises(ManifestError, match=r"four-000\.tar.* twice"):
        read_manifest(str(tmp_path))


@pytest.mark.parametrize("other", ["./{}", ".//{}", "sub/../{}", "././{}", "link.tar", "hard.tar"])
def test_a_shard_in_two_spellings_is_refused(tmp_path: Path, tar: Path, other: str):
    (tmp_path / "link.tar").symlink_to(tar)
    (tmp_path / "hard.tar").hardlink_to(tar)
    size = tar.stat().st_size
    Manifest("twice", "id", (Shard(tar.name, 4, size), Shard(other.format(tar.name), 4, size))).write(tmp_path)
    with pytest.raises(ManifestError, match=r"twice|outside"):
        read_manifest(str(tmp_path))

    Manifest("once", "id", (Shard(f"./{tar.name}", 4, size),)).write(tmp_path)
    assert read_manifest(str(tmp_path)).n_samples == 4


@pytest.mark.parametrize("names", ["{{{0},{0}}}", "{{./{0},{0}}}", "{{{0},link.tar}}"])
def test_a_tar_that_a_list_names_twice_is_refused(tmp_path: Path, tar: Path, names: str):
    (tmp_path / "link.tar").symlink_to(tar)
    with pytest.raises(ManifestError, match="its samples would count twice"):
        read_manifest(f"{tmp_path}/{names.format(tar.name)}")


def test_a_missing_shard_is_named(tmp_path: Path):
    Manifest("gone", "id", (Shard("gone-000.tar", 3, 10240),)).write(tmp_path)
    with pytest.raises(SourceError, match=r"set 'gone': shard .*gone-000\.tar is missing"):
        read_manifest(str(tmp_path))


@pytest.mark.parametrize(
    "change", [lambda data: data[:-BLOCK], lambda data: data + bytes(BLOCK)], ids=["cut", "longer"]
)
def test_another_number_of_bytes_is_noticed(tmp_path: Path, tar: Path, change: Callable[[bytes], bytes]):
    Manifest("cut", "id", (Shard(tar.name, 4, tar.stat().st_size),)).write(tmp_path)
    tar.write_bytes(change(tar.read_bytes()))
    with pytest.raises(ManifestError, match=r"has \d+ bytes, the manifest says"):
        read_manifest(str(tmp_path))


def test_a_folder_without_manifest_says_how_to_name_its_tars(tmp_path: Path):
    for name, words in (("", "no tars and no pictures"), ("a.tar", "name its tars"), (".pack", "has not ended")):
        if name:
            (tmp_path / name).mkdir()
        with pytest.raises(SourceError, match=rf"holds no manifest\.json.*{words}"):
            read_manifest(str(tmp_path))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a.tar", ["a.tar"]),
        ("t-{08..10}.tar", ["t-08.tar", "t-09.tar", "t-10.tar"]),
        ("t-{8..10}.tar", ["t-8.tar", "t-9.tar", "t-10.tar"]),
        ("{a,b}/x.tar", ["a/x.tar", "b/x.tar"]),
        ("{a,b}-{0..1}.tar", ["a-0.tar", "a-1.tar", "b-0.tar", "b-1.tar"]),
        ("t-{3..3}.tar", ["t-3.tar"]),
        ("t-{3..2}.tar", []),
        ("t-{.tar", ["t-{.tar"]),
        ("pipe:awk '{print}' {a,b}.tar", ["pipe:awk '{print}' a.tar", "pipe:awk '{print}' b.tar"]),
        ("{x}-{1..2}-{}", ["{x}-1-{}", "{x}-2-{}"]),
    ],
)
def test_brace_lists(source: str, expected: list[str]):
    assert expand(source) == expected


def test_a_brace_list_is_counted_in_its_order(tmp_path: Path, make_set):
    folder = make_set(tmp_path, "s", shards=(2, 3, 1))
    manifest = read_manifest(str(folder / "s-{000000..000002}.tar"))
    assert [(shard.path, shard.samples) for shard in manifest.shards] == [
        ("s-000000.tar", 2),
        ("s-000001.tar", 3),
        ("s-000002.tar", 1),
    ]
    assert (manifest.name, manifest.root) == ("s", folder)
    assert [shard.samples for shard in read_manifest(str(folder / "s-00000{2,0}.tar")).shards] == [1, 2]


def test_tars_named_by_numbers_alone_take_their_folders_name(tmp_path: Path):
    (tmp_path / "textures").mkdir()
    write_tar(tmp_path / "textures" / "000.tar", [("a.png", encoded((1, 2, 3), 0))])
    assert read_manifest(str(tmp_path / "textures" / "{000..000}.tar")).name == "textures"


def test_tars_without_manifest_take_the_role_they_are_given(tar: Path):
    assert read_manifest(str(tar)).role == "id"
    assert read_manifest(str(tar), role="ood").role == "ood"


def test_the_fingerprint_of_counted_tars_notices_other_pictures_of_the_same_number(tmp_path: Path):
    manifests = []
    for data in (b"a" * 300, b"a" * 301):  # tars grow in steps of 10,240 bytes
        write_tar(tmp_path / "x.tar", [("a.png", data)])
        manifests.append(read_manifest(str(tmp_path / "x.tar")))

    first, second = manifests
    assert first.shards[0].bytes == second.shards[0].bytes
    assert first.fingerprint != second.fingerprint


@pytest.mark.parametrize(("source", "words"), [("no-{0..4}.tar", "and 2 more"), ("no-{3..2}.tar", "names no tar")])
def test_a_list_of_tars_that_are_not_there(source: str, words: str):
    with pytest.raises(SourceError, match=words):
        read_manifest(source)


@pytest.mark.parametrize("source", ["https://example.org/a", "s3://bucket/a", "pipe:cat a", "hf:x/y/z"])
def test_where_one_file_is_asked_for_remote_sources_are_refused(source: str):
    with pytest.raises(SourceError, match=f"a {source.partition(':')[0]}: source stands for shards"):
        locate(source)


def test_another_scheme_says_how_it_could_be_read():
    with pytest.raises(SourceError, match="For gs: write a command that prints a tar, `pipe:COMMAND"):
        read_manifest("gs://bucket/a.tar")


def test_builtin_lies_below_the_folder_that_the_variable_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OOD_LIGHTNING_ASSETS", str(tmp_path))
    (tmp_path / "a").mkdir()
    assert locate("builtin:a/b") == tmp_path / "a" / "b"
    monkeypatch.setenv("OOD_LIGHTNING_ASSETS", str(tmp_path / "none"))
    with pytest.raises(SourceError, match="come with a checkout"):
        locate("builtin:a/b")


def test_counting_takes_pictures_once_and_nothing_else(tmp_path: Path):
    members = ["a.jpg", "a.cls", "b.JPEG", "b.json", "c.png", "c.jpg", "d.txt", ".hidden.png", "noext", "dir.v1/e.webp"]
    write_tar(tmp_path / "x.tar", [(name, b"-") for name in members])
    assert index([tmp_path / "x.tar"]).n_samples == 4  # a, b, c, dir.v1/e


def test_a_tar_without_members_holds_no_samples(tmp_path: Path):
    write_tar(tmp_path / "none.tar", [])
    assert index([tmp_path / "none.tar"]).n_samples == 0


def test_every_cut_of_a_tar_is_noticed(tar: Path):
    """At, in and after every header, and inside data; a cut in the last zeros loses nothing but is one."""
    whole = tar.read_bytes()
    last = offsets(tar)[-1] + BLOCK + BLOCK  # header and one block of data
    cuts = {offset + shift for offset in offsets(tar) for shift in (0, 1, 100, BLOCK - 1, BLOCK, BLOCK + 7)}
    for cut in sorted(cuts | {last, last + BLOCK, last + 2 * BLOCK - 1}):
        tar.write_bytes(whole[:cut])
        with pytest.raises(ShardContentError, match=r"four-000\.tar"):
            index([tar])
    tar.write_bytes(whole[: last + 2 * BLOCK])
    assert index([tar]).n_samples == 4


def test_the_tar_format_itself_is_silent_about_a_cut_before_a_header(tar: Path):
    """Why `index` looks at the archive's end."""
    tar.write_bytes(tar.read_bytes()[: offsets(tar)[4]])
    with tarfile.open(tar) as opened:
        assert len(opened.getmembers()) == 4  # of 8, no error


@pytest.mark.parametrize("member", [0, 1, 4, 7])
@pytest.mark.parametrize("byte", [0, 108, 130, 150, 156, 257, 345])
def test_one_flipped_header_byte_is_noticed(tar: Path, member: int, byte: int):
    whole = bytearray(tar.read_bytes())
    whole[offsets(tar)[member] + byte] ^= 0x01
    tar.write_bytes(whole)
    with pytest.raises(ShardContentError, match=r"four-000\.tar"):
        index([tar])


@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 7, b"<html>404</html>", b"garbage" * 4000], ids=["empty", "zeros", "html", "garbage"]
)
def test_what_is_no_tar_is_refused(tmp_path: Path, content: bytes):
    (tmp_path / "x.tar").write_bytes(content)
    with pytest.raises(ShardContentError, match=r"x\.tar"):
        index([tmp_path / "x.tar"])


def test_a_compressed_tar_is_refused_as_such(tmp_path: Path):
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as opened:
        opened.addfile(tarfile.TarInfo("a.png"), io.BytesIO())
    with pytest.raises(ShardContentError, match=r"x\.tar\.gz is a compressed tar: uncompress it first \(`gunzip`\)"):
        index([tmp_path / "x.tar.gz"])


def test_index_counts_each_tar(tmp_path: Path, tar: Path):
    manifest = index([tar], role="ood")
    assert manifest.shards[0].samples == 4
    assert (manifest.name, manifest.role, manifest.path(manifest.shards[0])) == (
        tar.stem.rstrip("-0123456789"),
        "ood",
        tar,
    )


def test_a_copy_of_a_shard_is_refused(tmp_path: Path, make_set: MakeSet):
    folder = make_set(tmp_path, "set", shards=(3, 4))
    manifest = read_manifest(str(folder))
    assert read_manifest(f"{folder}/set-{{000000..000001}}.tar").n_samples == 7

    shutil.copy(folder / "set-000000.tar", folder / "set-000002.tar")
    with pytest.raises(ManifestError, match=r"'set-000002\.tar', a copy of 'set-000000\.tar'"):
        read_manifest(f"{folder}/set-{{000000..000002}}.tar")

    first = manifest.shards[0]
    replace(manifest, shards=(*manifest.shards, replace(first, path="set-000002.tar"))).write(folder)
    with pytest.raises(ManifestError, match=r"'set-000002\.tar', a copy of 'set-000000\.tar'"):
        read_manifest(str(folder))


def test_tars_of_alike_members_and_other_bytes_are_no_copies(tmp_path: Path):
    for name, content in (("a-0.tar", b"1"), ("a-1.tar", b"2")):
        write_tar(tmp_path / name, [("x.png", content)])
    assert len(read_manifest(f"{tmp_path}/a-{{0..1}}.tar").shards) == 2
