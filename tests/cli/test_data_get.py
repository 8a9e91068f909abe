"""`data get`: from a server to the shards that `data pack` makes of the same pictures, or a line that says why not."""

import hashlib
import importlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from faulty_server import FaultyServer
from packed_sets import packed
from shard_files import encoded
from small_archives import tar_of

from ood_lightning.cli.main import main
from ood_lightning.data.cards.fetching import ArchiveEntries
from ood_lightning.data.get import plan, space
from ood_lightning.data.remote import download
from ood_lightning.data.shards.read_manifest import read_manifest

CLASSES = ("banded", "bubbly", "cobwebbed", "honeycombed", "spiralled", "zigzagged")


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with FaultyServer() as running:
        yield running


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(download, "FIRST_WAIT_S", 0.001)
    monkeypatch.setattr(download, "TRIES", 3)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def serve(server: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let cards' archives come from the server."""

    def let(body: bytes, *, file: str = "dtd.tar.gz", **entries: Any) -> None:
        server.files[f"/{file}"] = body
        stated = {"addresses": (f"{server.url}/gone/{file}", f"{server.url}/{file}"), **entries}
        archive = ArchiveEntries(file=file, addresses_by="a test", stated_by="a test", **stated)
        monkeypatch.setattr(plan, "read_archive", lambda _: archive)

    return let


def pictures(folder: Path) -> dict[str, bytes]:
    """Two in each class, as an archive has them; the folder gets the same."""
    members = {f"{name}/{i}.png": encoded((9 * c, 9, 9), i) for c, name in enumerate(CLASSES) for i in range(2)}
    for name, data in members.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return members


def archived(members: dict[str, bytes], start: str = "dtd/images/") -> bytes:
    return tar_of({"dtd/labels/labels.txt": b"x", **{start + name: data for name, data in members.items()}}, "w:gz")


def get(*words: str) -> int:
    return main(["data", "get", *words, "--workers", "1"])


def test_an_archive_gives_the_shards_of_its_unpacked_folder(serve: Any, tmp_path: Path, capsys: Any):
    body = archived(pictures(tmp_path / "unpacked"))
    serve(body, sha256=hashlib.sha256(body).hexdigest())
    assert get("textures") == 1  # twelve pictures are not the card's 5,640
    printed = capsys.readouterr().out
    assert "textures: 12 pictures in 1 shard: shards/textures" in printed
    assert "worth a look: its card counts 5,640" in printed

    by_hand = ["--out", "hand", "--name", "textures", "--role", "ood", "--workers", "1"]
    assert main(["data", "pack", "unpacked", *by_hand]) == 0
    tar = "textures-000000.tar"
    assert (tmp_path / "shards/textures" / tar).read_bytes() == (tmp_path / "hand" / tar).read_bytes()

    manifest = read_manifest("shards/textures")
    assert (manifest.role, manifest.protocol, manifest.class_names) == ("ood", "textures", CLASSES)
    assert manifest.licence == "for research purposes"
    notes = json.loads((tmp_path / "shards/textures/pack.json").read_text())["fetched"]
    assert notes["sha256"] == hashlib.sha256(body).hexdigest()
    assert notes["note"] == "its sha256 is the stated one"
    assert sorted(path.name for path in (tmp_path / "raw").iterdir()) == [
        ".lock",
        "dtd.tar.gz",
        "dtd.tar.gz.fetched.json",
    ]


def test_what_a_protocol_leaves_out_is_not_packed(serve: Any, tmp_path: Path):
    serve(archived(pictures(tmp_path / "unpacked")))
    get("textures43")
    assert read_manifest("shards/textures43").class_names == ("banded", "zigzagged")


def test_a_set_that_is_packed_is_not_fetched_again(serve: Any, server: FaultyServer, tmp_path: Path, capsys: Any):
    serve(archived(pictures(tmp_path / "unpacked")))
    get("textures")
    (tmp_path / "raw/dtd.tar.gz").unlink()
    server.seen.clear()
    assert get("textures") == 0
    assert "textures: is packed already, 12 pictures: shards/textures" in capsys.readouterr().out
    assert not server.seen


def test_a_folder_that_holds_something_else_is_said_before_anything_is_fetched_and_keeps_no_other_set_from_coming(
    serve: Any, server: FaultyServer, tmp_path: Path, capsys: Any
):
    serve(archived(pictures(tmp_path / "unpacked")))
    by_hand = ["--out", "shards/textures", "--name", "mine", "--role", "ood", "--workers", "1"]
    assert main(["data", "pack", "unpacked", *by_hand]) == 0
    assert get("textures") == 2
    assert "error: textures: shards/textures holds the set 'mine' from another source" in capsys.readouterr().err
    assert not server.seen

    assert get("textures43", "textures") == 1
    printed = capsys.readouterr()
    assert "textures43: 4 pictures" in printed.out
    assert "not had: textures: shards/textures holds the set 'mine'" in printed.err


def test_what_turns_out_no_archive_is_fetched_anew_where_the_error_says_how(
    serve: Any, server: FaultyServer, tmp_path: Path, capsys: Any
):
    body = archived(pictures(tmp_path / "unpacked"))
    serve(b"<html>please log in</html>")
    assert get("textures") == 2
    error = capsys.readouterr().err.strip()
    assert error.endswith("To have it fetched anew, remove raw/dtd.tar.gz and raw/dtd.tar.gz.fetched.json")

    server.files["/dtd.tar.gz"] = body
    (tmp_path / "raw/dtd.tar.gz").unlink()
    (tmp_path / "raw/dtd.tar.gz.fetched.json").unlink()
    assert get("textures") == 1
    assert "textures: 12 pictures" in capsys.readouterr().out


def test_hostile_members_are_named_and_nothing_leaves_the_archive(serve: Any, tmp_path: Path, capsys: Any):
    members = {**pictures(tmp_path / "unpacked"), "../../../out.png": encoded((1, 2, 3), 0)}
    serve(archived(members))
    assert get("textures") == 2
    error = capsys.readouterr().err
    assert "'../../../out.png': its name leads out of the archive" in error
    assert "Traceback" not in error
    assert not list(tmp_path.rglob("out.png"))
    assert not (tmp_path / "shards/textures/manifest.json").exists()

    assert get("textures", "--max_bad_samples", "1") == 1
    assert len(packed(tmp_path / "shards/textures")) == 12


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"\x1f\x8bnothing", "damaged or cut"),
        (b"<html>please log in</html>", "no sound tar"),
        (archived({"a.png": b"x"}, start="other/"), "holds no pictures in dtd/images: is it the archive of the card"),
    ],
)
def test_what_is_no_archive_of_the_card_is_refused_in_a_line(serve: Any, capsys: Any, body: bytes, words: str):
    serve(body)
    assert get("textures") == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: textures: ")
    assert words in error


def test_nothing_is_fetched_where_there_is_no_room(serve: Any, server: FaultyServer, monkeypatch: Any, capsys: Any):
    serve(b"x", bytes=10**9)
    monkeypatch.setattr(space, "free_bytes", lambda _: 2 * 10**9)
    assert get("textures") == 2
    assert "textures needs about 3.00 GB in raw and shards/textures" in capsys.readouterr().err.replace(
        f"{Path.cwd()}/", ""
    )
    assert not server.seen


def test_pictures_by_a_list_are_packed_in_its_order(serve: Any, server: FaultyServer, tmp_path: Path, capsys: Any):
    names = [f"{i}.png" for i in (3, 1, 2)]
    server.files |= {f"/p/{name}": encoded((5, 5, 5), i) for i, name in enumerate(names)}
    serve(
        "".join(f"test/{name} -1\n" for name in names).encode(),
        file="openimage_o.txt",
        picture_addresses=(server.url + "/p/{name}",),
    )
    assert get("openimage-o") == 1  # three are not 17,632
    keys_and_labels = [(key, label) for key, _, label in packed(tmp_path / "shards/openimage-o")]
    assert keys_and_labels == [("3", -1), ("1", -1), ("2", -1)]
    assert (tmp_path / "raw/openimage-o/SHA256SUMS").is_file()


def test_imagenets_names_go_by_synset_and_by_number(serve: Any, tmp_path: Path):
    folders = ["n01498041", "n01770393"]
    serve(
        archived({f"{name}/0.png": encoded((7, 7, i), i) for i, name in enumerate(folders)}, "imagenet-a/"),
        file="a.tar.gz",
    )
    get("imagenet-a")
    assert read_manifest("shards/imagenet-a").class_names == ("stingray", "scorpion")

    start = "imagenetv2-matched-frequency-format-val/"
    members = {f"{i}/0.png": encoded((i % 200, i // 200, 7), i) for i in range(1000)}
    serve(archived(members, start), file="v2.tar.gz")
    get("imagenet-v2")
    labels = {key: label for key, _, label in packed(tmp_path / "shards/imagenet-v2")}
    assert (labels["10/0"], labels["2/0"], labels["999/0"]) == (10, 2, 999)
    assert read_manifest("shards/imagenet-v2").class_names[:2] == ("tench", "goldfish")


def test_the_plan_names_addresses_hashes_and_room_and_fetches_nothing(tmp_path: Path, capsys: Any):
    assert get("ninco", "group:classic", "food101", "imagenet-val", "--dry_run") == 0
    printed = capsys.readouterr().out
    for words in (
        "https://zenodo.org/record/8013288/files/NINCO_all.tar.gz (address not checked by us)",
        "md5 b9ffae324363cd900a81ce3c367cd834, stated by pytorch-ood",
        "raw/NINCO_all.tar for the time of the packing",
        "about 1.34 GB in raw and 0.67 GB in shards/ninco",
        "iNaturalist/images; nothing is unpacked to files",
        "hf:ethz/food101, split train+validation",
        "imagenet-val cannot be fetched here: register at image-net.org",
    ):
        assert words in printed
    assert not list(tmp_path.iterdir())


def test_sets_that_cannot_be_had_are_named_with_what_to_do(serve: Any, tmp_path: Path, capsys: Any):
    assert get("imagenet-val") == 2
    assert "error: imagenet-val cannot be fetched here: register at image-net.org" in capsys.readouterr().err

    serve(archived(pictures(tmp_path / "unpacked")))
    assert get("textures", "species") == 1
    assert "species cannot be fetched here, its card says no address of it" in capsys.readouterr().out


def test_a_server_that_is_down_does_not_keep_other_sets_from_coming(
    serve: Any, server: FaultyServer, tmp_path: Path, capsys: Any
):
    body = archived(pictures(tmp_path / "unpacked"))
    serve(body)
    known = plan.read_archive("dtd")
    gone = ArchiveEntries(file="gone.tar", addresses=(server.url + "/gone",), addresses_by="a test")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "read_archive", lambda name: known if name == "dtd" else gone)
        assert get("sun", "textures") == 1
    printed = capsys.readouterr()
    assert "textures: 12 pictures" in printed.out
    assert "not had: sun: gone.tar cannot be had" in printed.err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["nincoo"], "there is no card 'nincoo'; did you mean 'ninco'"),
        (["ninco@x"], "card 'ninco' has no protocol 'x', only full, imagefolder"),
        (["ninco", "--workers", "0"], "workers is 0: expected 1 or more"),
        (["group:clasic"], "there is no group 'clasic'; did you mean 'classic'"),
    ],
)
def test_mistakes_are_named_in_a_line(words: list[str], expected: str, capsys: Any):
    assert main(["data", "get", *words]) == 2
    assert expected in capsys.readouterr().err


def test_a_file_in_the_place_of_the_folder_is_named(serve: Any, tmp_path: Path, capsys: Any):
    serve(b"x")
    (tmp_path / "raw").write_text("x")
    assert get("textures") == 2
    assert "raw cannot be written" in capsys.readouterr().err
    assert get("textures", "--dry_run") == 0
    assert "fetch       raw/dtd.tar.gz" in capsys.readouterr().out


def test_help_and_plan_need_no_torch(monkeypatch: pytest.MonkeyPatch):
    for module in [name for name in sys.modules if name.startswith("ood_lightning.cli.data_get")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "torch", None)
    importlib.import_module("ood_lightning.cli.data_get")
    assert main(["data", "get", "ninco", "--dry_run"]) == 0
