"""Stores as an accident leaves them, and sound ones of wrong content, as a mistake in a program would write."""

import json
from collections.abc import Callable
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from ood_lightning.data.artifacts.store import ENTRY, write_store


def metadata_of(file: Path) -> dict[str, str]:
    with safe_open(file, "pt") as stored:
        return dict(stored.metadata())


def flip(file: Path, share: float, bit: int = 6) -> None:
    """One bit, so far into the file."""
    content = bytearray(file.read_bytes())
    content[int(share * (len(content) - 1))] ^= 1 << bit
    file.write_bytes(content)


def forget_checksums(file: Path) -> None:
    """The same tensors as an earlier version wrote them."""
    tensors = {name: tensor.clone() for name, tensor in load_file(file).items()}
    save_file(tensors, file, {"from": "an earlier version"})


def rewrite(file: Path, name: str, change: Callable[[Tensor], Tensor | None], *, sums_fit: bool = True) -> None:
    """Another tensor in the place of one; without one if `change` gives None.

    Args:
        file: the store.
        name: of the tensor.
        change: of the tensor.
        sums_fit: with checksums that fit; otherwise with those from before the change.
    """
    metadata = metadata_of(file)
    tensors = {key: tensor.clone() for key, tensor in load_file(file).items()}
    changed = change(tensors.pop(name))
    if changed is not None:
        tensors[name] = changed.contiguous()

    if sums_fit:
        write_store(file, tensors, json.loads(metadata[ENTRY])["provenance"])
    else:
        save_file(tensors, file, metadata)
