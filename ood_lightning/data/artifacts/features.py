"""Features on disk: one safetensors file per shard, in a folder whose name says what made them.

Each file is written whole or not at all, so any number of ranks, array jobs and restarts can fill one folder and none
repeats finished work.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast
from urllib.parse import quote

import torch
from torch import Tensor

from ood_lightning.data.artifacts.columns import EMBED_AGAIN, StoredColumn
from ood_lightning.data.artifacts.files import sweep
from ood_lightning.data.artifacts.packed_texts import PackedTexts
from ood_lightning.data.artifacts.row_chunks import RowChunks
from ood_lightning.data.artifacts.store import is_stored, opened, write_store
from ood_lightning.data.artifacts.typed import decode_json
from ood_lightning.data.artifacts.unit_vectors import not_unit
from ood_lightning.data.shards.manifest import Manifest, Role, Shard
from ood_lightning.errors import FeatureError
from ood_lightning.functional.rows import FeatureRows, joined
from ood_lightning.places import expanded
from ood_lightning.plurals import many


def _as_bytes(texts: list[str]) -> Tensor:
    """Strings as a uint8 tensor, since safetensors holds tensors only; JSON keeps newlines and unicode."""
    return torch.frombuffer(bytearray(json.dumps(texts, ensure_ascii=False).encode()), dtype=torch.uint8)


def _as_texts(raw: Tensor, where: str) -> list[str]:
    """The inverse; `where` names file and tensor in errors."""
    return decode_json(
        raw.numpy().tobytes(), list[str], where, lambda text: FeatureError(f"{text}. Remove the file and embed again")
    )


MOST_SHARDS = 60_000  # of the 65,530 maps that Linux allows a process


@dataclass(frozen=True)
class Features:
    """Features of one set, or of one of its shards, in their order.

    Args:
        image: unit-norm, shape (n, D), in the stored dtype (fp16 unless chosen otherwise); those of several shards
            are mapped from their files and joined only where somebody needs them all.
        label: (n,) int64, -1 where unknown.
        keys: n keys, unique within a shard; those that were read are packed, 33 bytes where a list takes 82.
        bad: samples that could not be read, as `shard key: reason`.
        columns: what is stored beside `image`, by name.
    """

    name: str
    image: FeatureRows
    label: Tensor
    keys: Sequence[str]
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

    @property
    def name(self) -> str:
        """Of the set, as results call it."""
        return self.features.name


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
        self._provenance = {"encoder": fingerprint, "set": f"{manifest.name}-{manifest.fingerprint}"}

    def file(self, shard: Shard) -> Path:
        """Where the features of a shard lie."""
        return self.path / (quote(shard.path, safe="") + ".safetensors")

    def missing(self) -> list[Shard]:
        """Shards without a finished feature file, or with one that has no checksums."""
        return [shard for shard in self.manifest.shards if not is_stored(self.file(shard))]

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
            bad: images that could not be read, as `key: reason`.
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
        write_store(self.file(shard), tensors, self._shard_provenance(shard))

    def read(self, max_bad_samples: int = 0) -> Features:
        """All image features of the set, checked and mapped from their files; further columns are not read yet.

        Checking brings n * D * 2 bytes (at fp16) through memory, which the system shares between the processes of a
        machine and takes back when it is short.

        Raises:
            FeatureError: a shard's file is missing, damaged or one of another shard, rows are missing, a feature is no
                unit vector, or more samples than `max_bad_samples` could not be read.
        """
        if len(self.manifest.shards) > MOST_SHARDS:
            raise FeatureError(
                f"set {self.manifest.name!r} has {len(self.manifest.shards):,} shards: a process can map the files of "
                f"{MOST_SHARDS:,} (vm.max_map_count). Pack it into larger shards"
            )

        parts = [self._read_shard(shard) for shard in self.manifest.shards]
        files = tuple((self.file(shard), len(part)) for shard, part in zip(self.manifest.shards, parts, strict=True))
        images = [
            cast("Tensor", part.image) for part in parts if len(part)
        ]  # without pictures, a shard's features have no width
        bad = [reason for part in parts for reason in part.bad]

        self._refuse_too_many(bad, max_bad_samples)
        if not images:
            cannot = f" that can be read ({len(bad):,} cannot, such as {bad[0]})" if bad else ""
            raise FeatureError(f"set {self.manifest.name!r} holds no pictures{cannot}")

        dim, dtype = images[0].shape[1], images[0].dtype
        for (file, _), part in zip(files, parts, strict=True):
            if len(part) and part.image.shape[1] != dim:
                raise FeatureError(
                    f"{file} holds features of {part.image.shape[1]} dimensions, the shards before it {dim}: remove "
                    f"it and embed again"
                )
            if len(part) and part.image.dtype != dtype:
                raise FeatureError(
                    f"{file} holds {part.image.dtype} features, the shards before it {dtype}: remove it and embed again"
                )

        return Features(
            name=self.manifest.name,
            image=joined(images),
            label=torch.cat([part.label for part in parts]),
            keys=PackedTexts.joined([part.keys for part in parts]),
            bad=bad,
            columns={name: StoredColumn(name, files) for name in self.extra_features},
        )

    def bad(self, max_bad_samples: int = 0) -> list[str]:
        """Samples of finished shards that could not be read, without reading features.

        Raises:
            FeatureError: a file is damaged, or there are more than `max_bad_samples`.
        """
        finished = [shard for shard in self.manifest.shards if is_stored(self.file(shard))]
        bad = []
        for shard in finished:
            with opened(self.file(shard), self._shard_provenance(shard), EMBED_AGAIN) as store:
                bad += self._reasons(store.tensor("bad", (None,), torch.uint8), shard)

        self._refuse_too_many(bad, max_bad_samples)
        return bad

    def _refuse_too_many(self, bad: list[str], max_bad_samples: int) -> None:
        if len(bad) > max_bad_samples:
            raise FeatureError(
                f"set {self.manifest.name!r}: {many(len(bad), 'picture')} cannot be read, {max_bad_samples} allowed by "
                f"max_bad_samples: {'; '.join(bad[:3])}"
            )

    def neighbours(self, k: int, n_images: int, search: str = "exact") -> RowChunks:
        """Where the k nearest neighbours of the set's images are stored, found by one kind of search or another."""
        folder = self.path / f"neighbours-{k}{'' if search == 'exact' else f'-{search}'}"
        return RowChunks(folder, {**self._provenance, "n_neighbours": k, "search": search}, n_images)

    def moments(self, n_images: int) -> RowChunks:
        """Where the mean and deviation of the set's features are stored."""
        return RowChunks(self.path / "moments", self._provenance, n_images)

    def _read_shard(self, shard: Shard) -> Features:
        file = self.file(shard)
        with opened(file, self._shard_provenance(shard), EMBED_AGAIN) as store:
            keys = _as_texts(store.tensor("keys", (None,), torch.uint8), f"{file}, keys")
            bad = self._reasons(store.tensor("bad", (None,), torch.uint8), shard)
            image = store.tensor("image", (len(keys), None), torch.float16, torch.float32)
            label = store.tensor("label", (len(keys),), torch.int64)

        n_samples = len(image) + len(bad)
        if n_samples != shard.samples:
            raise FeatureError(f"{file} holds {n_samples} samples, the manifest says {shard.samples}: {EMBED_AGAIN}")
        if len(set(keys)) < len(keys):
            repeated = next(key for key, n in Counter(keys).items() if n > 1)
            raise FeatureError(f"{file} holds the key {repeated!r} twice: {EMBED_AGAIN}")
        if (label < -1).any():
            raise FeatureError(f"{file} holds the label {int(label.min())}, expected -1 or more: {EMBED_AGAIN}")

        if wrong := not_unit(image):
            raise FeatureError(
                f"{file}: the feature of {keys[wrong.row]!r} is {wrong.length} ({wrong.n} of {len(keys)} are bad), "
                f"expected a unit vector: remove the file and embed again, with precision fp32"
            )
        return Features(self.manifest.name, image, label, PackedTexts(keys), bad)

    def _reasons(self, raw: Tensor, shard: Shard) -> list[str]:
        return [f"{shard.path} {reason}" for reason in _as_texts(raw, f"{self.file(shard)}, bad")]

    def _shard_provenance(self, shard: Shard) -> dict[str, str]:
        return {**self._provenance, "shard": shard.path}
