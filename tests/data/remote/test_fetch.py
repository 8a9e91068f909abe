"""Remote sets: the same as local ones, fetched once, and kept only when they are whole."""

import errno
import fcntl
import io
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest
from faulty_server import FaultyServer
from remote_sets import FIRST, cached, keys
from waiting import HANG_S

from ood_lightning.cli.main import main
from ood_lightning.data.class_names import read_names
from ood_lightning.data.remote import commands, download
from ood_lightning.data.remote import fetch as remote
from ood_lightning.data.shards.read_manifest import read_manifest
from ood_lightning.errors import ManifestError, ShardContentError, SourceError


@pytest.mark.parametrize("ending", ["", "/", "/manifest.json", "?signature=geheim"])
def test_a_remote_set_is_the_local_one(folder: Path, server: FaultyServer, ending: str):
    here = read_manifest(str(folder))
    there = read_manifest(f"{server.url}/s{ending}")
    assert there == here
    assert there.fingerprint == here.fingerprint
    assert server.seen == [("/s/manifest.json", "")]  # shards are fetched when they are read

    for shard in there.shards:
        assert there.path(shard).read_bytes() == here.path(shard).read_bytes()

    n_requests = len(server.seen)
    assert keys(f"{server.url}/s{ending}") == keys(str(folder)) == [f"s{i:04d}" for i in range(5)]
    assert server.seen[n_requests:] == [("/s/manifest.json", "")]  # and only once


def test_embed_over_a_bad_line_stores_the_bytes_of_a_local_set(
    folder: Path, server: FaultyServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    server.faults |= {"/s/manifest.json": ["503"], FIRST: ["reset", "500"], "/s/s-000002.tar": ["flip"]}

    def embed(source: object, cache: str) -> int:
        options = ["--encoder=plain_encoder.PlainEncoder", "--num_workers=2"]
        return main(["embed", *options, f"--shards=['{source}']", f"--cache_dir={cache}"])

    stored = []
    for source, cache in ((folder, "here"), (f"{server.url}/s", "there")):
        assert embed(source, cache) == 0
        files = (tmp_path / cache).rglob("*.safetensors")
        stored.append({file.relative_to(tmp_path / cache): file.read_bytes() for file in files})
    assert len(stored[0]) == 3
    assert stored[0] == stored[1]

    shutil.rmtree(".cache")
    n_requests = len(server.seen)
    assert embed(f"{server.url}/s", "there") == 0
    assert server.seen[n_requests:] == [("/s/manifest.json", "")]  # finished shards are not fetched again

    capsys.readouterr()
    server.faults[FIRST] = ["403"]
    assert embed(f"{server.url}/s", "again") == 2
    said = capsys.readouterr().err
    assert f"error: {server.url}{FIRST} cannot be fetched: the server says 403" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("workers", [0, 1])
def test_what_was_stored_before_a_shard_was_refused_is_kept_and_used(
    folder: Path, server: FaultyServer, workers: int, capsys: pytest.CaptureFixture[str]
):
    options = ["--encoder=plain_encoder.PlainEncoder", f"--num_workers={workers}", "--cache_dir=cache"]
    command = ["embed", *options, f"--shards=['{server.url}/s']"]

    server.faults[FIRST] = ["403"]  # the second in turn: it is fetched while the largest is decoded
    assert main(command) == 2
    said = capsys.readouterr().err
    assert said.count("error: ") == said.count(FIRST) == 1
    assert "Traceback" not in said
    assert [path.name for path in Path("cache").rglob("*.safetensors")] == ["s-000002.tar.safetensors"]

    n_requests = len(server.seen)
    assert main(command) == 0
    assert [path for path, _ in server.seen[n_requests:]] == ["/s/manifest.json", FIRST, "/s/s-000001.tar"]


def test_names_of_classes_come_from_a_remote_manifest(folder: Path, server: FaultyServer):
    assert read_names(f"{server.url}/s") == ["red", "green"]


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


@pytest.mark.slow
def test_processes_that_want_one_shard_fetch_it_once(folder: Path, server: FaultyServer, tmp_path: Path):
    server.faults[FIRST] = ["stall"]
    manifest = read_manifest(f"{server.url}/s")
    contents: list[bytes] = []

    def fetch() -> None:
        contents.append(manifest.path(manifest.shards[0]).read_bytes())

    threads = [threading.Thread(target=fetch) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert contents == [server.files[FIRST]] * 5
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


def test_a_process_that_waited_for_one_that_gave_up_fetches_the_file_itself(folder: Path, server: FaultyServer):
    path = remote.fetch(server.url + FIRST, lambda _: None)
    part = path.rename(path.with_name("s-000000.tar.part"))
    fetched: list[Path] = []
    waiting = threading.Thread(target=lambda: fetched.append(remote.fetch(server.url + FIRST, lambda _: None)))

    with part.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        waiting.start()
        waiting.join(0.3)
        part.unlink()
    waiting.join(HANG_S)
    assert fetched == [path]
    assert path.read_bytes() == server.files[FIRST]


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


def test_a_folder_that_cannot_be_made_is_named(folder: Path, server: FaultyServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OOD_LIGHTNING_SHARDS", str(folder / "manifest.json"))
    words = r"cannot be kept in .*manifest\.json/\w+: Not a directory \(OOD_LIGHTNING_SHARDS names another folder\)"
    for source in (f"{server.url}{FIRST}", f"pipe:cat {folder}/s-000000.tar"):
        with pytest.raises(SourceError, match=words):
            read_manifest(source)


class Full(io.BytesIO):
    """A disk without room."""

    def write(self, _: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_named_and_not_tried_again(folder: Path, server: FaultyServer, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(OSError, match="No space left"):
        download.download(server.url + FIRST, Full())
    assert server.requests(FIRST) == [""]
    with pytest.raises(OSError, match="No space left"):  # the command is killed: the test would end after hours
        commands.run_command("pipe:echo; sleep 10000", Full())

    def full(source: str, file: IO[bytes], size: int | None) -> None:
        file.write(b"some")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(remote, "_transfer", full)
        with pytest.raises(SourceError, match=r"s-000000\.tar cannot be kept in \S+: No space left on device"):
            read_manifest(server.url + FIRST)

    assert read_manifest(server.url + FIRST).n_samples == 2


@pytest.mark.parametrize(
    ("text", "words"), [(b"\xff\xfe", " is no text"), (b"<html>", " is not readable"), (b"{}", ": name is missing")]
)
def test_a_remote_manifest_that_is_none(server: FaultyServer, text: bytes, words: str):
    server.files["/s/manifest.json"] = text
    with pytest.raises((ManifestError, SourceError), match=rf"/s/manifest\.json{words}"):
        read_manifest(f"{server.url}/s")


def test_a_folder_without_manifest_says_how_to_name_its_tars(server: FaultyServer):
    with pytest.raises(SourceError, match=r"says 404 .*named by its tars: \.\.\./shard-\{000\.\.009\}\.tar"):
        read_manifest(f"{server.url}/s")
