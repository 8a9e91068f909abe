"""`data pack hf:...` against a server that plays the hub: which files, at which commit, whatever breaks on the way."""

import hashlib
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from faulty_server import FaultyServer
from huggingface_hub import constants
from shard_files import COLOURS, encoded

from ood_lightning.cli.main import main
from ood_lightning.data.pack.hub_splits import Named, chosen, grouped, named
from ood_lightning.data.remote import download
from ood_lightning.data.shards.manifest import read_manifest
from ood_lightning.errors import SourceError

COMMIT, OTHER = "c0ffee" + "0" * 34, "bad" + "1" * 37
FILES = ("data/test-00000-of-00002.parquet", "data/test-00001-of-00002.parquet", "data/train-00000-of-00001.parquet")
CACHED = Path(".cache/shards/hub/me/set")


def table(first: int, n: int) -> bytes:
    """A Parquet file of n pictures as `datasets` writes it."""
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    cells = [{"bytes": encoded(COLOURS["red"], first + i), "path": f"{i}.png"} for i in range(n)]
    about = {"info": {"features": {"label": {"names": ["tench", "goldfish"]}}}}
    made = pa.table({"image": pa.array(cells, kind), "label": pa.array([i % 2 for i in range(n)])})
    file = io.BytesIO()
    pq.write_table(made.replace_schema_metadata({"huggingface": json.dumps(about)}), file, row_group_size=2)
    return file.getvalue()


def publish(
    server: FaultyServer,
    files: dict[str, bytes],
    commit: str = COMMIT,
    revision: str = "",
    folders: tuple[str, ...] = (),
) -> None:
    """Let the server play the hub for me/set."""
    api, asked = "/api/datasets/me/set", f"/revision/{revision}" if revision else ""
    server.files[api + asked] = json.dumps({"id": "me/set", "sha": commit}).encode()
    for folder in ("", *folders):
        tree = [
            {
                "type": "file",
                "path": path,
                "size": len(data),
                "oid": "0" * 40,
                "lfs": {"size": len(data), "oid": hashlib.sha256(data).hexdigest(), "pointerSize": 130},
            }
            for path, data in files.items()
            if path.startswith(folder)
        ]
        server.files[f"{api}/tree/{commit}" + f"/{folder}" * bool(folder)] = json.dumps(tree).encode()
    server.files |= {at(path, commit): data for path, data in files.items()}


def at(path: str, commit: str = COMMIT) -> str:
    return f"/datasets/me/set/resolve/{commit}/{path}"


@pytest.fixture(scope="module")
def tables() -> dict[str, bytes]:
    return {path: table(100 * i, n) for i, (path, n) in enumerate(zip(FILES, (5, 3, 4), strict=True))}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FaultyServer]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(download, "FIRST_WAIT_S", 0.001)
    monkeypatch.setattr(download, "TIMEOUT_S", 0.4)
    monkeypatch.setattr(download, "TRIES", 4)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", "hf_geheim")
    with FaultyServer() as running:
        monkeypatch.setattr(constants, "ENDPOINT", running.url)
        yield running


@pytest.fixture
def hub(server: FaultyServer, tables: dict[str, bytes]) -> FaultyServer:
    publish(server, {**tables, "README.md": b"# set"}, folders=("data",))
    return server


def pack(source: str, out: str, *more: str) -> int:
    given = ["--out", out, "--name", "s", "--role", "id", "--samples_per_shard=3", *more]
    return main(["data", "pack", source, *given])


def tars(out: str) -> dict[str, bytes]:
    found = {path.name: path.read_bytes() for path in sorted(Path(out).glob("*.tar"))}
    assert found
    return found


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
    for path in FILES[:2]:
        Path("copy", path).parent.mkdir(parents=True, exist_ok=True)
        Path("copy", path).write_bytes(tables[path])
    assert pack("copy/data", "local") == 0
    hub.faults[at(FILES[0])] = ["reset", "503"]
    hub.faults[at(FILES[1])] = ["flip"]
    for workers in ("1", "3"):
        assert pack("hf:me/set", f"hub{workers}", "--split=test", f"--workers={workers}") == 0
        assert tars(f"hub{workers}") == tars("local")
    assert not hub.requests(at(FILES[2])), "a split that nobody wanted was fetched"
    assert len(hub.requests(at(FILES[1]))) == 2  # once more for the flipped byte, and never again
    manifest = read_manifest("hub1")
    assert (manifest.n_samples, manifest.class_names) == (8, ("tench", "goldfish"))
    assert manifest.source == f"hf:me/set@{COMMIT} split test"
    about = json.loads(Path("hub1/pack.json").read_text())["hub"]
    assert (about["dataset"], about["commit"]) == ("me/set", COMMIT)
    assert [(f["path"], f["bytes"]) for f in about["files"]] == [(path, len(tables[path])) for path in FILES[:2]]
    assert about["files"][0]["sha256"] == hashlib.sha256(tables[FILES[0]]).hexdigest()
    said = capsys.readouterr()
    assert re.search(f"2 Parquet files, [0-9.]+ kB, in {CACHED / COMMIT}; no longer needed", said.out)
    assert "fetch me/set" in said.err  # the bar
    assert pack(str(CACHED / COMMIT / "data"), "cached") == 0
    assert tars("cached") == tars("local")


def test_a_commit_and_a_folder_may_be_named_and_several_splits_taken(
    hub: FaultyServer, tables: dict[str, bytes], capsys: pytest.CaptureFixture[str]
):
    publish(hub, tables, COMMIT, revision=COMMIT, folders=("data",))
    assert pack(f"hf:me/set@{COMMIT}/data", "all", "--split=train+test") == 0
    for path, content in tables.items():
        Path("copy", path).parent.mkdir(parents=True, exist_ok=True)
        Path("copy", path).write_bytes(content)
    assert pack("copy", "local", "--split=train+test") == 0
    assert tars("all") == tars("local")
    assert read_manifest("all").n_samples == 12
    assert "copy has 2 splits: choose one by --split" in refused(capsys, "copy")
    assert "copy has no split 'val'" in refused(capsys, "copy", "--split=val")
    assert pack("copy", "test", "--split=test") == 0
    assert (read_manifest("test").n_samples, read_manifest("test").source) == (8, "copy split test")
    assert pack("copy", "test", "--split=train") == 2, "another split in the folder of the first"
    for path in tables:
        if "test" in path:
            Path("copy", path).rename(f"copy/{Path(path).name.replace('test', 'part')}")
        else:
            Path("copy", path).rename("copy/more.parquet")
    assert pack("copy", "unnamed") == 0, "these names speak of no splits"
    assert read_manifest("unnamed").n_samples == 12


def test_an_interrupted_download_goes_on_with_what_is_there(hub: FaultyServer, capsys: pytest.CaptureFixture[str]):
    whole = len(hub.files[at(FILES[1])])
    hub.faults[at(FILES[1])] = ["close", *["500"] * 3]
    assert "given up after 4 tries" in refused(capsys, "hf:me/set", "--split=test")
    assert [path.name for path in sorted(CACHED.rglob("*.parquet*"))] == [
        "test-00000-of-00002.parquet",
        "test-00001-of-00002.parquet.part",
    ]
    assert pack("hf:me/set", "out", "--split=test") == 0
    assert hub.requests(at(FILES[0])) == [""]
    assert hub.requests(at(FILES[1]))[-1] == f"bytes={whole // 2}-"
    assert not list(CACHED.rglob("*.part"))


def test_a_folder_of_another_commit_is_not_gone_on_with(
    hub: FaultyServer, tables: dict[str, bytes], capsys: pytest.CaptureFixture[str]
):
    assert pack("hf:me/set", "out", "--split=test") == 0
    before = tars("out")
    hub.files.pop(f"/api/datasets/me/set/tree/{COMMIT}")
    publish(hub, {path: table(900, 2) for path in FILES}, OTHER)
    assert pack("hf:me/set", "out", "--split=test") == 2
    assert "from another source or with other choices" in capsys.readouterr().err
    assert tars("out") == before


def test_the_token_goes_to_the_hub_alone(hub: FaultyServer, tables: dict[str, bytes]):
    there = f"http://localhost:{hub.server_address[1]}/store"  # another host by its name
    hub.files |= {"/store": tables[FILES[0]], "/renamed": tables[FILES[1]]}
    hub.faults[at(FILES[0])] = [f"to:{there}"]
    hub.faults[at(FILES[1])] = ["to:/renamed"]
    assert pack("hf:me/set", "out", "--split=test") == 0
    asked = {path: head.get("authorization") for (path, _), head in zip(hub.seen, hub.headers, strict=True)}
    assert asked.pop("/store") is None
    assert asked.pop("/renamed") == "Bearer hf_geheim"
    assert set(asked.values()) == {"Bearer hf_geheim"}
    kept = [path for path in Path().rglob("*") if path.is_file()]
    assert not any(b"geheim" in path.read_bytes() for path in kept)


def test_what_is_not_clear_is_listed(hub: FaultyServer, tables: dict[str, bytes], capsys: pytest.CaptureFixture[str]):
    said = refused(capsys, "hf:me/set")
    assert "hf:me/set has 2 splits: choose one by --split, or several as --split test+train" in said
    assert re.search(r"\n  data: test \(2 files, [0-9.]+ kB\)\n  data: train \(1 file, ", said)
    assert "has no split 'validation'; its files are named\n  data: test" in refused(
        capsys, "hf:me/set", "--split=validation"
    )
    both = {f"{config}/{path.removeprefix('data/')}": tables[path] for config in ("a", "b") for path in FILES}
    publish(hub, both, folders=("a",))
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
def test_a_gated_set_says_what_to_do(hub: FaultyServer, capsys: pytest.CaptureFixture[str], answer: str):
    for path in (at(FILES[0]), "/api/datasets/me/set"):
        hub.faults = {**dict.fromkeys(hub.files, ["x"] * 0), path: [answer] * 2}  # type: ignore[assignment]
        said = refused(capsys, "hf:me/set", "--split=test")
        assert "me/set is gated" in said
        assert f"Agree to their terms on {hub.url}/datasets/me/set, then `hf auth login`, or HF_TOKEN" in said


def test_what_is_not_there(hub: FaultyServer, capsys: pytest.CaptureFixture[str]):
    hub.faults["/api/datasets/me/none"] = ["401:RepoNotFound"]
    hub.faults["/api/datasets/me/set/revision/v9"] = ["404:RevisionNotFound"]
    hub.faults["/api/datasets/me/set/revision/refs%2Fconvert%2Fparquet"] = ["404:RevisionNotFound"]
    hub.faults[f"/api/datasets/me/set/tree/{COMMIT}/nowhere"] = ["404:EntryNotFound"]
    for source, words in (
        ("hf:me/none", "the hub shows no data set 'me/none': it is misspelt, or private"),
        ("hf:me/set@v9", "me/set has no revision 'v9'"),
        ("hf:me/set@refs/convert/parquet", "the hub has not converted it to Parquet"),
        ("hf:me/set/nowhere", "me/set has no folder 'nowhere' at revision main"),
        ("hf:me", "expected hf:OWNER/DATASET, with @REVISION and /FOLDER"),
    ):
        assert words in refused(capsys, source), source
    assert "root is 'x': it goes with a list file" in refused(capsys, "hf:me/set", "--root=x")
    assert "split is 'test': it goes with hf: and with folders of .parquet files" in refused(
        capsys, str(Path.cwd()), "--split=test"
    )
    publish(hub, {"../data/test.parquet": b""})
    assert "lists a file outside the data set" in refused(capsys, "hf:me/set")


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (("test/0.tar", "test/1.tar"), f"need no packing: .*--shards 'hf:me/set@{COMMIT}/test/0.tar'"),
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
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    said = refused(capsys, "hf:me/set")
    assert "hf:me/set cannot be listed, the hub at http://127.0.0.1:9 is not reached" in said
    assert "`hf download me/set --repo-type dataset --local-dir FOLDER`" in said


@pytest.mark.slow
def test_endpoint_and_offline_mode_are_those_of_the_hubs_client(hub: FaultyServer):
    """In a process of its own, since the client reads them when it is imported."""
    given = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0"}
    command = [sys.executable, "-m", "ood_lightning", "data", "pack", "hf:me/set", "--split=test", "--out=out"]
    command += ["--name=s", "--role=id"]
    ran = subprocess.run(command, env=given, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    offline = subprocess.run(command, env={**given, "HF_HUB_OFFLINE": "1"}, capture_output=True, text=True)
    assert offline.returncode == 2
    assert "the hub at http://127.0.0.1" in offline.stderr
    assert "offline" in offline.stderr
    assert "geheim" not in ran.stdout + ran.stderr + offline.stderr


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("data/train-00000-of-00001-a09b74b3ef9c3b56.parquet", Named("data", "train", 1)),
        ("plain/validation-00003-of-00014.parquet", Named("plain", "validation", 14)),
        ("default/test/0000.parquet", Named("default", "test", 0)),
        ("test/part-00000.parquet", Named("", "test", 0)),
        ("test/cats-00000-of-00002.parquet", Named("", "test", 2)),
        ("test.parquet", Named("", "test", 0)),
        ("a/b/open_val_2.parquet", Named("a/b", "open_val", 0)),
        ("cifar10.parquet", Named("", "cifar10", 0)),
        ("0000.parquet", Named("", "train", 0)),
    ],
)
def test_names_of_splits(path: str, expected: Named):
    assert named(path) == expected


def test_two_numberings_in_one_split_are_refused():
    paths = [f"data/test-00000-of-00001{end}.parquet" for end in ("-0123456789abcdef", "-fedcba9876543210")]
    with pytest.raises(SourceError, match="split 'test' has 2 files, their names speak of 1"):
        chosen(grouped(paths, str), "test", "hf:me/set", len)
