"""`data pack hf:...` against a server that plays the hub: which files, at which commit, whatever breaks on the way."""

import hashlib
import json
import logging
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_hub import API, COMMIT, parquet_table, publish, resolved
from faulty_server import FaultyServer
from huggingface_hub import constants

from ood_lightning.cli.main import main
from ood_lightning.data.shards.read_manifest import read_manifest

OTHER = "bad" + "1" * 37
FILES = ("data/test-00000-of-00002.parquet", "data/test-00001-of-00002.parquet", "data/train-00000-of-00001.parquet")
CACHE = Path("hub/datasets--me--set")


@pytest.fixture(scope="module")
def tables() -> dict[str, bytes]:
    return {path: parquet_table(100 * i, n) for i, (path, n) in enumerate(zip(FILES, (5, 3, 4), strict=True))}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FaultyServer]:
    """The client's only hub, with a token and an empty cache."""
    look_up = socket.getaddrinfo

    def only_this_machine(host: Any, *args: Any, **options: Any) -> Any:
        assert host in ("127.0.0.1", "localhost"), f"something tried to reach {host}"
        return look_up(host, *args, **options)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(socket, "getaddrinfo", only_this_machine)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_TOKEN", "hf_geheim")
    # the client's log writes to the standard error of the test that imported it, which is closed by now
    monkeypatch.setattr(logging, "raiseExceptions", False)
    with FaultyServer() as running:
        point_client_at(running.url, monkeypatch)
        yield running


def point_client_at(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")


@pytest.fixture
def hub(server: FaultyServer, tables: dict[str, bytes]) -> FaultyServer:
    publish(server, {**tables, "README.md": b"# set"}, folders=("data",))
    return server


def pack(source: str, out: str, *more: str) -> int:
    return main(
        ["data", "pack", source, "--out", out, "--name", "s", "--role", "id", "--samples_per_shard=3", *more],
    )


def tars(out: str) -> dict[str, bytes]:
    contents = {path.name: path.read_bytes() for path in sorted(Path(out).glob("*.tar"))}
    assert contents
    return contents


def copy_to(folder: str, files: dict[str, bytes]) -> None:
    for path, data in files.items():
        Path(folder, path).parent.mkdir(parents=True, exist_ok=True)
        Path(folder, path).write_bytes(data)


def downloads(server: FaultyServer, path: str) -> int:
    """How often a file was asked for, each time its headers first and then its bytes."""
    return len(server.requests(resolved(path))) // 2


def refused(capsys: pytest.CaptureFixture[str], source: str, *more: str) -> str:
    capsys.readouterr()
    assert pack(source, "refused", *more) == 2
    assert not Path("refused").exists()

    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert "geheim" not in said
    return said


def test_a_split_has_the_bytes_of_its_local_copy_for_any_number_of_workers(
    hub: FaultyServer, tables: dict[str, bytes], capsys: pytest.CaptureFixture[str]
):
    copy_to("copy", {path: tables[path] for path in FILES[:2]})
    assert pack("copy/data", "local") == 0

    for workers in ("1", "3"):
        assert pack("hf:me/set", f"hub{workers}", "--split=test", f"--workers={workers}") == 0
        assert tars(f"hub{workers}") == tars("local")
    assert [downloads(hub, path) for path in FILES] == [1, 1, 0], "each file of the split once, and no other"

    snapshot = CACHE / "snapshots" / COMMIT
    said = capsys.readouterr().out
    assert re.search(rf"2 Parquet files, [0-9.]+kB, in \S+/{snapshot} \(`hf cache rm dataset/me/set` removes", said)
    assert pack(str(snapshot / "data"), "cached") == 0
    assert tars("cached") == tars("local")


def test_manifest_and_notes_say_which_files_at_which_commit(hub: FaultyServer, tables: dict[str, bytes]):
    assert pack("hf:me/set", "out", "--split=test") == 0

    manifest = read_manifest("out")
    assert (manifest.n_samples, manifest.class_names) == (8, ("tench", "goldfish"))
    assert manifest.source == f"hf:me/set@{COMMIT} split test"

    notes = json.loads(Path("out/pack.json").read_text())["hub"]
    assert (notes["dataset"], notes["commit"]) == ("me/set", COMMIT)
    assert [(file["path"], file["bytes"]) for file in notes["files"]] == [(p, len(tables[p])) for p in FILES[:2]]
    assert notes["files"][0]["sha256"] == hashlib.sha256(tables[FILES[0]]).hexdigest()


def test_a_commit_and_a_folder_may_be_named_and_several_splits_taken(hub: FaultyServer, tables: dict[str, bytes]):
    publish(hub, tables, COMMIT, revision=COMMIT, folders=("data",))
    assert pack(f"hf:me/set@{COMMIT}/data", "all", "--split=train+test") == 0
    copy_to("copy", tables)
    assert pack("copy", "local", "--split=train+test") == 0
    assert tars("all") == tars("local")
    assert read_manifest("all").n_samples == 12
    assert read_manifest("all").source == f"hf:me/set@{COMMIT}/data split train+test"


@pytest.mark.slow
def test_an_interrupted_download_goes_on_with_what_is_there(hub: FaultyServer, capsys: pytest.CaptureFixture[str]):
    hub.faults[resolved(FILES[1])] = ["", "close", "500"]  # headers, half of the bytes, no more of them
    said = refused(capsys, "hf:me/set", "--split=test")
    assert f"hf:me/set cannot be fetched from the hub at {hub.url}" in said
    assert "Files that came whole are kept, and the same command goes on" in said

    assert pack("hf:me/set", "out", "--split=test") == 0
    assert downloads(hub, FILES[0]) == 1


def test_other_bytes_than_the_hub_lists_are_refused_and_not_kept(hub: FaultyServer, capsys: pytest.CaptureFixture[str]):
    hub.faults[resolved(FILES[1])] = ["", "flip"]
    said = refused(capsys, "hf:me/set", "--split=test")
    assert f"the bytes of hf:me/set/{FILES[1]} are not those that the hub lists" in said
    assert len([*(CACHE / "blobs").iterdir()]) == 1, "of the other file"

    assert pack("hf:me/set", "out", "--split=test") == 0
    assert [downloads(hub, path) for path in FILES[:2]] == [1, 2]


def test_names_that_look_like_patterns_are_names(server: FaultyServer, tables: dict[str, bytes]):
    files = {"data/test[0].parquet": tables[FILES[0]], "data/test0.parquet": tables[FILES[1]]}
    publish(server, files, folders=("data",))
    server.files[resolved("data/test%5B0%5D.parquet")] = tables[FILES[0]]
    assert pack("hf:me/set", "out", "--split=test[0]") == 0
    assert read_manifest("out").n_samples == 5
    assert not server.requests(resolved("data/test0.parquet"))


def test_a_folder_of_another_commit_is_not_gone_on_with(hub: FaultyServer, capsys: pytest.CaptureFixture[str]):
    assert pack("hf:me/set", "out", "--split=test") == 0
    before = tars("out")

    hub.files.pop(f"{API}/tree/{COMMIT}")
    publish(hub, {path: parquet_table(900, 2) for path in FILES}, OTHER)
    assert pack("hf:me/set", "out", "--split=test") == 2
    assert "from another source or with other choices" in capsys.readouterr().err
    assert tars("out") == before


def test_the_token_goes_to_the_hub_alone_and_a_signature_into_no_message(
    hub: FaultyServer, tables: dict[str, bytes], capsys: pytest.CaptureFixture[str]
):
    storage = f"http://localhost:{hub.server_address[1]}/store"  # another host by its name
    hub.files |= {"/store": tables[FILES[0]], "/renamed": tables[FILES[1]]}
    hub.faults[resolved(FILES[0])] = [f"to:{storage}?signature=geheim"] * 2
    hub.faults[resolved(FILES[1])] = ["to:/renamed"] * 2
    hub.faults["/store"] = ["410"]
    said = refused(capsys, "hf:me/set", "--split=test")
    assert "410 Gone" in said
    assert storage in said

    assert pack("hf:me/set", "out", "--split=test") == 0
    tokens = {path: head.get("authorization") for (path, _), head in zip(hub.seen, hub.headers, strict=True)}
    assert tokens.pop("/store") is None
    assert tokens.pop("/renamed") == "Bearer hf_geheim"
    assert set(tokens.values()) == {"Bearer hf_geheim"}
    kept = [path for path in Path().rglob("*") if path.is_file()]
    assert not any(b"geheim" in path.read_bytes() for path in kept)


def test_what_is_not_clear_is_listed(hub: FaultyServer, tables: dict[str, bytes], capsys: pytest.CaptureFixture[str]):
    said = refused(capsys, "hf:me/set")
    assert "hf:me/set has 2 splits: choose one by --split, or several as --split test+train" in said
    assert re.search(r"\n  data: test \(2 files, [0-9.]+kB\)\n  data: train \(1 file, ", said)
    said = refused(capsys, "hf:me/set", "--split=validation")
    assert "has no split 'validation'; its files are named\n  data: test" in said

    both = {f"{config}/{path.removeprefix('data/')}": tables[path] for config in ("a", "b") for path in FILES}
    publish(hub, both, OTHER, folders=("a",))
    said = refused(capsys, "hf:me/set", "--split=test")
    assert "hf:me/set has 2 folders with such files: name one, as `hf:me/set/a`:\n  a: test" in said
    assert pack("hf:me/set/a", "a", "--split=test") == 0

    publish(hub, {path: tables[path] for path in FILES[1:]})
    assert "split 'test' has 1 file, their names speak of 2" in refused(capsys, "hf:me/set", "--split=test")


def test_what_the_hub_converted_is_taken_where_it_is_named(hub: FaultyServer, tables: dict[str, bytes]):
    tree = {"default/test/0000.parquet": tables[FILES[0]], "default/partial-train/0000.parquet": tables[FILES[2]]}
    publish(hub, tree, OTHER, revision="refs%2Fconvert%2Fparquet", folders=("default",))
    for source in ("hf:me/set@refs/convert/parquet", "hf:me/set@refs/convert/parquet/default"):
        assert pack(source, source.rpartition("/")[2], "--split=test") == 0
    assert tars("parquet") == tars("default")
    assert read_manifest("default").n_samples == 5


@pytest.mark.parametrize("answer", ["401:GatedRepo", "403:GatedRepo"])
@pytest.mark.parametrize("path", [API, resolved(FILES[0])])
def test_a_gated_set_says_what_to_do(hub: FaultyServer, capsys: pytest.CaptureFixture[str], answer: str, path: str):
    """Some hide their list of files, others their files alone."""
    hub.faults[path] = [answer] * 2
    said = refused(capsys, "hf:me/set", "--split=test")
    assert "me/set is gated" in said
    assert f"Agree to their terms on {hub.url}/datasets/me/set, then `hf auth login`, or HF_TOKEN" in said


def test_what_is_not_there(hub: FaultyServer, capsys: pytest.CaptureFixture[str]):
    hub.faults["/api/datasets/me/none"] = ["401:RepoNotFound"]
    hub.faults[f"{API}/revision/v9"] = ["404:RevisionNotFound"]
    hub.faults[f"{API}/revision/refs%2Fconvert%2Fparquet"] = ["404:RevisionNotFound"]
    hub.faults[f"{API}/tree/{COMMIT}/nowhere"] = ["404:EntryNotFound"]
    for source, words in (
        ("hf:me/none", "the hub shows no data set 'me/none': it is misspelt, or private"),
        ("hf:me/set@v9", "me/set has no revision 'v9'\n"),
        ("hf:me/set@refs/convert/parquet", "the hub has not converted it to Parquet"),
        ("hf:me/set/nowhere", "me/set has no folder 'nowhere' at revision main"),
        ("hf:me", "expected hf:OWNER/DATASET, with @REVISION and /FOLDER"),
    ):
        assert words in refused(capsys, source), source

    publish(hub, {"../data/test.parquet": b""})
    assert "lists the file '../data/test.parquet', but it lies outside" in refused(capsys, "hf:me/set")


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (("test/0.tar", "test/1.tar"), f"need no packing: .*--shards 'hf:me/set@{COMMIT}/test/0.tar'"),
        (("test/0.TAR",), f"--shards 'hf:me/set@{COMMIT}/test/0.TAR'"),
        (("train/a.jpg", "train/b.JPEG"), r"of their own are packed from a folder: .hf download me/set --revision"),
        (("all.zip",), "Archives are packed from this machine"),
        (("set.py",), r"holds no Parquet files, but 1 \.py"),
    ],
)
def test_another_form_says_what_to_do_instead(
    server: FaultyServer, capsys: pytest.CaptureFixture[str], files: tuple[str, ...], words: str
):
    publish(server, dict.fromkeys(files, b"x"))
    said = refused(capsys, "hf:me/set")
    assert re.search(words, said), said
    assert "`hf:me/set@refs/convert/parquet`" in said


def test_without_a_network_it_says_so(
    hub: FaultyServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    point_client_at("http://127.0.0.1:9", monkeypatch)
    said = refused(capsys, "hf:me/set")
    assert "hf:me/set cannot be listed from the hub at http://127.0.0.1:9" in said
    assert "`hf download me/set --repo-type dataset --local-dir FOLDER`" in said


@pytest.mark.slow
def test_endpoint_and_offline_mode_are_those_of_the_hubs_client(hub: FaultyServer, tmp_path: Path):
    """In a process of its own, since the client reads them when it is imported."""
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "0"}
    command = [sys.executable, "-m", "ood_lightning", "data", "pack", "hf:me/set", "--split=test", "--out=out"]
    command += ["--name=s", "--role=id"]
    online = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert online.returncode == 0, online.stderr
    assert (tmp_path / "home/hub/datasets--me--set/snapshots" / COMMIT / FILES[0]).is_file()

    offline = subprocess.run(command, env={**environment, "HF_HUB_OFFLINE": "1"}, capture_output=True, text=True)
    assert offline.returncode == 2
    assert "the hub at http://127.0.0.1" in offline.stderr
    assert "offline" in offline.stderr
    assert "geheim" not in online.stdout + online.stderr + offline.stderr
