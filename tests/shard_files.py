"""Small sets of coloured images, as files: encoded images, tars, and folders of shards with a manifest."""

import io
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from PIL import Image

from ood_lightning.data.shards.manifest import Manifest, Role, Shard
from ood_lightning.hashes import sha256_of

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 220), "grey": (128, 128, 128)}

MakeSet = Callable[..., Path]  # the fixture `make_set`: `make_set` below


def encoded(colour: tuple[int, int, int], seed: int, size: int = 24) -> bytes:
    """A PNG of one colour with noise."""
    noise = torch.randint(-25, 26, (size, size, 3), generator=torch.Generator().manual_seed(seed))
    pixels = (torch.tensor(colour) + noise).clamp(0, 255).to(torch.uint8)

    buffer = io.BytesIO()
    Image.fromarray(pixels.numpy()).save(buffer, format="PNG")
    return buffer.getvalue()


def write_tar(path: Path, members: Sequence[tuple[str, bytes]]) -> None:
    """A tar with these members, in order."""
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def make_set(
    parent: Path,
    name: str,
    role: Role = "id",
    colours: Sequence[str] = ("red", "green"),
    shards: Sequence[int] = (5, 1, 6),
    labelled: bool = True,
    seed: int = 0,
) -> Path:
    """Write a set of coloured images as shards with a manifest; returns its folder.

    Args:
        parent: where the set's folder is made.
        name: of the set and of its folder.
        role: what the manifest says.
        colours: the classes; the images take turns.
        shards: how many images each shard holds.
        labelled: whether each image has its class beside it.
        seed: of the noise; sets of different seeds share no image.
    """
    folder = parent / name
    folder.mkdir(parents=True)
    rows, n_images = [], 0

    for shard, samples in enumerate(shards):
        members = []
        for _ in range(samples):
            label = n_images % len(colours)
            key = f"{name}{n_images:04d}"
            members.append((f"{key}.png", encoded(COLOURS[colours[label]], 1000 * seed + n_images)))
            if labelled:
                members.append((f"{key}.cls", str(label).encode()))
            n_images += 1

        path = folder / f"{name}-{shard:06d}.tar"
        write_tar(path, members)
        rows.append(Shard(path.name, samples, path.stat().st_size, sha256_of(path)))

    class_names = tuple(colours) if labelled else ()
    Manifest(name, role, tuple(rows), class_names, "CC0-1.0", "tests", "tests").write(folder)
    return folder
