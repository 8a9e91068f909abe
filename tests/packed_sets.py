"""Folders of pictures, what `data pack` makes of them, and what lies in it afterwards."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

from PIL import Image
from shard_files import COLOURS, encoded

from ood_lightning.cli.main import main
from ood_lightning.data.shards.read_manifest import index, read_manifest
from ood_lightning.data.shards.samples import read_samples

PIXEL = encoded((9, 9, 9), 0, size=1)


def two_classes(folder: Path) -> Path:
    """Classes `2` and `10` with three and four pictures, and notes beside them."""
    for i, name in enumerate(["2/a.png", "2/b.PNG", "2/sub/c.jpeg", "10/a.png", "10/b.png", "10/c.png", "10/d.png"]):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(COLOURS["red"], i))
    (folder / "10/notes.txt").write_text("x")
    return folder


def picture(form: str, mode: str = "RGB", size: tuple[int, int] = (40, 30), **how: Any) -> bytes:
    """An encoded picture of a format of PIL's, such as `JPEG`."""
    buffer = io.BytesIO()
    Image.radial_gradient("L").resize(size).convert(mode).save(buffer, form, **how)
    return buffer.getvalue()


def run(source: Path, out: Path, *more: str, role: str = "id") -> int:
    """Pack into `out` with one process; the exit status."""
    return main(["data", "pack", str(source), "--out", str(out), "--name", "s", "--role", role, "--workers=1", *more])


def packed(out: Path) -> list[tuple[str, bytes, int]]:
    """Key, bytes and class of each image, of a set whose manifest counts them rightly."""
    manifest = read_manifest(str(out))
    paths = [manifest.path(shard) for shard in manifest.shards]
    shards = [list(read_samples(path)) for path in paths]

    assert [len(shard) for shard in shards] == [shard.samples for shard in manifest.shards]
    assert index(paths).n_samples == manifest.n_samples
    return [(sample.key, sample.data, sample.label) for shard in shards for sample in shard]


def content(out: Path) -> dict[str, bytes]:
    """The bytes of all files in a folder."""
    return {path.name: path.read_bytes() for path in sorted(out.iterdir()) if path.is_file()}


def recorded_paths(out: Path) -> dict[str, str]:
    """Path by key, of images whose key does not show it."""
    paths = {}
    for tar in out.glob("*.tar"):
        with tarfile.open(tar) as opened:
            for member in opened:
                if member.name.endswith(".json"):
                    file = opened.extractfile(member)
                    assert file is not None
                    paths[member.name.removesuffix(".json")] = json.loads(file.read())["path"]
    return paths
