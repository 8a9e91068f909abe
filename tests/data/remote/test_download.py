"""HTTP: fetched whole or refused by name, whatever the way there does to a transfer."""

import ssl
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
from faulty_server import FaultyServer
from remote_sets import FIRST, cached

from ood_lightning.data.remote import download
from ood_lightning.data.remote import fetch as remote
from ood_lightning.data.shards.read_manifest import read_manifest
from ood_lightning.errors import ShardContentError, SourceError

MENDED = ["reset", "close", "500", "503", "429", "garbage", "slow", "stall", "short", "long", "flip", "html", "unsized"]


@pytest.mark.slow
@pytest.mark.parametrize("fault", MENDED)
def test_what_another_try_may_mend_is_tried_again(folder: Path, server: FaultyServer, tmp_path: Path, fault: str):
    server.faults[FIRST] = [fault] * (1 if fault == "flip" else 2)
    manifest = read_manifest(f"{server.url}/s")
    assert manifest.path(manifest.shards[0]).read_bytes() == server.files[FIRST]
    assert [path.name for path in cached(tmp_path)] == ["s-000000.tar"]


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["reset", "close", "stall"])
def test_a_broken_transfer_goes_on_where_it_broke(folder: Path, server: FaultyServer, fault: str):
    whole = len(server.files[FIRST])
    server.faults[FIRST] = [fault, fault]
    manifest = read_manifest(f"{server.url}/s")
    manifest.path(manifest.shards[0])

    half, rest = whole // 2, whole - whole // 2
    assert server.requests(FIRST) == ["", f"bytes={half}-", f"bytes={half + rest // 2}-"]


@pytest.mark.parametrize("fault", ["no_range", "wrong_range"])
def test_a_server_that_cannot_go_on_sends_all_again(folder: Path, server: FaultyServer, fault: str):
    server.faults[FIRST] = ["reset", fault]
    manifest = read_manifest(f"{server.url}/s")
    assert manifest.path(manifest.shards[0]).read_bytes() == server.files[FIRST]


def test_a_file_that_changes_during_the_transfer_is_not_joined_of_two(folder: Path, server: FaultyServer):
    """Without a hash nothing but the server's tag tells the two apart."""
    old, new = server.files[FIRST], server.files["/s/s-000002.tar"]
    assert old != new
    server.faults[FIRST] = ["reset"]
    fetch_rest = download._Transfer._fetch_rest

    def then_changed(transfer: Any) -> None:
        try:
            fetch_rest(transfer)
        finally:
            server.files[FIRST] = new

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(download._Transfer, "_fetch_rest", then_changed)
        path = remote.fetch(server.url + FIRST, lambda _: None)
    assert path.read_bytes() == new


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        ("404", SourceError, "s-000000.tar cannot be fetched: the server says 404"),
        ("403", SourceError, "cannot be fetched: the server says 403"),
        ("500", SourceError, "given up after 4 tries: the server says 500"),
        ("close", SourceError, r"given up after 4 tries: the transfer ended after [\d,]+ of [\d,]+ bytes"),
        ("reset", SourceError, "given up after 4 tries: .*[Rr]eset"),
        ("slow", SourceError, "given up after 4 tries: .*timed out"),
        ("html", SourceError, "given up after 4 tries: the server offers 26 bytes"),
        ("flip", ShardContentError, "the bytes of .*s-000000.tar are not those that were promised"),
    ],
)
def test_what_stays_broken_is_refused_by_url_and_cause(
    folder: Path, server: FaultyServer, tmp_path: Path, fault: str, error: type[Exception], words: str
):
    server.faults[FIRST] = [fault] * 20
    manifest = read_manifest(f"{server.url}/s?signature=geheim")
    with pytest.raises(error, match=words) as caught:
        manifest.path(manifest.shards[0])

    assert server.url in str(caught.value)
    assert "geheim" not in str(caught.value)
    assert len(server.requests(FIRST)) == {"404": 1, "403": 1, "flip": 2}.get(fault, 4)
    assert not [path for path in cached(tmp_path) if path.suffix == ".tar"]


def test_a_long_shard_may_break_often_as_long_as_it_grows(server: FaultyServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(download, "ENOUGH_BYTES", 100)
    server.files["/x.tar"] = bytes(range(256)) * 1000
    server.faults["/x.tar"] = ["reset"] * 10
    path = remote.fetch(f"{server.url}/x.tar", lambda _: None)
    assert path.read_bytes() == server.files["/x.tar"]
    assert len(server.requests("/x.tar")) == 11


@pytest.mark.parametrize(
    ("faults", "further_requests"),
    [(["reset", "no_range"], []), (["reset", "wrong_range"], ["the rest"]), (["close", "416"], ["all"])],
)
def test_a_file_of_unknown_hash_is_whole_whatever_the_server_makes_of_a_range(
    folder: Path, server: FaultyServer, faults: list[str], further_requests: list[str]
):
    server.faults[FIRST] = list(faults)
    with tempfile.TemporaryFile() as file:
        download.download(server.url + FIRST, file)
        file.seek(0)
        assert file.read() == server.files[FIRST]

    ranges = {"all": "", "the rest": f"bytes={len(server.files[FIRST]) // 2}-"}
    assert server.requests(FIRST) == [ranges[request] for request in ["all", "the rest", *further_requests]]


def test_a_redirect_is_followed_and_held_to_the_same_rule(folder: Path, server: FaultyServer):
    server.faults[FIRST] = ["to:/s/s-000002.tar?x=1"]
    assert remote.fetch(server.url + FIRST, lambda _: None).read_bytes() == server.files["/s/s-000002.tar"]

    server.faults["/s/s-000001.tar"] = ["to:http://example.org/a.tar"]
    with pytest.raises(SourceError, match=r"http://example\.org/a\.tar: only https: is read"):
        remote.fetch(f"{server.url}/s/s-000001.tar", lambda _: None)

    server.faults["/s/s-000001.tar"] = ["to:file:///etc/passwd"]
    with pytest.raises(SourceError, match="says 302"):
        remote.fetch(f"{server.url}/s/s-000001.tar", lambda _: None)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("http://example.org/s", "only https: is read, and http: of this machine"),
        ("http://127.0.0.1.example.org/s", "only https: is read"),
        ("https://me:geheim@example.org/s", "given with a user or password"),
        ("https:/s", "names no host"),
        ("https:///s", "names no host"),
    ],
)
def test_urls_that_are_not_read(source: str, words: str):
    with pytest.raises(SourceError, match=words) as caught:
        read_manifest(source)
    assert "geheim" not in str(caught.value)
    assert "named by its tars" not in str(caught.value)


def test_a_certificate_that_nobody_signed_is_refused_at_once(tmp_path: Path, server: FaultyServer):
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2"]
    command += ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("no openssl command to make a certificate with")

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with pytest.raises(SourceError, match="its certificate is not trusted"):
        read_manifest(f"https://localhost:{server.server_address[1]}/s")
