"""One file from several addresses: whole and the right one, or refused in a line, whatever servers do."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from faulty_server import FaultyServer

from ood_lightning.data.cards.fetching import ArchiveEntries
from ood_lightning.data.get import fetching, space
from ood_lightning.data.get.fetching import fetched
from ood_lightning.data.get.provenance import HERE, OURS, read_provenance
from ood_lightning.errors import SettingsError, SourceError

BODY = bytes(range(256)) * 5000


def archive(server: FaultyServer, *paths: str, **stated: Any) -> ArchiveEntries:
    addresses = tuple(server.url + path for path in paths or ("/a.tar",))
    return ArchiveEntries(file="a.tar", addresses=addresses, addresses_by="a test", stated_by="a test", **stated)


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def md5(body: bytes) -> str:
    return hashlib.md5(body).hexdigest()


def half_fetched(server: FaultyServer, folder: Path, entries: ArchiveEntries) -> None:
    """A call that ended when half of the file had come."""
    server.faults["/a.tar"] = ["close", *["503"] * 10]
    with pytest.raises(SourceError):
        fetched(entries, folder)
    server.faults["/a.tar"] = []
    server.seen.clear()
    assert (folder / "a.tar.part").stat().st_size == len(BODY) // 2


FAULTS = ["close", "reset", "500", "503", "429", "short", "long", "unsized", "stall", "garbage", "html"]


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_what_another_try_may_mend_is_tried_again(server: FaultyServer, tmp_path: Path, fault: str):
    server.files["/a.tar"] = BODY
    server.faults["/a.tar"] = [fault]
    provenance = fetched(archive(server, md5=md5(BODY), bytes=len(BODY)), tmp_path)
    assert (tmp_path / "a.tar").read_bytes() == BODY
    assert provenance.sha256 == sha256(BODY)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar", "a.tar.fetched.json"]


@pytest.mark.parametrize("stated", [True, False])
def test_a_later_call_goes_on_where_the_first_ended(server: FaultyServer, tmp_path: Path, stated: bool):
    server.files["/a.tar"] = BODY
    entries = archive(server, sha256=sha256(BODY) if stated else "")
    half_fetched(server, tmp_path, entries)
    fetched(entries, tmp_path)
    assert (tmp_path / "a.tar").read_bytes() == BODY
    assert server.requests("/a.tar") == [f"bytes={len(BODY) // 2}-"]
    assert "if-range" in server.headers[-1]


@pytest.mark.parametrize("stated", [True, False])
def test_a_file_that_changes_between_two_calls_is_not_joined_of_two(server: FaultyServer, tmp_path: Path, stated: bool):
    new = BODY[::-1]
    server.files["/a.tar"] = BODY
    entries = archive(server, sha256=sha256(new) if stated else "")
    half_fetched(server, tmp_path, entries)

    server.files["/a.tar"] = new
    fetched(entries, tmp_path)
    assert (tmp_path / "a.tar").read_bytes() == new


def test_without_tag_and_hash_a_later_call_starts_anew(server: FaultyServer, tmp_path: Path):
    server.files["/a.tar"] = BODY
    half_fetched(server, tmp_path, archive(server))
    (tmp_path / "a.tar.part.json").unlink()
    fetched(archive(server), tmp_path)
    assert server.requests("/a.tar") == [""]


@pytest.mark.parametrize("fault", ["no_range", "wrong_range"])
def test_a_server_that_cannot_go_on_sends_all_again(server: FaultyServer, tmp_path: Path, fault: str):
    server.files["/a.tar"] = BODY
    entries = archive(server, sha256=sha256(BODY))
    half_fetched(server, tmp_path, entries)
    server.faults["/a.tar"] = [fault]
    fetched(entries, tmp_path)
    assert (tmp_path / "a.tar").read_bytes() == BODY


@pytest.mark.parametrize("first", ["404", "403", "500", "close", "flip", "html"])
def test_the_next_address_is_tried(server: FaultyServer, tmp_path: Path, first: str):
    server.files |= {"/a.tar": BODY, "/b.tar": BODY}
    server.faults["/a.tar"] = [first] * 10
    provenance = fetched(archive(server, "/a.tar", "/b.tar", sha256=sha256(BODY)), tmp_path)
    assert (tmp_path / "a.tar").read_bytes() == BODY
    assert provenance.address == f"{server.url}/b.tar"
    if first == "close":  # what the first one sent is not sent again: the hash shows whether it fits
        assert server.requests("/b.tar")[0].startswith("bytes=")


def test_a_redirect_is_followed_and_one_to_plain_http_elsewhere_is_not(server: FaultyServer, tmp_path: Path):
    server.files["/b.tar"] = BODY
    server.faults["/a.tar"] = [f"to:{server.url}/b.tar"]
    fetched(archive(server), tmp_path)
    assert (tmp_path / "a.tar").read_bytes() == BODY

    server.faults["/c.tar"] = ["to:http://example.org/c.tar"]
    with pytest.raises(SourceError, match="only https: is read"):
        fetched(archive(server, "/c.tar"), tmp_path / "other")


def test_wrong_bytes_are_not_kept_and_every_address_is_named(server: FaultyServer, tmp_path: Path):
    server.files["/a.tar"] = BODY[::-1]
    with pytest.raises(SourceError) as refused:
        fetched(archive(server, "/a.tar", "/none.tar", md5=md5(BODY)), tmp_path)
    assert "\n" not in str(refused.value)
    assert "cannot be had by any of its 2 addresses" in str(refused.value)
    assert "/a.tar gives other bytes than stated (md5" in str(refused.value)
    assert "/none.tar cannot be fetched: the server says 404" in str(refused.value)
    assert not list(tmp_path.iterdir())


def test_a_wrong_length_is_refused(server: FaultyServer, tmp_path: Path):
    server.files["/a.tar"] = BODY
    with pytest.raises(SourceError, match=r"the server offers 1,280,000 bytes, 5 were expected"):
        fetched(archive(server, bytes=5), tmp_path)


def test_our_own_hash_is_kept_and_said_to_be_ours_and_compared_at_the_next_fetch(server: FaultyServer, tmp_path: Path):
    server.files["/a.tar"] = BODY
    first = fetched(archive(server), tmp_path)
    assert first.note == OURS
    assert first.stated == ""
    assert json.loads((tmp_path / "a.tar.fetched.json").read_text())["sha256"] == sha256(BODY)

    assert fetched(archive(server), tmp_path) == first
    assert len(server.seen) == 1

    (tmp_path / "a.tar").unlink()
    assert fetched(archive(server), tmp_path) == first

    (tmp_path / "a.tar").unlink()
    server.files["/a.tar"] = BODY[::-1]
    with pytest.raises(SourceError, match=r"other bytes than at the first fetch .* if the new ones are wanted, remove"):
        fetched(archive(server), tmp_path)
    assert read_provenance(tmp_path / "a.tar") == first


def test_a_damaged_record_is_named_with_what_to_do(server: FaultyServer, tmp_path: Path):
    (tmp_path / "a.tar.fetched.json").write_text("{")
    with pytest.raises(SettingsError, match=r"a\.tar\.fetched\.json is not readable as JSON.*Remove it, and the file"):
        fetched(archive(server), tmp_path)
    assert not server.seen


def test_a_stated_hash_is_said_to_be_stated(server: FaultyServer, tmp_path: Path):
    server.files["/a.tar"] = BODY
    provenance = fetched(archive(server, md5=md5(BODY)), tmp_path)
    assert provenance.stated == f"md5 {md5(BODY)}, a test"
    assert provenance.note == "its md5 is the stated one"


def test_a_file_that_a_person_put_there_is_verified_and_not_fetched(server: FaultyServer, tmp_path: Path):
    (tmp_path / "a.tar").write_bytes(BODY)
    assert fetched(archive(server, md5=md5(BODY)), tmp_path).address == HERE
    assert not server.seen

    (tmp_path / "a.tar").write_bytes(BODY[1:])
    with pytest.raises(SourceError, match=r"a.tar has other bytes than stated .*\. Remove the file, and it"):
        fetched(archive(server, md5=md5(BODY)), tmp_path)


def test_room_is_asked_for_when_the_server_says_how_large_it_is(
    server: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    server.files["/a.tar"] = BODY
    monkeypatch.setattr(space, "free_bytes", lambda _: space.SPARE_BYTES + len(BODY))
    fetched(archive(server), tmp_path / "once")
    with pytest.raises(SettingsError, match=r"a.tar needs about under 0.01 GB in .* make room, or name other folders"):
        fetched(archive(server), tmp_path / "twice", still_needed=1)
    assert not (tmp_path / "twice" / "a.tar.part").read_bytes()


def test_a_password_in_an_address_is_refused_and_not_shown(server: FaultyServer, tmp_path: Path):
    entries = ArchiveEntries(file="a.tar", addresses=("https://me:secret@example.org/a.tar",), addresses_by="a test")
    with pytest.raises(SourceError) as refused:
        fetched(entries, tmp_path)
    assert "secret" not in str(refused.value)


def test_the_part_is_called_so_until_it_is_verified(server: FaultyServer, tmp_path: Path, monkeypatch: Any):
    server.files["/a.tar"] = BODY

    def seen_meanwhile(*arguments: Any) -> str:
        assert [path.name for path in tmp_path.iterdir()] != ["a.tar"]
        assert not (tmp_path / "a.tar").exists()
        return sha256(BODY)

    monkeypatch.setattr(fetching, "_check", seen_meanwhile)
    fetched(archive(server), tmp_path)
