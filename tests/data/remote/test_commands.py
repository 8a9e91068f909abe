"""Commands: `pipe:`, and `s3:` through the `aws` command."""

import fcntl
import os
import stat
from multiprocessing import get_context
from pathlib import Path

import pytest
from remote_sets import cached, keys
from waiting import wait_until

from ood_lightning.data.remote import fetch as remote
from ood_lightning.data.shards.read_manifest import read_manifest
from ood_lightning.errors import ShardContentError, SourceError


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="processes are looked up as on Linux")
def test_a_command_ends_and_keeps_no_lock_when_its_reader_is_killed(tmp_path: Path):
    command = f"pipe:echo $$ > {tmp_path}/pid; while sleep 0.05; do echo more; done # {tmp_path}/a.tar"
    process = get_context("fork").Process(target=remote.fetch, args=(command, lambda _: None))
    process.start()
    pid = tmp_path / "pid"
    wait_until(lambda: pid.is_file() and pid.read_text().endswith("\n"), "the command runs")

    process.kill()
    process.join()
    (part,) = (tmp_path / ".cache").rglob("*.part")
    with part.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    of_command = Path("/proc") / pid.read_text().strip() / "cmdline"
    wait_until(lambda: not of_command.exists() or not of_command.read_bytes(), "the command ends")


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
    source = "pipe:" + command.format(tar=folder / "s-000000.tar") + " # geheim"
    with pytest.raises(SourceError, match=r"pipe:[\w-]+ \.\.\. failed with exit status (3|127)") as caught:
        read_manifest(source)
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
