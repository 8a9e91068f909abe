"""Pictures by a list: each once, hashes kept, hostile names refused."""

import hashlib
from pathlib import Path

import pytest
from faulty_server import FaultyServer
from small_archives import picture

from ood_lightning.data.get.listed import SUMS, fetched_pictures, names_in
from ood_lightning.data.pack.listings import Refused
from ood_lightning.errors import SourceError

NAMES = [f"{i}.png" for i in range(12)]


def serve(server: FaultyServer, names: list[str] = NAMES) -> tuple[str]:
    server.files |= {f"/p/{name}": picture(i) for i, name in enumerate(names)}
    return (server.url + "/p/{name}",)


def test_names_are_the_last_parts_of_paths_with_or_without_labels(tmp_path: Path):
    path = tmp_path / "list.txt"
    path.write_text("test/a.jpg -1\nx/y/b b.jpg 7\n\nc.jpg\ntest/a.jpg\n")
    assert names_in(path) == ["a.jpg", "b b.jpg", "c.jpg"]


@pytest.mark.parametrize(
    "line", ["test/.. 1", "test/.hidden.jpg", "a\x1b[2J.jpg 0", "SHA256SUMS", "a\\b.jpg", "x/", "a.sh -1"]
)
def test_names_that_are_no_pictures_of_a_folder_are_refused(tmp_path: Path, line: str):
    path = tmp_path / "list.txt"
    path.write_text(f"a.jpg\n{line}\n")
    with pytest.raises(SourceError, match="line 2: names the picture") as refused:
        names_in(path)
    assert "\x1b" not in str(refused.value)


def test_pictures_come_in_the_order_of_the_list_and_once(server: FaultyServer, tmp_path: Path):
    addresses = serve(server)
    listing = fetched_pictures(NAMES[:5], addresses, tmp_path)
    assert [entry.path for entry in listing.entries] == NAMES[:5]
    assert len(server.seen) == 5

    listing = fetched_pictures(NAMES[::-1], addresses, tmp_path)
    assert [entry.path for entry in listing.entries] == NAMES[::-1]
    assert len(server.seen) == 12
    assert [entry.location.read() for entry in listing.entries] == [picture(i) for i in range(12)][::-1]

    sums = dict(reversed(line.split("  ")) for line in (tmp_path / SUMS).read_text().splitlines())
    assert sums == {name: hashlib.sha256(picture(i)).hexdigest() for i, name in enumerate(NAMES)}


def test_one_that_is_gone_cannot_be_read_and_one_that_changed_is_not_taken(server: FaultyServer, tmp_path: Path):
    addresses = serve(server)
    fetched_pictures(NAMES, addresses, tmp_path)
    (tmp_path / "3.png").unlink()
    (tmp_path / "4.png").unlink()
    del server.files["/p/3.png"]
    server.files["/p/4.png"] = picture(99)

    entries = fetched_pictures(NAMES, addresses, tmp_path).entries
    whys = {entry.path: entry.location.why for entry in entries if isinstance(entry.location, Refused)}
    assert whys.keys() == {"3.png", "4.png"}
    assert "the server says 404" in whys["3.png"]
    assert "other bytes than at the first fetch" in whys["4.png"]
    assert not (tmp_path / "4.png").exists()


def test_the_next_address_is_tried_and_names_are_quoted(server: FaultyServer, tmp_path: Path):
    serve(server, ["a%20b.png"])
    listing = fetched_pictures(["a b.png"], (server.url + "/none/{name}", server.url + "/p/{name}"), tmp_path)
    assert listing.entries[0].location.read() == picture(0)


def test_pictures_that_lie_there_are_verified_and_get_a_hash_where_a_killed_call_kept_none(
    server: FaultyServer, tmp_path: Path
):
    addresses = serve(server)
    fetched_pictures(NAMES, addresses, tmp_path)
    kept = (tmp_path / SUMS).read_text()
    (tmp_path / SUMS).write_text("".join(kept.splitlines(keepends=True)[:5]))
    fetched_pictures(NAMES, addresses, tmp_path)
    assert (tmp_path / SUMS).read_text() == kept

    (tmp_path / "3.png").write_bytes(picture(99))
    entries = fetched_pictures(NAMES, addresses, tmp_path).entries
    whys = {entry.path: entry.location.why for entry in entries if isinstance(entry.location, Refused)}
    assert whys.keys() == {"3.png"}
    assert "has other bytes than at the first fetch" in whys["3.png"]
    assert (tmp_path / SUMS).read_text() == kept

    (tmp_path / "3.png").unlink()
    assert fetched_pictures(NAMES, addresses, tmp_path).entries[3].location.read() == picture(3)


@pytest.mark.slow
def test_a_server_that_is_down_is_not_asked_for_all_of_them_and_what_came_is_kept(server: FaultyServer, tmp_path: Path):
    addresses = serve(server)
    fetched_pictures(NAMES[:2], addresses, tmp_path)
    for name in NAMES:
        server.faults[f"/p/{name}"] = ["503"] * 99
    with pytest.raises(SourceError, match="given up after 4 tries"):
        fetched_pictures(NAMES, addresses, tmp_path)
    assert len((tmp_path / SUMS).read_text().splitlines()) == 2
