"""Checked stores: tensors on disk that are what was written, to the last bit, or are not used.

A store is a safetensors file whose metadata has one entry, `store`, in JSON:

    {"hash": "xxh3_128", "provenance": {"encoder": "1b5e..."}, "tensors": {"image": "9f1c...", ...}, "whole": "5."}

`provenance` says what the tensors belong to, `tensors` has a hash of each one's name, dtype, shape and bytes, `whole`
one of both. They find accidents, such as a bad disk, a cut copy or two files that were swapped, and no forgers.
"""

import errno
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from xxhash import xxh3_128

from ood_lightning.data.artifacts.files import atomic_write
from ood_lightning.data.artifacts.typed import STRICT, decode_json
from ood_lightning.errors import FeatureError, UserError, first_line

ENTRY = "store"  # the only one: safetensors writes several in an order that differs from process to process
RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Header:
    """The entry of the metadata."""

    __pydantic_config__: ClassVar = STRICT

    provenance: dict[str, Any]
    tensors: dict[str, str]
    whole: str
    hash: Literal["xxh3_128"] = "xxh3_128"

    @classmethod
    def of(cls, provenance: Mapping[str, Any], tensors: Mapping[str, str]) -> Self:
        """With the hash of all the rest."""
        rest = json.dumps([provenance, tensors], sort_keys=True)
        return cls(dict(provenance), dict(tensors), xxh3_128(rest.encode()).hexdigest())


def write_store(file: Path, tensors: Mapping[str, Tensor], provenance: Mapping[str, Any]) -> None:
    """Write tensors with their hashes; the same content gives the same bytes.

    Args:
        file: written whole or not at all.
        tensors: by name, on the CPU.
        provenance: what they belong to, as plain data.

    Raises:
        UnwritableError: the disk is full, or the folder may not be written to.
    """
    held = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    header = _Header.of(provenance, {name: _hash(name, tensor) for name, tensor in held.items()})
    atomic_write(file, save(held, {ENTRY: json.dumps(asdict(header), sort_keys=True)}))


@dataclass(frozen=True)
class Store:
    """A store that is open for reading.

    Args:
        provenance: what its tensors belong to.
        hashes: of its tensors, by name.
        stored: the file.
    """

    provenance: dict[str, Any]
    hashes: dict[str, str]
    stored: safe_open

    def tensor(self, name: str, shape: tuple[int | None, ...] | None = None, *dtypes: torch.dtype) -> Tensor:
        """A tensor that is what was written; its bytes stay in the file until they are used.

        Args:
            name: of the tensor.
            shape: that it has to have, None where any size will do; None: any.
            dtypes: of which it has to have one; none: any.

        Raises:
            SafetensorError: it is none of the file, damaged, or of another shape or dtype.
        """
        tensor: Tensor = self.stored.get_tensor(name)
        if _hash(name, tensor) != self.hashes[name]:
            raise SafetensorError(f"{name} is not what was written, by its xxh3_128 checksum")

        if not _fits(tensor, shape, dtypes):
            sizes = "" if shape is None else [n if n is not None else "any" for n in shape]
            raise SafetensorError(f"{name} is {_form(tensor)}, expected {' or '.join(map(_short, dtypes))} {sizes}")
        return tensor

    def rows(self, name: str) -> Any:
        """A tensor of which slices are read, not compared with its hash: :meth:`tensor` does that, once."""
        return self.stored.get_slice(name)


@contextmanager
def opened(
    file: str | Path, provenance: Mapping[str, Any], to_do: str, error: Callable[[str], UserError] = FeatureError
) -> Iterator[Store]:
    """A store, open for reading.

    Args:
        file: its path.
        provenance: what it has to say of its tensors; what else it says is free.
        to_do: what a person does if the file cannot be used, as the end of a sentence.
        error: makes the error from its text.

    Raises:
        UserError: what `error` makes. The file is missing, damaged or without checksums, or belongs to something else.
    """
    try:
        with _open(file) as stored:
            header = _header(stored)
            for name, expected in provenance.items():
                stated = header.provenance.get(name)
                if stated != expected:
                    raise error(f"{file} belongs to another {name}, {stated!r} instead of {expected!r}: {to_do}")
            yield Store(header.provenance, header.tensors, stored)
    except (FileNotFoundError, SafetensorError) as cause:
        raise error(f"{file} is missing or damaged ({first_line(cause)}): {to_do}") from None


def is_stored(file: Path, encoder: Path | None = None) -> bool:
    """Whether there is a file that need not be made again.

    One without checksums, which an earlier version wrote, is as good as none; once for all features of an encoder this
    is said. A damaged one counts as stored: who reads it says so.

    Args:
        file: its path.
        encoder: the folder of all features of its encoder. None: the one that the file's folder lies in.
    """
    if not file.is_file():
        return False

    try:
        with _open(file) as stored:
            has_checksums = ENTRY in (stored.metadata() or {})
    except SafetensorError:
        return True

    if not has_checksums:
        _say_made_again((encoder or file.parent.parent).absolute())
    return has_checksums


@cache
def _say_made_again(folder: Path) -> None:
    if all(os.environ.get(name, "0") == "0" for name in RANKS):
        log.warning("%s: stored features without checksums, of an earlier version, are made again", folder)


def _open(file: str | Path) -> safe_open:
    Path(file).open("rb").close()  # has the true error: safetensors calls a file missing when too many are open
    try:
        return safe_open(file, framework="pt")
    except RuntimeError as cause:  # torch opens it once more
        raise OSError(errno.EMFILE, first_line(cause), str(file)) from None


def _header(stored: safe_open) -> _Header:
    """The entry of a file's metadata, as it was written."""
    text = (stored.metadata() or {}).get(ENTRY)
    if text is None:
        raise SafetensorError("it has no checksums: it is of an earlier version, or none of this program's files")

    try:
        header = decode_json(text, _Header, "its metadata", UserError)
    except UserError as cause:
        raise SafetensorError(str(cause)) from None

    if header != _Header.of(header.provenance, header.tensors) or header.tensors.keys() != set(stored.keys()):
        raise SafetensorError("its metadata is not what was written, by its xxh3_128 checksum")
    return header


def _hash(name: str, tensor: Tensor) -> str:
    """Of a tensor's name, dtype, shape and bytes."""
    state = xxh3_128(f"{name} {_form(tensor)}".encode())
    state.update(tensor.flatten().view(torch.uint8).numpy().data)
    return state.hexdigest()


def _fits(tensor: Tensor, shape: tuple[int | None, ...] | None, dtypes: tuple[torch.dtype, ...]) -> bool:
    sizes = tensor.shape if shape is None else shape
    expected = [held if size is None else size for size, held in zip(sizes, tensor.shape, strict=False)]
    return len(sizes) == tensor.ndim and expected == list(tensor.shape) and tensor.dtype in (dtypes or (tensor.dtype,))


def _form(tensor: Tensor) -> str:
    return f"{_short(tensor.dtype)} {list(tensor.shape)}"


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
