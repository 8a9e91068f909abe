"""Packing: every image once, bytes kept, and the same shards whatever happened in between."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from packed_sets import content, packed, picture, run, two_classes
from shard_files import COLOURS, encoded

from ood_lightning.cli.main import main
from ood_lightning.data.artifacts.features import FeatureFolder
from ood_lightning.data.pack import packing
from ood_lightning.data.shards.decode import decode
from ood_lightning.data.shards.read_manifest import read_manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return two_classes(tmp_path / "pictures")


def tars(out: Path) -> list[Path]:
    return sorted(out.glob("*.tar"))


def test_the_worked_example_is_what_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Pictures, command and files stand in the module's docstring."""
    monkeypatch.chdir(tmp_path)
    before, after = str(packing.__doc__).split("    python -m ood_lightning ")
    command, files = after.split("\n", maxsplit=1)
    pictures = re.findall(r"birds/\w+/.+?\.(?:jpg|png)", before)
    assert len(pictures) == 5
    for i, name in enumerate(pictures):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(picture("PNG" if name.endswith("png") else "JPEG", size=(10 + i, 10)))

    assert main(command.split()) == 0
    out = Path("shards/birds")
    expected = set(re.findall(r"^      (\S+\.(?:tar|json))", files, flags=re.MULTILINE))
    assert {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()} == expected
    for path, section in zip(tars(out), re.split(r"birds-\d+\.tar ", files)[1:], strict=True):
        with tarfile.open(path) as tar:
            assert tar.getnames() == section.split("manifest.json")[0].split()


def test_a_shard_carries_no_time_owner_or_rights(folder: Path, tmp_path: Path):
    assert run(folder, tmp_path / "out") == 0
    with tarfile.open(tmp_path / "out/s-000000.tar") as tar:
        headers = {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode) for m in tar}
    assert headers == {(0, 0, 0, "", "", 0o644)}


def test_any_number_of_workers_and_a_second_run_give_the_same_bytes(folder: Path, tmp_path: Path):
    assert run(folder, tmp_path / "one", "--samples_per_shard=2") == 0
    first = content(tmp_path / "one")
    assert len(first) == 4 + 2
    assert run(folder, tmp_path / "four", "--samples_per_shard=2", "--workers=4") == 0
    assert content(tmp_path / "four") == first

    times = {path: path.stat().st_mtime_ns for path in tars(tmp_path / "one")}
    assert run(folder, tmp_path / "one", "--samples_per_shard=2") == 0
    assert {path: path.stat().st_mtime_ns for path in times} == times  # nothing was made again
    assert content(tmp_path / "one") == first


def test_only_the_shard_of_a_changed_picture_is_made_again(folder: Path, tmp_path: Path):
    out = tmp_path / "out"
    assert run(folder, out, "--samples_per_shard=2") == 0
    times = {path.name: path.stat().st_mtime_ns for path in tars(out)}

    (folder / "10/c.png").write_bytes(encoded(COLOURS["blue"], 99))
    assert run(folder, out, "--samples_per_shard=2") == 0
    changed = [path.name for path in tars(out) if path.stat().st_mtime_ns != times[path.name]]
    assert changed == ["s-000001.tar"]

    assert run(folder, out, "--samples_per_shard=4") == 0  # a shorter list leaves nothing of the longer one
    assert [path.name for path in tars(out)] == ["s-000000.tar", "s-000001.tar"]
    assert len(packed(out)) == 7


def test_a_shard_that_was_cut_or_removed_is_made_again(folder: Path, tmp_path: Path):
    out = tmp_path / "out"
    assert run(folder, out, "--samples_per_shard=2") == 0
    expected = content(out)

    (out / "s-000000.tar").write_bytes(b"cut")
    (out / "s-000002.tar").unlink()
    (out / ".pack/s-000003.tar.json").write_text("[1]")
    assert run(folder, out, "--samples_per_shard=2") == 0
    assert content(out) == expected


def test_a_shard_that_was_named_and_not_described_is_made_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Else an older description would vouch for other bytes of the same number, where a change is taken back."""
    out = tmp_path / "out"
    assert run(folder, out) == 0
    expected = content(out)
    changed = folder / "10/c.png"
    before, status = changed.read_bytes(), changed.stat()

    def stopped(path: Path, *_: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    changed.write_bytes(encoded(COLOURS["blue"], 99))
    with monkeypatch.context() as patched:
        patched.setattr(packing, "write_json", stopped)
        assert run(folder, out) == 2
    assert (out / "s-000000.tar").read_bytes() != expected["s-000000.tar"]
    assert (out / "s-000000.tar").stat().st_size == len(expected["s-000000.tar"])

    changed.write_bytes(before)
    os.utime(changed, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert run(folder, out) == 0
    assert content(out) == expected


def test_a_call_that_fails_leaves_no_manifest_of_other_bytes(folder: Path, tmp_path: Path):
    out = tmp_path / "out"
    assert run(folder, out, "--samples_per_shard=2") == 0
    (folder / "10/c.png").write_bytes(b"no picture")
    assert run(folder, out, "--samples_per_shard=2") == 2
    assert not (out / "manifest.json").exists()


def test_tars_of_others_are_left_where_they_are(folder: Path, tmp_path: Path):
    out = tmp_path / "out"
    assert run(folder, out, "--samples_per_shard=2") == 0
    others = {"mine.tar", "s-1.tar", "more-s-000009.tar"}
    for name in others:
        (out / name).write_bytes(b"mine")
    assert run(folder, out, "--samples_per_shard=4") == 0
    assert {path.name for path in tars(out)} == {"s-000000.tar", "s-000001.tar", *others}


@pytest.mark.slow
@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.long), 3])
def test_killed_at_any_moment_it_goes_on_to_the_same_bytes(tmp_path: Path, workers: int):
    source = tmp_path / "in"
    source.mkdir()
    for i in range(60):
        (source / f"{i:02d}.png").write_bytes(encoded(COLOURS["green"], i, size=400))
    assert run(source, tmp_path / "whole", "--samples_per_shard=3") == 0
    expected = content(tmp_path / "whole")

    out = tmp_path / "out"
    command = [sys.executable, "-m", "ood_lightning", "data", "pack", str(source), f"--out={out}", "--name=s"]
    command += ["--role=id", "--samples_per_shard=3", f"--workers={workers}"]
    draw = random.Random(workers)
    kills = 0
    for _ in range(40):
        n_more = draw.randrange(3)
        n_before = len(tars(out))
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        while process.poll() is None and len(tars(out)) <= n_before + n_more:  # by work done, on any machine
            time.sleep(0.001)
        if process.poll() is not None:
            assert process.returncode == 0
            break

        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
        for path in tars(out):  # whatever has its final name is whole
            assert path.read_bytes() == expected[path.name]
        assert not (out / "manifest.json").exists() or content(out) == expected

    assert kills >= 2
    assert run(source, out, "--samples_per_shard=3") == 0
    assert content(out) == expected


def test_a_folder_of_something_else_is_left_alone(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/s-000000.tar").write_bytes(b"mine")
    assert run(folder, tmp_path / "mine") == 2
    assert "is not empty" in capsys.readouterr().err
    assert (tmp_path / "mine/s-000000.tar").read_bytes() == b"mine"

    (tmp_path / "mine/pack.json").write_text("[]")
    assert run(folder, tmp_path / "mine") == 2
    assert "from another source or with other choices" in capsys.readouterr().err
    (tmp_path / "mine/pack.json").write_text("{")
    assert run(folder, tmp_path / "mine") == 2
    assert "pack.json cannot be read" in capsys.readouterr().err

    assert run(folder, tmp_path / "out") == 0
    assert run(folder / "10", tmp_path / "out") == 2
    assert "holds the set 's' from another source" in capsys.readouterr().err
    assert run(folder, folder / "10/a.png") == 2
    assert "is a file" in capsys.readouterr().err


def test_a_name_that_makes_no_file_name_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]):
    for name in ("../s", ".s", "a b", "", "x" * 101):
        assert main(["data", "pack", str(folder), "--out", "o", f"--name={name}", "--role", "id"]) == 2
        assert f"name is {name!r}: expected letters, digits" in capsys.readouterr().err


def test_what_a_killed_run_left_is_cleared_away(folder: Path, tmp_path: Path):
    out = tmp_path / "out"
    out.mkdir()
    (out / ".pack.json.ab12").write_text("{")  # killed in its first moment
    assert run(folder, out) == 0
    expected = content(out)

    (out / ".manifest.json.ab12").write_text("{")
    (out / ".pack/.s-000000.tar.ab12").write_text("x")
    assert run(folder, out) == 0
    assert content(out) == expected
    assert sorted(path.name for path in out.rglob("*")) == [
        ".pack", "manifest.json", "pack.json", "s-000000.tar", "s-000000.tar.json",
    ]  # fmt: skip


def test_a_full_disk_is_said_to_be_one(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        assert run(folder, tmp_path / "out") == 2
    assert "out cannot be written: [Errno 28] No space left on device" in capsys.readouterr().err
    assert run(folder, tmp_path / "out") == 0


def test_a_packed_set_has_the_features_of_its_loose_files(folder: Path, tmp_path: Path, encoder_yaml: dict[str, Any]):
    from ood_lightning.encoders.openclip import OpenClip

    assert run(folder, tmp_path / "out", "--samples_per_shard=3", "--workers=2") == 0
    encoder = OpenClip(**encoder_yaml["init_args"])
    options = [f"--encoder={json.dumps(encoder_yaml)}", f"--shards=[{tmp_path / 'out'}]", "--num_workers=0"]
    assert main(["embed", *options, "--cache_dir=cache"]) == 0
    features = FeatureFolder("cache", read_manifest(str(tmp_path / "out")), encoder.fingerprint).read()

    files = {str(p.relative_to(folder).with_suffix("")): p for p in folder.rglob("*") if p.suffix != ".txt"}
    encoder.load(torch.device("cpu"))
    loose = [encoder.transform(decode(files[key].read_bytes())) for key in features.keys]
    torch.testing.assert_close(features.image.to("cpu"), encoder.encode_columns(torch.stack(loose), ())["image"].cpu())
    assert features.label.tolist() == [1, 1, 1, 1, 0, 0, 0]


def test_pack_needs_no_torch():
    modules = ("cli.data_pack", "data.pack.sources", "data.pack.packing", "data.class_names")
    code = f"import sys, {', '.join(f'ood_lightning.{module}' for module in modules)}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
