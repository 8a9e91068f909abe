"""Which features a stage sees: pairs of neighbours for `fit`, every sample once for `test`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import lightning.pytorch as L
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_info
from torch import Tensor
from torch.utils.data import DataLoader

from ood_lightning.clustering.pairs import EpochPairs, PairFeatures
from ood_lightning.data.artifacts.features import FeatureFolder, Features
from ood_lightning.data.artifacts.precision import FromFP32
from ood_lightning.data.shards.manifest import Manifest, Role
from ood_lightning.data.shards.read_manifest import read_manifest
from ood_lightning.datamodules.blocks import Blocks
from ood_lightning.datamodules.embedding import embed
from ood_lightning.encoders.base import Encoder
from ood_lightning.errors import FeatureError, ManifestError, SettingsError, first_line
from ood_lightning.functional.similarity import neighbours
from ood_lightning.places import FEATURES


class FeatureData(L.LightningDataModule):
    """Embeds what is missing and reads the rest; the base of both stages.

    Args:
        encoder: shared with the model by a link.
        cache_dir: folder of all features.
        batch_size: see the subclasses.
        embed_batch_size: pictures in a batch of the encoder.
        num_workers: processes that decode pictures, on each rank.
        max_bad_samples: undecodable pictures a set may have; they are listed.
    """

    def __init__(
        self,
        encoder: Encoder,
        cache_dir: str,
        batch_size: int,
        embed_batch_size: int,
        num_workers: int,
        max_bad_samples: int,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.cache_dir, self.batch_size, self.embed_batch_size = cache_dir, batch_size, embed_batch_size
        self.num_workers, self.max_bad_samples = num_workers, max_bad_samples

    def _embedded(self, manifests: list[Manifest], extra_features: Sequence[str] = ()) -> list[FeatureFolder]:
        trainer = self.trainer
        assert trainer is not None  # Lightning sets it before setup
        folders = []
        for manifest in manifests:
            folder = FeatureFolder(self.cache_dir, manifest, self.encoder.fingerprint, extra_features)
            if not folder.missing():
                rank_zero_info(
                    f"reusing the features of {manifest.name}: {manifest.n_samples:,} pictures in {folder.path}"
                )
            folders.append(folder)
        trainer.strategy.barrier("before embedding")  # or a fast rank would look finished to a slow one's message
        for manifest in manifests:
            embed(
                self.encoder,
                manifest,
                self.cache_dir,
                device=trainer.strategy.root_device,
                rank=trainer.global_rank,
                world_size=trainer.world_size,
                batch_size=self.embed_batch_size,
                num_workers=self.num_workers,
                max_bad_samples=self.max_bad_samples,
                extra_features=extra_features,
            )
        try:
            trainer.strategy.barrier("embedded")
        except RuntimeError as error:  # in the words of the backend
            raise FeatureError(
                f"the features are not complete, since another process has ended: what it said stands above. Finished "
                f"shards are kept ({first_line(error)})"
            ) from None
        for folder in folders:
            if stated := FromFP32.read(folder.path):
                rank_zero_info(f"{folder.manifest.name}: {stated}")
        return folders

    def _read(self, folder: FeatureFolder) -> Features:
        found = folder.read(self.max_bad_samples)
        if found.bad:
            rank_zero_info(
                f"set {found.name}: {len(found.bad):,} of {folder.manifest.n_samples:,} pictures cannot be decoded and "
                f"are left out, such as {found.bad[0]!r}"
            )
        return found


class TrainFeatures(FeatureData):
    """Pairs of neighbouring images of one unlabelled ID set, for TEMI.

    Args:
        encoder: frozen image-text towers.
        id_shards: folder with a manifest, or tars by a brace list.
        cache_dir: folder of all features.
        n_neighbours: k, of which one is drawn per image and epoch.
        batch_size: pairs in a batch, over all ranks together.
        seed: of order and draws; the run's own seed if None.
        embed_batch_size: pictures in a batch of the encoder.
        num_workers: processes that decode pictures, on each rank.
        max_bad_samples: undecodable pictures allowed.
        self_neighbour: each image is the first of its own k neighbours, as in TEMI's code for more than 80,000 images.
            Only to compare with its numbers.
    """

    def __init__(
        self,
        encoder: Encoder,
        id_shards: str,
        cache_dir: str = FEATURES,
        n_neighbours: int = 50,
        batch_size: int = 1024,
        seed: int = 0,
        embed_batch_size: int = 256,
        num_workers: int = 2,
        max_bad_samples: int = 0,
        self_neighbour: bool = False,
    ) -> None:
        super().__init__(encoder, cache_dir, batch_size, embed_batch_size, num_workers, max_bad_samples)
        self.id_shards, self.n_neighbours, self.seed = id_shards, n_neighbours, seed
        self.self_neighbour = self_neighbour

    @cached_property
    def manifest(self) -> Manifest:
        """Of the set, read once: tars without one are counted for it."""
        return read_manifest(self.id_shards)

    @property
    def settings(self) -> dict[str, Any]:
        """What a fit depends on; a run goes on only from a checkpoint with the same."""
        return {
            "id_shards": self.id_shards,
            "id_set": self.manifest.fingerprint,  # other shards may lie at the same path now
            "n_neighbours": self.n_neighbours,
            "self_neighbour": self.self_neighbour or None,  # None as in checkpoints from before it could be chosen
            "batch_size": self.batch_size,
            "data.seed": self.seed,
            "encoder": self.encoder.fingerprint,
        }

    def setup(self, stage: str) -> None:
        """Embed, find neighbours."""
        trainer = self.trainer
        assert trainer is not None
        (folder,) = self._embedded([self.manifest])
        self.features = self._read(folder)
        n = len(self.features)
        if n <= self.n_neighbours or n < self.batch_size:
            raise SettingsError(
                f"set {self.manifest.name!r} has {n} pictures: too few for n_neighbours {self.n_neighbours} and "
                f"batch_size {self.batch_size}. Make both smaller, or give more pictures."
            )
        if self.batch_size % trainer.world_size:
            raise SettingsError(f"batch_size {self.batch_size} does not divide over {trainer.world_size} processes")
        self.neighbours = self._neighbours(folder)

    def _neighbours(self, folder: FeatureFolder) -> Tensor:
        """Exact cosine neighbours, found by rank 0 and read by all."""
        trainer = self.trainer
        assert trainer is not None
        if folder.read_neighbours(self.n_neighbours) is not None:
            rank_zero_info(f"reusing the {self.n_neighbours} nearest neighbours of {folder.manifest.name}")
        trainer.strategy.barrier("before neighbours")
        if trainer.is_global_zero and folder.read_neighbours(self.n_neighbours) is None:
            image = self.features.image.to(trainer.strategy.root_device)
            folder.write_neighbours(self.n_neighbours, neighbours(image, self.n_neighbours).cpu())
        trainer.strategy.barrier("neighbours")
        found = folder.read_neighbours(self.n_neighbours)
        assert found is not None  # rank 0 has written it to a folder that all ranks see
        if self.self_neighbour:
            found = torch.cat([torch.arange(len(found))[:, None], found[:, :-1]], dim=1)
        return found

    def train_dataloader(self) -> DataLoader[Any]:
        """This rank's share of every batch."""
        trainer = self.trainer
        assert trainer is not None
        pairs = EpochPairs(
            len(self.features), self.n_neighbours, self.batch_size, self.seed, trainer.global_rank, trainer.world_size
        )
        return DataLoader(PairFeatures(self.features.image, self.neighbours), sampler=pairs, batch_size=None)


@dataclass(frozen=True)
class EvalSet:
    """One set of an evaluation: its features, role and group."""

    manifest: Manifest
    role: Role
    group: str
    features: Features


class EvalFeatures(FeatureData):
    """Every sample of named ID, covariate-shifted and OOD sets, once.

    Attributes:
        columns: beside `image`, those that the run's detectors read, set by the module; of the encoder's `also`.

    Args:
        encoder: frozen image-text towers.
        id_shards: sources of ID test sets.
        ood_shards: sources of OOD sets by group (`near`, `far`, ...); means are reported per group.
        covariate_shards: sources of ID sets under another style; each takes the ID set's place in turn.
        id_train_shards: source of ID training images, for detectors that learn from them.
        cache_dir: folder of all features.
        batch_size: features in a batch.
        embed_batch_size: pictures in a batch of the encoder.
        num_workers: processes that decode pictures, on each rank.
        max_bad_samples: undecodable pictures a set may have; they are listed in the results.
    """

    def __init__(
        self,
        encoder: Encoder,
        id_shards: list[str],
        ood_shards: dict[str, list[str]],
        covariate_shards: list[str] | None = None,
        id_train_shards: str | None = None,
        cache_dir: str = FEATURES,
        batch_size: int = 1024,
        embed_batch_size: int = 256,
        num_workers: int = 2,
        max_bad_samples: int = 0,
    ) -> None:
        super().__init__(encoder, cache_dir, batch_size, embed_batch_size, num_workers, max_bad_samples)
        self.sources: list[tuple[Role, str, str]] = [("id", "", source) for source in id_shards]
        self.sources += [("covariate", "", source) for source in covariate_shards or []]
        self.sources += [("ood", group, source) for group, sources in ood_shards.items() for source in sources]
        if not id_shards or not any(ood_shards.values()):
            raise SettingsError("an evaluation needs at least one set in id_shards and one in ood_shards")
        self.sets: list[EvalSet] = []
        self.id_train_shards = id_train_shards
        self.id_train: Features | None = None
        self.columns: tuple[str, ...] = ()

    def setup(self, stage: str) -> None:
        """Embed what is missing, read all sets."""
        manifests = [_checked(read_manifest(source, role), role) for role, _, source in self.sources]
        names = [manifest.name for manifest in manifests]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ManifestError(f"two sets are called {', '.join(sorted(twice))}: rename one in its manifest")
        learned = [_checked(read_manifest(self.id_train_shards, "id"), "id")] if self.id_train_shards else []
        folders = self._embedded(manifests, self.encoder.extra_features)
        if learned:
            (folder,) = self._embedded(learned, not_patches(self.encoder.extra_features))
            self.id_train = self._read(folder)
        self.sets = [
            EvalSet(manifest, role, group, self._read(folder))
            for manifest, (role, group, _), folder in zip(manifests, self.sources, folders, strict=True)
        ]

    def test_dataloader(self) -> list[DataLoader[Any]]:
        """One loader a set, in the order of `sets`."""
        trainer = self.trainer
        assert trainer is not None
        rank, world = trainer.global_rank, trainer.world_size
        blocks = [Blocks(s.features, self.batch_size, rank, world, self.columns) for s in self.sets]
        return [DataLoader(some, batch_size=None) for some in blocks]


def not_patches(extra_features: Sequence[str]) -> tuple[str, ...]:
    """Columns to store of ID training images: no method learns from their patches, 257 GB of ImageNet's."""
    return tuple(name for name in extra_features if name != "patches")


def _checked(manifest: Manifest, role: Role) -> Manifest:
    if manifest.role != role:
        raise ManifestError(
            f"set {manifest.name!r} is given as {role}, its manifest says {manifest.role}: move it in the config"
        )
    return manifest
