"""Features on disk: one safetensors file per shard, in a folder whose name says what made them.

Each file is written whole or not at all, so any number of ranks, array jobs and restarts can fill one folder and none
repeats finished work. Text features are stored the same way, one file per (words, prompts, encoder).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import quote

import torch
from safetensors.torch import save
from torch import Tensor

from ood_lightning.data.artifacts.columns import StoredColumn, opened
from ood_lightning.data.artifacts.files import atomic_write, sweep
from ood_lightning.data.artifacts.typed import decode_json
from ood_lightning.data.shards.manifest import Manifest, Role, Shard
from ood_lightning.errors import FeatureError
from ood_lightning.places import expanded


def _as_bytes(texts: list[str]) -> Tensor:
    """Strings as a uint8 tensor, since safetensors holds tensors only; JSON keeps newlines and unicode."""
    return torch.frombuffer(bytearray(json.dumps(texts, ensure_ascii=False).encode()), dtype=torch.uint8)


def _as_texts(raw: Tensor, where: str) -> list[str]:
    """The inverse; `where` names file and tensor in errors."""
    return decode_json(
        raw.numpy().tobytes(), list[str], where, lambda text: FeatureError(f"{text}. Remove the file and embed again")
    )


@dataclass(frozen=True)
class Features:
    """Features of one set, or of one of its shards, in their order.

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


@dataclass(frozen=True)
class FeatureSet:
    """A set of images and their stored features.

    Args:
        manifest: of the set.
        features: of those of its images that can be decoded, in the order of the shards.
    """

    manifest: Manifest
    features: Features


@dataclass(frozen=True)
class EvalSet(FeatureSet):
    """One set of an evaluation.

    Args:
        role: what its images stand for.
        group: of an OOD set (`near`, `far`, ...); means are reported for each. "" for other sets.
    """

    role: Role
    group: str = ""


class FeatureFolder:
    """Feature files of one set under one encoder.

    Args:
        cache_dir: folder of all features.
        manifest: the set.
        fingerprint: of encoder, weights, preprocessing and dtype; a part of the folder's name, so that features that
            were made in another way are never reused.
        extra_features: columns beside `image`; a part of the folder's name too, so that all files of a folder have the
            same columns.
    """

    def __init__(
        self, cache_dir: str | Path, manifest: Manifest, fingerprint: str, extra_features: Sequence[str] = ()
    ) -> None:
        self.manifest = manifest
        self.extra_features = sorted(set(extra_features))
        folder = "+".join([f"{manifest.name}-{manifest.fingerprint}", *self.extra_features])
        self.path = expanded(cache_dir) / fingerprint / folder

    def file(self, shard: Shard) -> Path:
        """Where the features of a shard lie."""
        return self.path / (quote(shard.path, safe="") + ".safetensors")

    def missing(self) -> list[Shard]:
        """Shards without a finished feature file."""
        return [shard for shard in self.manifest.shards if not self.file(shard).is_file()]

    def sweep(self) -> None:
        """Once all shards are finished, remove the temporary files that killed processes left."""
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
        """Store the features of one shard.

        Args:
            shard: the shard.
            image: unit-norm, shape (n, D).
            label: (n,) int64, -1 where unknown.
            keys: n keys.
            bad: images that could not be decoded, as `key: reason`.
            columns: those that `extra_features` names, n rows each.

        Raises:
            FeatureError: a feature is not finite.
        """
        features = {name: rows.contiguous() for name, rows in {"image": image, **(columns or {})}.items()}
        assert features.keys() == {"image", *self.extra_features}  # the folder's name says so

        if not all(torch.isfinite(rows).all() for rows in features.values()):
            raise FeatureError(
                f"set {self.manifest.name!r}, shard {shard.path}: its features are not finite: use another precision "
                f"(fp32)"
            )

        tensors = {**features, "label": label, "keys": _as_bytes(keys), "bad": _as_bytes(bad)}
        # one entry: safetensors writes several in an order that differs from process to process
        atomic_write(self.file(shard), save(tensors, {"from": f"set {self.manifest.name}, shard {shard.path}"}))

    def read(self, max_bad_samples: int = 0) -> Features:
        """All image features of the set, in memory: n * D * 2 bytes at fp16; further columns stay on disk.

        Raises:
            FeatureError: a shard's file is missing or damaged, rows are missing, a feature is zero or not finite, or
                more samples than `max_bad_samples` could not be decoded.
        """
        parts = [self._read_shard(shard) for shard in self.manifest.shards]
        files = tuple((self.file(shard), len(part)) for shard, part in zip(self.manifest.shards, parts, strict=True))
        images = [part.image for part in parts if len(part)]  # without pictures, a shard's features have no width
        bad = [reason for part in parts for reason in part.bad]

        self._refuse_too_many(bad, max_bad_samples)
        if not images:
            cannot = f" that can be decoded ({len(bad)} cannot)" if bad else ""
            raise FeatureError(f"set {self.manifest.name!r} holds no pictures{cannot}")

        dim = images[0].shape[1]
        for (file, _), part in zip(files, parts, strict=True):
            if len(part) and part.image.shape[1] != dim:
                raise FeatureError(
                    f"{file} holds features of {part.image.shape[1]} dimensions, the shards before it {dim}: remove "
                    f"it and embed again"
                )

        return Features(
            name=self.manifest.name,
            image=torch.cat(images),
            label=torch.cat([part.label for part in parts]),
            keys=[key for part in parts for key in part.keys],
            bad=bad,
            columns={name: StoredColumn(name, files) for name in self.extra_features},
        )

    def bad(self, max_bad_samples: int = 0) -> list[str]:
        """Samples of finished shards that could not be decoded, without reading features.

        Raises:
            FeatureError: a file is damaged, or there are more than `max_bad_samples`.
        """
        finished = [shard for shard in self.manifest.shards if self.file(shard).is_file()]
        bad = [reason for shard in finished for reason in self._reasons(self._tensors(shard, "bad")["bad"], shard)]
        self._refuse_too_many(bad, max_bad_samples)
        return bad

    def _refuse_too_many(self, bad: list[str], max_bad_samples: int) -> None:
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
        neighbours = _stored(self._neighbours(k), "neighbours")
        return None if neighbours is None else neighbours.long()

    def _read_shard(self, shard: Shard) -> Features:
        tensors = self._tensors(shard, "image", "label", "keys", "bad")
        file = self.file(shard)
        image = tensors["image"]
        keys = _as_texts(tensors["keys"], f"{file}, keys")
        bad = self._reasons(tensors["bad"], shard)

        n_samples = len(image) + len(bad)
        if n_samples != shard.samples:
            raise FeatureError(
                f"{file} holds {n_samples} samples, the manifest says {shard.samples}: remove it and embed again"
            )

        lengths = image.float().norm(dim=-1)  # (n, D) -> (n,)
        wrong = (~lengths.isfinite() | (lengths == 0)).nonzero()[:, 0]
        if len(wrong):
            what = "zero" if lengths[wrong[0]] == 0 else "not finite"
            raise FeatureError(
                f"{file}: the feature of {keys[wrong[0]]!r} is {what} ({len(wrong)} of {len(keys)} are bad): it has no "
                f"direction. Remove the file and embed again, with precision fp32"
            )
        return Features(self.manifest.name, image, tensors["label"], keys, bad)

    def _reasons(self, raw: Tensor, shard: Shard) -> list[str]:
        return [f"{shard.path} {reason}" for reason in _as_texts(raw, f"{self.file(shard)}, bad")]

    def _tensors(self, shard: Shard, *names: str) -> dict[str, Tensor]:
        with opened(self.file(shard)) as stored:
            return {name: stored.get_tensor(name) for name in names}


@dataclass(frozen=True)
class TextFile:
    """Stored features of a word list: unit-norm (V, D) float32, with the words in order."""

    path: Path

    @classmethod
    def at(cls, cache_dir: str | Path, encoder: str, words: str, prompts: str) -> Self:
        """File named by the fingerprints of encoder, words and prompts."""
        return cls(expanded(cache_dir) / encoder / "text" / f"{words[:16]}-{prompts[:16]}.safetensors")

    def write(self, features: Tensor, words: list[str]) -> None:
        """Store features and words."""
        atomic_write(self.path, save({"text": features.contiguous(), "words": _as_bytes(words)}))

    def read(self) -> Tensor | None:
        """The features, or None where nothing is stored yet."""
        return _stored(self.path, "text")


def _stored(file: Path, name: str) -> Tensor | None:
    """One tensor of a file; None where there is no such file yet."""
    if not file.is_file():
        return None
    with opened(file, to_make="run") as stored:
        tensor: Tensor = stored.get_tensor(name)
    return tensor
