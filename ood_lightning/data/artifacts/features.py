"""Features on disk: one safetensors file per shard, in a folder whose name says what made them.

Writing is atomic per file, so any number of ranks, array jobs and restarts can fill one folder and none repeats
finished work. Text features are stored the same way, one file per (words, prompts, encoder).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import quote

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ood_lightning.data.artifacts.files import atomic_write, sweep
from ood_lightning.data.shards.manifest import Manifest, Shard
from ood_lightning.errors import FeatureError


def _as_bytes(texts: list[str]) -> Tensor:
    """Strings as a uint8 tensor, since safetensors holds tensors only; JSON keeps newlines and unicode."""
    return torch.frombuffer(bytearray(json.dumps(texts, ensure_ascii=False).encode()), dtype=torch.uint8)


def _as_texts(raw: Tensor) -> list[str]:
    return [str(text) for text in json.loads(raw.numpy().tobytes())]


@dataclass(frozen=True)
class StoredColumn:
    """A further column of a set, left on disk until rows are asked for: 196 patches a picture are 200 KB.

    Args:
        name: `tower` or `patches`.
        files: of the shards in order, each with its number of rows.
    """

    name: str
    files: tuple[tuple[Path, int], ...]

    def rows(self, start: int, stop: int) -> Tensor:
        """Rows from `start` up to `stop` in the stored dtype; nothing else is brought into memory.

        Raises:
            FeatureError: a file is missing, damaged or short of rows.
        """
        pieces, first = [], 0
        for file, n in self.files:
            low, high = max(start - first, 0), min(stop - first, n)
            if low < high:
                pieces.append(self._piece(file, low, high, n))
            first += n
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces)

    def _piece(self, file: Path, low: int, high: int, n: int) -> Tensor:
        try:
            with safe_open(file, framework="pt") as stored:
                column = stored.get_slice(self.name)
                held, piece = column.get_shape()[0], column[low:high]
        except (FileNotFoundError, SafetensorError) as error:
            raise FeatureError(f"{file} is missing or damaged ({error}): remove it and embed again") from None
        if held != n:
            raise FeatureError(f"{file} holds {held} rows of {self.name}, {n} of images: remove it and embed again")
        found: Tensor = piece
        return found


@dataclass(frozen=True)
class Features:
    """Features of one set, in the order of its shards.

    Args:
        image: unit-norm, shape (n, D), in the stored dtype (fp16 unless chosen otherwise).
        label: (n,) int64, -1 where unknown.
        keys: n keys, unique within a shard.
        bad: samples that could not be decoded, as `shard key: reason`.
        columns: what is stored beside `image`, by name.
    """

    name: str
    image: Tensor
    label: Tensor
    keys: list[str]
    bad: list[str]
    columns: Mapping[str, StoredColumn] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.keys)


class FeatureFolder:
    """Feature files of one set under one encoder.

    Args:
        cache_dir: folder of all features.
        manifest: the set.
        fingerprint: of encoder, weights, preprocessing and dtype; a part of the folder's name, so that features made
            another way are never reused.
        extra_features: columns beside `image`; a part of the folder's name too, so that a folder always holds what
            it says.
    """

    def __init__(
        self, cache_dir: str | Path, manifest: Manifest, fingerprint: str, extra_features: Sequence[str] = ()
    ) -> None:
        self.manifest, self.extra_features = manifest, sorted(set(extra_features))
        folder = "+".join([f"{manifest.name}-{manifest.fingerprint}", *self.extra_features])
        self.path = Path(cache_dir) / fingerprint / folder

    def file(self, shard: Shard) -> Path:
        """Where the features of a shard lie."""
        return self.path / (quote(shard.path, safe="") + ".safetensors")

    def missing(self) -> list[Shard]:
        """Shards without a finished feature file."""
        return [shard for shard in self.manifest.shards if not self.file(shard).is_file()]

    def sweep(self) -> None:
        """Once all shards are finished: remove what killed processes left of theirs."""
        if not self.missing():
            sweep(self.path, {self.file(shard).name for shard in self.manifest.shards})

    def write(
        self,
        shard: Shard,
        image: Tensor,
        label: Tensor,
        keys: list[str],
        bad: list[str],
        columns: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Store one shard's features; `columns` are those of `also`."""
        columns = {"image": image.contiguous(), **{name: rows.contiguous() for name, rows in (columns or {}).items()}}
        assert columns.keys() == {"image", *self.extra_features}  # the folder's name says so
        if not all(torch.isfinite(rows).all() for rows in columns.values()):
            raise FeatureError(
                f"set {self.manifest.name!r}, shard {shard.path}: its features are not finite: use another precision "
                f"(fp32)"
            )
        tensors = {**columns, "label": label, "keys": _as_bytes(keys), "bad": _as_bytes(bad)}
        # one entry: safetensors writes several in an order that differs from process to process
        atomic_write(self.file(shard), save(tensors, {"from": f"set {self.manifest.name}, shard {shard.path}"}))

    def read(self, max_bad_samples: int = 0) -> Features:
        """All image features of the set, in memory: n * D * 2 bytes at fp16; further columns stay on disk.

        Raises:
            FeatureError: a shard's file is missing or damaged, rows are missing, a feature is zero or not finite, or
                more samples than `max_bad_samples` could not be decoded.
        """
        image: list[Tensor] = []
        label: list[Tensor] = []
        keys: list[str] = []
        bad: list[str] = []
        files: list[tuple[Path, int]] = []
        for shard in self.manifest.shards:
            part = self._read_shard(shard)
            named = _as_texts(part["keys"])
            files.append((self.file(shard), len(part["image"])))
            if len(part["image"]):  # a shard of which all pictures are bad has no width
                self._check(part["image"], shard, named, image[0].shape[1] if image else part["image"].shape[1])
                image.append(part["image"])
            label.append(part["label"])
            keys += named
            bad += [f"{shard.path} {reason}" for reason in _as_texts(part["bad"])]
        self._limit(bad, max_bad_samples)
        if not keys:
            lost = f" that can be decoded ({len(bad)} cannot)" if bad else ""
            raise FeatureError(f"set {self.manifest.name!r} holds no pictures{lost}")
        columns = {name: StoredColumn(name, tuple(files)) for name in self.extra_features}
        return Features(self.manifest.name, torch.cat(image), torch.cat(label), keys, bad, columns)

    def _check(self, image: Tensor, shard: Shard, keys: list[str], dim: int) -> None:
        if image.shape[1] != dim:
            raise FeatureError(
                f"{self.file(shard)} holds features of {image.shape[1]} dimensions, the shards before it {dim}: remove "
                f"it and embed again"
            )
        lengths = image.float().norm(dim=1)
        wrong = (~lengths.isfinite() | (lengths == 0)).nonzero()[:, 0]
        if len(wrong):
            what = "zero" if lengths[wrong[0]] == 0 else "not finite"
            raise FeatureError(
                f"{self.file(shard)}: the feature of {keys[int(wrong[0])]!r} is {what} ({len(wrong)} of {len(keys)} "
                f"are bad): it has no direction. Remove the file and embed again, with precision fp32"
            )

    def bad(self, max_bad_samples: int = 0) -> list[str]:
        """Samples of finished shards that could not be decoded, without reading features.

        Raises:
            FeatureError: a file is damaged, or there are more than `max_bad_samples`.
        """
        finished = [shard for shard in self.manifest.shards if self.file(shard).is_file()]
        found = [f"{s.path} {why}" for s in finished for why in _as_texts(self._read_shard(s, "bad")["bad"])]
        self._limit(found, max_bad_samples)
        return found

    def _limit(self, bad: list[str], max_bad_samples: int) -> None:
        if len(bad) > max_bad_samples:
            raise FeatureError(
                f"set {self.manifest.name!r}: {len(bad)} pictures cannot be decoded, {max_bad_samples} allowed by "
                f"max_bad_samples: {'; '.join(bad[:3])}"
            )

    def _neighbours(self, k: int) -> Path:
        return self.path / f"neighbours-{k}.safetensors"

    def write_neighbours(self, k: int, neighbours: Tensor) -> None:
        """Store the nearest neighbours (N, k) of the set's images."""
        atomic_write(self._neighbours(k), save({"neighbours": neighbours.to(torch.int32).contiguous()}))

    def read_neighbours(self, k: int) -> Tensor | None:
        """The stored neighbours, (N, k) int64, or None."""
        file = self._neighbours(k)
        if not file.is_file():
            return None
        try:
            with safe_open(file, framework="pt") as stored:
                found: Tensor = stored.get_tensor("neighbours")
        except SafetensorError as error:
            raise FeatureError(f"{file} is damaged ({error}): remove it and run again") from None
        return found.long()

    def _read_shard(self, shard: Shard, *names: str) -> dict[str, Tensor]:
        file = self.file(shard)
        try:
            with safe_open(file, framework="pt") as stored:
                part = {name: stored.get_tensor(name) for name in names or ("image", "label", "keys", "bad")}
            n_bad = len(_as_texts(part["bad"]))
        except (FileNotFoundError, SafetensorError, ValueError) as error:
            raise FeatureError(f"{file} is missing or damaged ({error}): remove it and embed again") from None
        rows = len(part["image"]) + n_bad if "image" in part else shard.samples
        if rows != shard.samples:
            raise FeatureError(
                f"{file} holds {rows} samples, the manifest says {shard.samples}: remove it and embed again"
            )
        return part


@dataclass(frozen=True)
class TextFile:
    """Stored features of a word list: unit-norm (V, D) float32, with the words in order."""

    path: Path

    @classmethod
    def at(cls, cache_dir: str | Path, encoder: str, words: str, prompts: str) -> Self:
        """File named by the fingerprints of encoder, words and prompts."""
        return cls(Path(cache_dir) / encoder / "text" / f"{words[:16]}-{prompts[:16]}.safetensors")

    def write(self, features: Tensor, words: list[str]) -> None:
        """Store features and words."""
        atomic_write(self.path, save({"text": features.contiguous(), "words": _as_bytes(words)}))

    def read(self) -> Tensor | None:
        """The features, or None where nothing is stored yet."""
        if not self.path.is_file():
            return None
        try:
            with safe_open(self.path, framework="pt") as stored:
                found: Tensor = stored.get_tensor("text")
        except SafetensorError as error:
            raise FeatureError(f"{self.path} is damaged ({error}): remove it and run again") from None
        return found
