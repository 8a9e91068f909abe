"""Remote sets: fetched whole or refused by name, whatever the way there does to them."""

import errno
import fcntl
import hashlib
import io
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import IO
from urllib.parse import quote

import pytest
from faulty_server import FaultyServer

from ood_lightning.cli.main import main
from ood_lightning.data.class_names import read_names
from ood_lightning.data.remote import download
from ood_lightning.data.remote import fetch as remote
from ood_lightning.data.shards.manifest import read_manifest
from ood_lightning.data.shards.samples import read_samples
from ood_lightning.errors import ManifestError, ShardContentError, SourceError

FIRST = "/s/s-000000.tar"
MENDED = ["reset", "close", "500", "503", "429", "garbage", "slow", "stall", "short", "long", "flip", "html", "unsized"]


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with FaultyServer() as running:
        yield running


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "FIRST_WAIT_S", 0.001)
    monkeypatch.setattr(download, "TIMEOUT_S", 0.4)
    monkeypatch.setattr(download, "TRIES", 4)


@pytest.fixture
def folder(tmp_path: Path, make_set: Callable[..., Path], server: FaultyServer) -> Path:
    """A set of shards of 2, 0 and 3 pictures that the server has under `/s`."""
    made = make_set(tmp_path, "s", shards=(2, 0, 3))
    server.files |= {f"/s/{path.name}": path.read_bytes() for path in made.iterdir()}
    return made


def keys(source: str) -> list[str]:
    manifest = read_manifest(source)
    return [sample.key for shard in manifest.shards for sample in read_samples(manifest.path(shard))]


def cached(tmp_path: Path) -> list[Path]:
    return sorted(path for path in (tmp_path / ".cache").rglob("*") if path.is_file())


@pytest.mark.parametrize("ending", ["", "/", "/manifest.json", "?signature=geheim"])
def test_a_remote_set_is_the_local_one(folder: Path, server: FaultyServer, ending: str):
    here, there = read_manifest(str(folder)), read_manifest(f"{server.url}/s{ending}")
    assert there == here
    assert there.fingerprint == here.fingerprint
    assert server.seen == [("/s/manifest.json", "")]  # shards are fetched when they are read
    for shard in there.shards:
        assert there.path(shard).read_bytes() == here.path(shard).read_bytes()
    n = len(server.seen)
    assert keys(f"{server.url}/s{ending}") == keys(str(folder)) == [f"s{i:04d}" for i in range(5)]
    assert server.seen[n:] == [("/s/manifest.json", "")]  # and once


def test_embed_over_a_bad_line_stores_the_bytes_of_a_local_set(
    folder: Path, server: FaultyServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    for path, faults in (("/s/manifest.json", ["503"]), (FIRST, ["reset", "500"]), ("/s/s-000002.tar", ["flip"])):
        server.faults[path] = list(faults)
    given = ["--encoder=plain_encoder.PlainEncoder", "--num_workers=2"]
    for cache, source in (("here", folder), ("there", f"{server.url}/s")):
        assert main(["embed", *given, f"--shards=['{source}']", f"--cache_dir={cache}"]) == 0
    here, there = (
        {file.relative_to(tmp_path / cache): file.read_bytes() for file in (tmp_path / cache).rglob("*.safetensors")}
        for cache in ("here", "there")
    )
    assert len(here) == 3
    assert here == there
    shutil.rmtree(".cache")
    n = len(server.seen)
    assert main(["embed", *given, f"--shards=['{server.url}/s']", "--cache_dir=there"]) == 0
    assert server.seen[n:] == [("/s/manifest.json", "")]  # finished shards are not fetched again
    capsys.readouterr()
    server.faults[FIRST] = ["403"]
    assert main(["embed", *given, f"--shards=['{server.url}/s']", "--cache_dir=again"]) == 2
    said = capsys.readouterr().err
    assert f"error: {server.url}{FIRST} cannot be fetched: the server says 403" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("workers", [0, 1])
def test_what_was_stored_before_a_shard_was_refused_is_kept_and_used(
    folder: Path, server: FaultyServer, workers: int, capsys: pytest.CaptureFixture[str]
):
    given = ["embed", "--encoder=plain_encoder.PlainEncoder", f"--num_workers={workers}", "--cache_dir=cache"]
    given.append(f"--shards=['{server.url}/s']")
    server.faults[FIRST] = ["403"]  # the second in turn: it is asked for while the largest is decoded
    assert main(given) == 2
    said = capsys.readouterr().err
    assert said.count("error: ") == said.count(FIRST) == 1
    assert "Traceback" not in said
    assert [path.name for path in Path("cache").rglob("*.safetensors")] == ["s-000002.tar.safetensors"]
    n = len(server.seen)
    assert main(given) == 0
    assert [path for path, _ in server.seen[n:]] == ["/s/manifest.json", FIRST, "/s/s-000001.tar"]


def test_names_of_classes_come_from_a_remote_manifest(folder: Path, server: FaultyServer):
    assert read_names(f"{server.url}/s") == ["red", "green"]


@pytest.mark.parametrize("fault", MENDED)
def test_what_another_try_may_mend_is_tried_again(folder: Path, server: FaultyServer, tmp_path: Path, fault: str):
    server.faults[FIRST] = [fault] * (1 if fault == "flip" else 2)
    manifest = read_manifest(f"{server.url}/s")
    assert manifest.path(manifest.shards[0]).read_bytes() == server.files[FIRST]
    assert [path.name for path in cached(tmp_path)] == ["s-000000.tar"]


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
    server.faults[FIRST] = ["reset"]
    get = remote.download._go_on  # type: ignore[attr-defined]

    def then_changed(*given: object) -> None:
        try:
            get(*given)
        finally:
            server.files[FIRST] = new

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(download, "_go_on", then_changed)
        path = remote.fetch(server.url + FIRST, lambda _: None)
    assert old != new
    assert path.read_bytes() == new


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
    monkeypatch.setattr(download, "WORTH_GOING_ON", 100)
    server.files["/x.tar"] = bytes(range(256)) * 1000
    server.faults["/x.tar"] = ["reset"] * 10
    path = remote.fetch(f"{server.url}/x.tar", lambda _: None)
    assert path.read_bytes() == server.files["/x.tar"]
    assert len(server.requests("/x.tar")) == 11


def test_a_part_left_by_a_killed_process_is_gone_on_with(folder: Path, server: FaultyServer, tmp_path: Path):
    manifest = read_manifest(f"{server.url}/s")
    path = manifest.path(manifest.shards[0])
    whole = path.read_bytes()
    for left in (whole[:700], whole, whole + b"more", b"\0" * 700, b"\1" * len(whole)):
        path.unlink(missing_ok=True)
        path.with_name("s-000000.tar.part").write_bytes(left)
        assert manifest.path(manifest.shards[0]).read_bytes() == whole
        assert cached(tmp_path) == [tmp_path / path]
    assert "bytes=700-" in server.requests(FIRST)


def test_processes_that_want_one_shard_fetch_it_once(folder: Path, server: FaultyServer, tmp_path: Path):
    server.faults[FIRST] = ["stall"]
    manifest = read_manifest(f"{server.url}/s")
    found: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: found.append(manifest.path(manifest.shards[0]).read_bytes())) for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [server.files[FIRST]] * 5
    assert len(server.requests(FIRST)) == 2
    assert [path.name for path in cached(tmp_path)] == ["s-000000.tar"]


def test_a_shard_packed_anew_is_fetched_anew_and_two_sets_share_no_file(
    folder: Path, server: FaultyServer, tmp_path: Path, make_set: Callable[..., Path]
):
    before = keys(f"{server.url}/s")
    other = make_set(tmp_path / "other", "s", shards=(4, 1), seed=5)  # the same names
    for path in other.iterdir():
        server.files[f"/t/{path.name}"] = server.files[f"/s/{path.name}"] = path.read_bytes()
    manifest = read_manifest(f"{server.url}/t")
    assert manifest.path(manifest.shards[0]).read_bytes() == (other / "s-000000.tar").read_bytes()
    assert keys(f"{server.url}/s") == keys(str(other)) == before


def test_tars_without_manifest_are_fetched_and_counted(folder: Path, server: FaultyServer):
    server.faults["/s/s-000002.tar"] = ["reset"]
    there = read_manifest(f"{server.url}/s/s-{{000000..000002}}.tar?key=geheim", role="ood")
    here = read_manifest(f"{folder}/s-{{000000..000002}}.tar", role="ood")
    assert (there, there.fingerprint) == (here, here.fingerprint)
    assert [shard.samples for shard in there.shards] == [2, 0, 3]


def test_what_is_left_of_a_tar_without_manifest_is_not_joined_to_the_rest(folder: Path, server: FaultyServer):
    """Nothing would tell that its beginning was that of another version."""
    path = remote.fetch(server.url + FIRST, lambda _: None)
    whole = path.read_bytes()
    path.rename(path.with_name("s-000000.tar.part")).write_bytes(b"old" + whole[3:700])
    assert remote.fetch(server.url + FIRST, lambda _: None).read_bytes() == whole


@pytest.mark.parametrize("faults", [["reset", "no_range"], ["reset", "wrong_range"], ["close", "416"]])
def test_a_file_of_unknown_hash_is_whole_whatever_the_server_makes_of_a_range(
    folder: Path, server: FaultyServer, faults: list[str]
):
    server.faults[FIRST] = list(faults)
    with tempfile.TemporaryFile() as file:
        download.download(server.url + FIRST, file)
        file.seek(0)
        assert file.read() == server.files[FIRST]
    half = f"bytes={len(server.files[FIRST]) // 2}-"
    assert server.requests(FIRST) == ["", half, *{"no_range": [], "wrong_range": [half], "416": [""]}[faults[1]]]


def test_a_process_that_waited_for_one_that_gave_up_fetches_the_file_itself(folder: Path, server: FaultyServer):
    path = remote.fetch(server.url + FIRST, lambda _: None)
    part = path.rename(path.with_name("s-000000.tar.part"))
    found: list[Path] = []
    waits = threading.Thread(target=lambda: found.append(remote.fetch(server.url + FIRST, lambda _: None)))
    with part.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        waits.start()
        waits.join(0.3)
        part.unlink()
    waits.join(10)
    assert found == [path]
    assert path.read_bytes() == server.files[FIRST]


def test_a_file_of_the_hub_with_another_number_of_bytes_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(remote, "_from_hub", lambda _: folder / "s-000000.tar")
    with pytest.raises(ShardContentError, match=r"hf:me/set/s-000000\.tar has [\d,]+ bytes, 5 were promised"):
        remote.fetch("hf:me/set/s-000000.tar", lambda _: None, 5)


def test_a_cut_tar_without_manifest_is_refused(folder: Path, server: FaultyServer, tmp_path: Path):
    server.files[FIRST] = server.files[FIRST][:1700]
    with pytest.raises(ShardContentError, match=r"what came from http.*s-000000\.tar cannot be used: .*part is"):
        read_manifest(server.url + FIRST)
    assert cached(tmp_path) == []


def test_the_folder_of_fetched_shards_is_chosen_by_a_variable(
    folder: Path, server: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OOD_LIGHTNING_SHARDS", str(tmp_path / "scratch"))
    manifest = read_manifest(f"{server.url}/s")
    assert manifest.path(manifest.shards[0]).is_relative_to(tmp_path / "scratch")


def test_a_folder_that_cannot_be_made_is_told(folder: Path, server: FaultyServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OOD_LIGHTNING_SHARDS", str(folder / "manifest.json"))
    words = r"cannot be kept in .*manifest\.json/\w+: Not a directory \(OOD_LIGHTNING_SHARDS names another folder\)"
    for source in (f"{server.url}{FIRST}", f"pipe:cat {folder}/s-000000.tar"):
        with pytest.raises(SourceError, match=words):
            read_manifest(source)


class Full(io.BytesIO):
    """A disk without room."""

    def write(self, _: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_told_and_not_tried_again(
    folder: Path, server: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with pytest.raises(OSError, match="No space left"):
        download.download(server.url + FIRST, Full())
    began = time.monotonic()
    with pytest.raises(OSError, match="No space left"):
        remote._run("pipe:", ["sh", "-c", "echo; sleep 60"], Full())
    assert time.monotonic() - began < 30
    assert server.requests(FIRST) == [""]

    def full(source: str, file: IO[bytes], size: int | None) -> None:
        file.write(b"some")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(remote, "_transfer", full)
        for read in (read_manifest, remote.text):
            with pytest.raises(SourceError, match=r"s-000000\.tar cannot be kept in \S+: No space left on device"):
                read(server.url + FIRST)
    assert read_manifest(server.url + FIRST).n_samples == 2


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="processes are looked up as on Linux")
def test_a_command_ends_and_keeps_no_lock_when_its_reader_is_killed(tmp_path: Path):
    command = f"pipe:echo $$ > {tmp_path}/pid; while sleep 0.05; do echo more; done # {tmp_path}/a.tar"
    process = get_context("fork").Process(target=remote.fetch, args=(command, lambda _: None))
    process.start()
    limit = time.monotonic() + 20
    while not (tmp_path / "pid").is_file() or not (tmp_path / "pid").read_text().endswith("\n"):
        assert time.monotonic() < limit
        time.sleep(0.01)
    process.kill()
    process.join()
    (part,) = (tmp_path / ".cache").rglob("*.part")
    with part.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    own = Path("/proc") / (tmp_path / "pid").read_text().strip() / "cmdline"
    while own.exists() and own.read_bytes():
        assert time.monotonic() < limit
        time.sleep(0.01)


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
    import ssl

    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2"]
    made += ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")]
    try:
        subprocess.run(made, check=True, capture_output=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("no openssl command to make a certificate with")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with pytest.raises(SourceError, match="its certificate is not trusted"):
        read_manifest(f"https://localhost:{server.server_address[1]}/s")


@pytest.mark.parametrize("text", [b"\xff\xfe", b"<html>", b"{}"])
def test_a_remote_manifest_that_is_none(server: FaultyServer, text: bytes):
    server.files["/s/manifest.json"] = text
    with pytest.raises((ManifestError, SourceError), match=r"/s/manifest\.json is no (manifest|text)"):
        read_manifest(f"{server.url}/s")


def test_a_folder_without_manifest_says_how_to_name_its_tars(server: FaultyServer):
    with pytest.raises(SourceError, match=r"says 404 .*named by its tars: \.\.\./shard-\{000\.\.009\}\.tar"):
        read_manifest(f"{server.url}/s")


@pytest.mark.parametrize("command", ["cat", ": '{{kept}}'; cat", "cat < /dev/null | cat -"])
def test_pipe_reads_what_a_command_prints(folder: Path, command: str):
    """Each command of a brace list is a shard; braces that are no list are left to the shell."""
    tars = f"{folder}/s-{{000000..000002}}.tar"
    there, here = read_manifest(f"pipe:{command} {tars}"), read_manifest(tars)
    assert (there, there.fingerprint, there.name) == (here, here.fingerprint, "s")
    for one, other in zip(there.shards, here.shards, strict=True):
        assert there.path(one).read_bytes() == here.path(other).read_bytes()


@pytest.mark.parametrize("command", ["cat {tar}; exit 3", "exit 3 | cat {tar}", "no-such-command-as-this {tar}"])
def test_a_command_that_fails_is_refused_though_it_printed_a_tar(folder: Path, tmp_path: Path, command: str):
    told = "pipe:" + command.format(tar=folder / "s-000000.tar") + " # geheim"
    with pytest.raises(SourceError, match=r"pipe:[\w-]+ \.\.\. failed with exit status (3|127)") as caught:
        read_manifest(told)
    assert "geheim" not in str(caught.value)
    assert not [path for path in cached(tmp_path) if path.suffix == ".tar"]


def test_a_command_that_prints_half_a_tar_is_refused(folder: Path):
    with pytest.raises(ShardContentError, match=r"what came from pipe:head \.\.\. cannot be used"):
        read_manifest(f"pipe:head -c 1700 {folder}/s-000000.tar")


def test_commands_that_name_no_tar_are_told_apart(folder: Path):
    there = read_manifest(f"pipe:cat {folder}/s-00000{{0,2}}*")
    assert [(shard.path, shard.samples) for shard in there.shards] == [("000000-pipe.tar", 2), ("000001-pipe.tar", 3)]


def test_s3_goes_through_the_aws_command(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    program = tmp_path / "bin" / "aws"
    program.parent.mkdir()
    program.write_text(
        '#!/bin/sh\n[ "$1 $2 $3 $5" = "s3 cp --no-progress -" ] || exit 9\n'
        f'case "$4" in s3://bucket/s/*) cat "{folder}/$(basename "$4")";; *) exit 8;; esac\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    assert read_manifest("s3://bucket/s") == read_manifest(str(folder))
    assert keys("s3://bucket/s") == keys("s3://bucket/s/s-{000000..000002}.tar") == keys(str(folder))
    with pytest.raises(SourceError, match=r"s3://else/s/manifest\.json failed with exit status 8"):
        read_manifest("s3://else/s")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SourceError, match="`aws` command, which is not installed here"):
        read_manifest("s3://bucket/s")


def test_the_hub_is_read_by_its_own_client_with_its_token(folder: Path, server: FaultyServer, tmp_path: Path):
    """In a process of its own, since the client reads its settings when it is imported."""
    at = "/datasets/me/set/resolve/{}/deep/s/"
    server.files |= {at.format(r) + path.name: path.read_bytes() for path in folder.iterdir() for r in ("main", "v1")}
    program = (
        "import sys; from ood_lightning.data.shards.manifest import read_manifest\n"
        "from ood_lightning.errors import UserError\n"
        "for source in sys.argv[1:]:\n"
        "    try:\n"
        "        m = read_manifest(source)\n"
        "        print(m.name, *(hash_of(m.path(s)) for s in m.shards))\n"
        "    except UserError as error:\n"
        "        print('refused:', error)\n"
    )
    program = "import hashlib\nhash_of = lambda p: hashlib.sha256(p.read_bytes()).hexdigest()\n" + program
    sources = ["hf:me/set/deep/s", "hf:me/set@v1/deep/s/s-{000000..000002}.tar", "hf:me/set/none", "hf:me"]
    given = {"HF_ENDPOINT": server.url, "HF_TOKEN": "hf_geheim", "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "0"}
    ran = subprocess.run(
        [sys.executable, "-c", program, *sources], env={**os.environ, **given}, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    hashes = " ".join(
        hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir()) if path.suffix == ".tar"
    )
    lines = ran.stdout.splitlines()
    assert lines[:2] == [f"s {hashes}"] * 2
    assert lines[2].startswith("refused: hf:me/set/none/manifest.json cannot be fetched")
    assert "tries" not in lines[2]  # it is not there, and another try would not find it
    assert lines[3].startswith("refused: 'hf:me/manifest.json': expected hf:OWNER/DATASET/PATH")
    asked = [
        found for (path, _), found in zip(server.seen, server.headers, strict=True) if path.startswith("/datasets/")
    ]
    assert asked
    assert {found.get("authorization") for found in asked} == {"Bearer hf_geheim"}
    assert "geheim" not in ran.stdout + ran.stderr


FROM_HUB = """
import sys
from ood_lightning.data.remote import download
from ood_lightning.data.remote import fetch as remote
from ood_lightning.errors import UserError

download.FIRST_WAIT_S, download.TRIES = 0.01, 4
for fault in sys.argv[1:]:
    try:
        path = remote.fetch(f"hf:me/set/{fault}.tar", lambda path: None)
        print(fault, path.read_bytes() == fault.encode() * 10_000)
    except UserError as error:
        print(fault, "refused:", error)
"""


@pytest.mark.slow
def test_what_breaks_between_here_and_the_hub_is_tried_again_or_refused(server: FaultyServer, tmp_path: Path):
    at = "/datasets/me/set/resolve/main/{}.tar"
    broken = ["reset", "503", "close", "slow", "reset 503"]
    refused = {"reset " * 40: True, "503 " * 40: True, "403 " * 40: False, "404 " * 40: False}  # whether tried again
    for name in [*broken, *refused]:
        server.files[at.format(quote(name))] = name.encode() * 10_000  # else the client would know it by its tag
        # each try asks for the headers first, where the client has tries of its own
        server.faults[at.format(quote(name))] = [what for fault in name.split() for what in ("", fault)]
    given = {"HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "0"}
    given |= {"HF_HUB_DOWNLOAD_TIMEOUT": "1", "HF_HUB_ETAG_TIMEOUT": "1", "HF_HUB_DISABLE_XET": "1"}
    ran = subprocess.run(
        [sys.executable, "-c", FROM_HUB, *broken, *refused], env={**os.environ, **given}, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    said = ran.stdout.splitlines()
    assert said[: len(broken)] == [f"{name} True" for name in broken]
    for (name, again), line in zip(refused.items(), said[len(broken) :], strict=True):
        tries = ", given up after 4 tries:" if again else ":"
        assert line.startswith(f"{name} refused: hf:me/set/{name}.tar cannot be fetched{tries}"), line
        assert len(server.requests(at.format(quote(name)))) == (8 if again else 2)
