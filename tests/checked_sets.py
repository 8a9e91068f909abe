"""Sets made member by member, and what `data check` finds in them."""

import json
from pathlib import Path

from shard_files import write_tar

from ood_lightning.cli.main import main
from ood_lightning.data.shards.manifest import Manifest, Shard
from ood_lightning.hashes import sha256_of


def run_check(*arguments: str | Path) -> tuple[int, list[dict[str, str]]]:
    """Exit status, and the problems that the report names."""
    status = main(["data", "check", *map(str, arguments), "--out=r.json", "--workers=1"])
    return status, json.loads(Path("r.json").read_text())["problems"]


def set_of(folder: Path, tars: list[list[tuple[str, bytes]]], names: tuple[str, ...] = ()) -> Path:
    """A set with a manifest that fits its shards.

    Args:
        folder: new; the set is called as it is.
        tars: the members of each shard.
        names: of its classes.
    """
    folder.mkdir()
    shards = []
    for i, members in enumerate(tars):
        path = folder / f"{i}.tar"
        write_tar(path, members)
        n_images = sum(name.endswith("png") for name, _ in members)
        shards.append(Shard(path.name, n_images, path.stat().st_size, sha256_of(path)))
    Manifest(folder.name, "id", tuple(shards), names).write(folder)
    return folder
