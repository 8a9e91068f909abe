"""Damaged sets through the whole commands: `embed` and `test` stop and name what is wrong, or count and list it."""

import io
import json
import pickle
import re
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image
from shard_files import write_tar

from ood_lightning.cli.main import main
from ood_lightning.data.shards.manifest import Manifest, Shard
from ood_lightning.data.shards.read_manifest import read_manifest
from ood_lightning.hashes import sha256_of

pytestmark = pytest.mark.slow  # whole commands

PLAIN = ["--encoder=plain_encoder.PlainEncoder", "--cache_dir=cache"]
Damage = Callable[[Path, Path], object]  # of the set's second tar and its manifest


def saved(image: Image.Image, ending: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=ending, **options)
    return buffer.getvalue()


def photograph(seed: int) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 255, (24, 24, 3), dtype=np.uint8)
    return saved(Image.fromarray(noise), "JPEG")


class Touches:
    """Unpickled, it makes a file."""

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path("executed"),)


def described(folder: Path, tars: list[list[tuple[str, bytes]]], counts: list[int] | None = None) -> Path:
    """Write a set with a manifest; returns its folder.

    Args:
        folder: of the set.
        tars: members of each shard.
        counts: of the samples of each shard; of its members if None.
    """
    folder.mkdir()
    rows = []
    for i, members in enumerate(tars):
        path = folder / f"{folder.name}-{i:03d}.tar"
        write_tar(path, members)
        n = counts[i] if counts else len(members)
        rows.append(Shard(path.name, n, path.stat().st_size, sha256_of(path)))
    Manifest(folder.name, "id", tuple(rows), ("thing",)).write(folder)
    return folder


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """Six photographs in two shards."""
    return described(
        tmp_path / "some", [[(f"k{3 * i + j}.jpg", photograph(3 * i + j)) for j in range(3)] for i in range(2)]
    )


def offset(tar: Path, number: int) -> int:
    with tarfile.open(tar) as opened:
        return opened.getmembers()[number].offset_data


def change(path: Path, at: int, data: bytes) -> None:
    content = bytearray(path.read_bytes())
    content[at : at + len(data)] = data
    path.write_bytes(content)


def redescribe(manifest: Path, **fields: Any) -> None:
    """Another entry of the second shard."""
    content = json.loads(manifest.read_text())
    content["shards"][1].update(fields)
    manifest.write_text(json.dumps(content))


def unhashed(damage: Damage) -> Damage:
    """The same, where the manifest knows no hash and agrees on the size."""

    def both(tar: Path, manifest: Path) -> None:
        damage(tar, manifest)
        redescribe(manifest, sha256="", bytes=tar.stat().st_size)

    return both


def cut(tar: Path, keep: Callable[[Path], int]) -> None:
    tar.write_bytes(tar.read_bytes()[: keep(tar)])


FAULTS: dict[str, tuple[Damage, str]] = {
    "cut": (lambda t, m: cut(t, lambda t: 700), r"some-001\.tar has 700 bytes"),
    "cut, no hash": (unhashed(lambda t, m: cut(t, lambda t: 700)), r"some-001\.tar"),
    "cut within the second, no hash": (
        unhashed(lambda t, m: cut(t, lambda t: offset(t, 1) + 9)),
        r"some-001\.tar is no sound tar, its last legible member is 'k4\.jpg': unexpected end of data$",
    ),
    "cut between two, no hash": (
        unhashed(lambda t, m: cut(t, lambda t: offset(t, 1) - 512)),
        r"some-001\.tar is no sound tar, its last legible member is 'k3\.jpg': damaged or cut after 1 member",
    ),
    "flipped in a picture": (
        lambda t, m: change(t, offset(t, 1) + 400, b"\x55\xaa"),
        r"some-001\.tar are not those that the manifest describes",
    ),
    "flipped in a header, no hash": (
        unhashed(lambda t, m: change(t, offset(t, 1) - 512, b"\x55\xaa")),
        r"some-001\.tar is no sound tar, its last legible member is 'k3\.jpg': damaged or cut after 1 member",
    ),
    "zero bytes": (lambda t, m: t.write_bytes(b""), r"some-001\.tar has 0 bytes"),
    "zero bytes, no hash": (unhashed(lambda t, m: t.write_bytes(b"")), r"some-001\.tar is no sound tar"),
    "missing": (lambda t, m: t.unlink(), r"some-001\.tar is missing"),
    "manifest: one more": (
        lambda t, m: redescribe(m, samples=4),
        r"some-001\.tar, up to its last key 'k5', yielded 3 samples, .* promises 4",
    ),
    "manifest: one less": (
        lambda t, m: redescribe(m, samples=2),
        r"some-001\.tar, up to its last key 'k5', yielded 3 samples, .* promises 2",
    ),
    "manifest: other hash": (lambda t, m: redescribe(m, sha256="0" * 64), r"some-001\.tar are not those"),
    "manifest: leads out": (
        lambda t, m: redescribe(m, path="../some-001.tar"),
        r"shards\.1\.path is .*: it lies outside the set's folder",
    ),
    "manifest: absolute": (
        lambda t, m: redescribe(m, path=str(t.resolve())),
        r"shards\.1\.path is .*: it lies outside the set's folder",
    ),
    "manifest: a command": (
        lambda t, m: redescribe(m, path="pipe:touch executed"),
        r"shards\.1\.path is 'pipe:touch executed': it begins like an address",
    ),
    "a key twice": (
        unhashed(lambda t, m: write_tar(t, [("k3.jpg", photograph(1)), ("x.jpg", photograph(2)), ("k3.jpg", b"")])),
        r"some-001\.tar: 'k3' comes twice",
    ),
}


def stamps() -> dict[Path, int]:
    """When each file below this folder was written."""
    return {path: path.stat().st_mtime_ns for path in Path().rglob("*") if path.is_file()}


def stops(command: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The command says these words and writes nothing but what was finished before it met the damage."""
    before = stamps()
    assert main(command) == 2

    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert len(re.findall("^error: ", said, re.MULTILINE)) == 1
    assert re.search(words, said, re.MULTILINE), said

    new = [str(path) for path, stamp in stamps().items() if before.get(path) != stamp]
    allowed = ("cache/", "run/eval/config.yaml", "run/eval/log/", "run/eval/.lock")
    assert not [path for path in new if not path.startswith(allowed)]
    assert not [path for path in new if path.startswith("cache/") and "some-001" in path]


@pytest.mark.parametrize("fault", FAULTS)
def test_embed_stops_and_names_the_shard(fault: str, whole: Path, capsys: pytest.CaptureFixture[str]):
    damage, words = FAULTS[fault]
    damage(whole / "some-001.tar", whole / "manifest.json")
    stops(["embed", *PLAIN, f"--shards=['{whole}']", "--num_workers=0"], words, capsys)


def evaluation(eval_yaml: Path, source: Path, **settings: Any) -> list[str]:
    """`test` with the set in the place of the ID test set."""
    content = yaml.safe_load(eval_yaml.read_text())
    content["data"]["init_args"].update(id_shards=[str(source)], **settings)
    eval_yaml.write_text(yaml.safe_dump(content))
    return ["test", "--config", str(eval_yaml), "--names_check=warn"]  # the config gives names of another set


@pytest.mark.parametrize("fault", FAULTS)
def test_an_evaluation_stops_and_names_the_shard(
    fault: str, whole: Path, eval_yaml: Path, capsys: pytest.CaptureFixture[str]
):
    damage, words = FAULTS[fault]
    damage(whole / "some-001.tar", whole / "manifest.json")
    stops(evaluation(eval_yaml, whole), words, capsys)


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[274] = 6
    return exif


FRAMES = [Image.new("RGB", (24, 24), colour) for colour in ("red", "green", "blue")]
ANIMATED = {"save_all": True, "append_images": FRAMES[1:]}
GOOD = {  # pictures that no photographer took, under names that nobody should use
    "plain.jpg": photograph(0),
    "one pixel.png": saved(Image.new("RGB", (1, 1)), "PNG"),
    "../cmyk.jpg": saved(Image.new("CMYK", (24, 30), (0, 255, 255, 0)), "JPEG"),
    "/tmp/ood-lightning-absolute/16 bit.png": saved(Image.fromarray(np.full((24, 30), 40_000, np.uint16)), "PNG"),
    "été/猫.png": saved(Image.new("P", (24, 30)), "PNG"),
    "line\nbreak.webp": saved(FRAMES[0], "WEBP", **ANIMATED),
    "animated.png": saved(FRAMES[0], "PNG", **ANIMATED),
    "../../turned.jpg": saved(Image.new("RGB", (24, 30)), "JPEG", exif=turned()),
}
BAD = {
    "cut.jpg": photograph(1)[:-300],
    "empty.jpg": b"",
    "damaged.png": saved(FRAMES[0], "PNG")[:40] + b"\xff" * 40,
    "../pickle.png": pickle.dumps(Touches()),
    "bomb.png": saved(Image.new("1", (9500, 9500)), "PNG"),
    "bad\nline.webp": b"RIFF",
}
NOT_OPENED = {"plain.pkl": pickle.dumps(Touches()), "plain.pth": pickle.dumps(Touches()), "x.pyd": b"\x80\x04."}


def key(member: str) -> str:
    return member.rpartition(".")[0]


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """Odd pictures in the first shard, broken ones in the second, after what is never opened."""
    first = [*GOOD.items()]
    first[1:1] = [*NOT_OPENED.items()]  # beside `plain`, their own sample
    return described(tmp_path / "odd", [first, [*BAD.items(), ("fine.jpg", photograph(2))]], [len(GOOD), len(BAD) + 1])


@pytest.mark.parametrize("member", BAD)
def test_embed_names_shard_and_key_of_a_picture_that_cannot_be_decoded(
    member: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder = described(
        tmp_path / "some", [[("a.jpg", photograph(0))], [("b.jpg", photograph(1)), (member, BAD[member])]]
    )
    words = r"some-001\.tar: the picture " + re.escape(repr(key(member))) + " cannot be read"
    stops(["embed", *PLAIN, f"--shards=['{folder}']", "--num_workers=1"], words, capsys)
    assert not Path("executed").exists()


def test_an_evaluation_stops_at_the_first_picture_above_what_is_allowed(
    odd: Path, eval_yaml: Path, capsys: pytest.CaptureFixture[str]
):
    command = evaluation(eval_yaml, odd, max_bad_samples=len(BAD) - 1)
    assert main(command) == 2
    assert "odd-001.tar: the picture 'bad\\nline' cannot be read" in capsys.readouterr().err
    assert not Path("run/eval/results.json").exists()


def test_an_evaluation_scores_what_can_be_decoded_and_lists_the_rest(
    odd: Path, eval_yaml: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    command = evaluation(eval_yaml, odd, max_bad_samples=len(BAD), id_train_shards=str(odd))
    beside = {path.relative_to(tmp_path.parent) for path in tmp_path.parent.rglob("*")}
    assert main(command) == 1  # done, but some pictures could not be read
    said = capsys.readouterr()
    assert f"set odd: {len(BAD)} of {len(GOOD) + len(BAD) + 1} pictures cannot be read" in said.err

    results = Path("run/eval")
    content = json.loads((results / "results.json").read_text())
    assert set(content["about"]["bad_samples"]) == {"odd", "odd, as id_train_shards"}
    listed = content["about"]["bad_samples"]["odd"]
    assert [line.partition(": ")[0] for line in listed] == [f"odd-001.tar {key(member)}" for member in BAD]
    assert all(line.partition(": ")[2] for line in listed)  # and why
    report = (results / "results.md").read_text()
    for text in (said.out, report):
        assert f"odd: {len(BAD)} pictures cannot be read" in text
        assert "- odd-001.tar ../pickle: its " in text
    assert [
        line for line in report.splitlines() if line.startswith("- odd-001.tar bad\\\\nline: ")
    ]  # as Markdown writes \\

    scored = pq.read_table(results / "scores.parquet").to_pylist()
    assert [row["key"] for row in scored if row["dataset"] == "odd"] == [*map(key, GOOD), "fine"]
    assert {row["n_id"] for row in content["results"] if row["id_set"] == "odd"} == {len(GOOD) + 1}

    assert not Path("executed").exists()
    assert not Path("/tmp/ood-lightning-absolute").exists()
    new = {path.relative_to(tmp_path.parent) for path in tmp_path.parent.rglob("*")} - beside
    written_to = {Path(tmp_path.name) / name for name in ("cache", "run")}
    assert not [path for path in new if not ({path, *path.parents} & written_to)]
    pickle.loads(BAD["../pickle.png"])
    assert Path("executed").exists()  # it would have been


def test_without_a_manifest_damage_is_met_as_well(whole: Path, capsys: pytest.CaptureFixture[str]):
    tars = f"{whole}/some-{{000..001}}.tar"
    assert read_manifest(tars).n_samples == 6
    for damage in (lambda t: cut(t, lambda t: 700), lambda t: t.write_bytes(b""), lambda t: t.unlink()):
        damage(whole / "some-001.tar")
        stops(["embed", *PLAIN, f"--shards=['{tars}']", "--num_workers=0"], r"some-001\.tar", capsys)
