"""Files of the hub, through its own client: in another process, since it reads its settings when it is imported."""

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from faulty_server import FaultyServer

from ood_lightning.data.remote import fetch as remote
from ood_lightning.errors import ShardContentError
from ood_lightning.hashes import sha256_of

READ_SETS = """
import sys
from ood_lightning.data.shards.read_manifest import read_manifest
from ood_lightning.errors import UserError
from ood_lightning.hashes import sha256_of

for source in sys.argv[1:]:
    try:
        manifest = read_manifest(source)
        print(manifest.name, *(sha256_of(manifest.path(shard)) for shard in manifest.shards))
    except UserError as error:
        print("refused:", error)
"""


def run(
    program: str, arguments: list[str], server: FaultyServer, tmp_path: Path, **settings: str
) -> "subprocess.CompletedProcess[str]":
    """Run a program with a server that plays the hub, and an empty cache."""
    settings |= {"HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "0"}
    command = [sys.executable, "-c", program, *arguments]
    ran = subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran


def test_a_file_of_the_hub_with_another_number_of_bytes_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(remote, "hub_file", lambda _: folder / "s-000000.tar")
    with pytest.raises(ShardContentError, match=r"hf:me/set/s-000000\.tar has [\d,]+ bytes, 5 were promised"):
        remote.fetch("hf:me/set/s-000000.tar", lambda _: None, 5)


def test_the_hub_is_read_by_its_own_client_with_its_token(folder: Path, server: FaultyServer, tmp_path: Path):
    for revision in ("main", "v1"):
        for path in folder.iterdir():
            server.files[f"/datasets/me/set/resolve/{revision}/deep/s/{path.name}"] = path.read_bytes()

    sources = ["hf:me/set/deep/s", "hf:me/set@v1/deep/s/s-{000000..000002}.tar", "hf:me/set/none", "hf:me"]
    ran = run(READ_SETS, sources, server, tmp_path, HF_TOKEN="hf_geheim")
    hashes = [sha256_of(path) for path in sorted(folder.glob("*.tar"))]
    lines = ran.stdout.splitlines()
    assert lines[:2] == [" ".join(["s", *hashes])] * 2
    assert lines[2].startswith("refused: hf:me/set/none/manifest.json cannot be fetched")
    assert "tries" not in lines[2]  # it is not there, and another try would not find it
    assert lines[3].startswith("refused: 'hf:me/manifest.json': expected hf:OWNER/DATASET/PATH")

    requests = zip(server.seen, server.headers, strict=True)
    tokens = {headers.get("authorization") for (path, _), headers in requests if path.startswith("/datasets/")}
    assert tokens == {"Bearer hf_geheim"}
    assert "geheim" not in ran.stdout + ran.stderr


FETCH_FILES = """
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
    def path_of(name: str) -> str:
        return f"/datasets/me/set/resolve/main/{quote(name)}.tar"

    broken = ["reset", "503", "close", "slow", "reset 503"]
    refused = {"reset " * 20: True, "503 " * 20: True, "403 " * 20: False, "404 " * 20: False}  # whether tried again
    for name in [*broken, *refused]:
        server.files[path_of(name)] = name.encode() * 10_000  # else the client would know it by its tag
        # each try asks for the headers first, where the client has tries of its own
        server.faults[path_of(name)] = [answer for fault in name.split() for answer in ("", fault)]

    limits = {"HF_HUB_DOWNLOAD_TIMEOUT": "1", "HF_HUB_ETAG_TIMEOUT": "1", "HF_HUB_DISABLE_XET": "1"}
    ran = run(FETCH_FILES, [*broken, *refused], server, tmp_path, **limits)
    lines = ran.stdout.splitlines()
    assert lines[: len(broken)] == [f"{name} True" for name in broken]

    for (name, again), line in zip(refused.items(), lines[len(broken) :], strict=True):
        tries = ", given up after 4 tries:" if again else ":"
        assert line.startswith(f"{name} refused: hf:me/set/{name}.tar cannot be fetched{tries}"), line
        assert len(server.requests(path_of(name))) == (8 if again else 2)
