"""Features of ID pictures and of given synthetic ones, shuffled, for training SynOOD's head."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ood_lightning.data.artifacts.features import Features
from ood_lightning.data.shards.epoch_order import EpochBatches
from ood_lightning.data.shards.manifest import Manifest, Role
from ood_lightning.data.shards.read_manifest import read_manifest
from ood_lightning.datamodules.features import FeatureData
from ood_lightning.encoders.base import Encoder
from ood_lightning.errors import ManifestError, SettingsError
from ood_lightning.functional.similarity import unit
from ood_lightning.places import FEATURES


class SyntheticFeatures(FeatureData):
    """ID pictures and synthetic pictures; which of them an epoch shows, and as what, the module says.

    A synthetic picture stands for OOD, so its set's manifest has the role `ood`. One process trains: the features are
    in memory and an epoch takes seconds to minutes. Many processes may embed before, with `embed`.

    Args:
        encoder: frozen image-text towers.
        id_shards: folder with a manifest, or tars by a brace list.
        synthetic_shards: the same, of the synthetic pictures; making them is no part of this package.
        cache_dir: folder of all features.
        batch_size: pictures in a batch; the last, partial one is kept.
        seed: of the orders, each a function of seed and epoch.
        embed_batch_size: pictures in a batch of the encoder.
        num_workers: processes that decode pictures.
        max_bad_samples: undecodable pictures allowed in each set.
    """

    id: Features
    synthetic: Features
    sides: list[tuple[int, Tensor, Tensor]]  # epochs, features and classes of each side, set by the module

    def __init__(
        self,
        encoder: Encoder,
        id_shards: str,
        synthetic_shards: str,
        cache_dir: str = FEATURES,
        batch_size: int = 128,
        seed: int = 0,
        embed_batch_size: int = 256,
        num_workers: int = 2,
        max_bad_samples: int = 0,
    ) -> None:
        super().__init__(encoder, cache_dir, batch_size, embed_batch_size, num_workers, max_bad_samples)
        self.id_shards, self.synthetic_shards, self.seed = id_shards, synthetic_shards, seed
        self.manifests: list[Manifest] = []

    @property
    def settings(self) -> dict[str, Any]:
        """What a fit depends on; a run goes on only from a checkpoint with the same."""
        return {
            "id_shards": self.id_shards,
            "synthetic_shards": self.synthetic_shards,
            "batch_size": self.batch_size,
            "data.seed": self.seed,
            "encoder": self.encoder.fingerprint,
        }

    def setup(self, stage: str) -> None:
        """Embed what is missing, read the rest."""
        assert self.trainer is not None
        if self.trainer.world_size > 1:
            raise SettingsError(
                f"SynOOD's head is trained by one process, here are {self.trainer.world_size}: set trainer.devices to "
                f"1. Features may be made by many beforehand, with `embed`."
            )
        self.manifests = [
            _read("id_shards", self.id_shards, "id", "training pictures are ID"),
            _read("synthetic_shards", self.synthetic_shards, "ood", "synthetic pictures stand for OOD"),
        ]
        self.id, self.synthetic = (self._read(folder) for folder in self._embedded(self.manifests))

    def train_dataloader(self) -> DataLoader[Any]:
        """Shuffled batches of the side whose turn it is."""
        assert self.trainer is not None
        epoch = self.trainer.current_epoch
        for epochs, image, target in self.sides:  # noqa: B007 (the side is used below)
            if epoch < epochs:
                break
            epoch -= epochs
        batches = EpochBatches(len(image), self.batch_size, self.seed)
        return DataLoader(_Rows(image, target), sampler=batches, batch_size=None)


def _read(what: str, source: str, role: Role, why: str) -> Manifest:
    manifest = read_manifest(source, role)
    if manifest.role != role:
        raise ManifestError(
            f"{what}: set {manifest.name!r} has the role {manifest.role} in its manifest, expected {role}: {why}"
        )
    return manifest


class _Rows(Dataset[dict[str, Tensor]]):
    """Whole batches of rows at a time."""

    def __init__(self, image: Tensor, target: Tensor) -> None:
        self.image, self.target = image, target

    def __getitem__(self, rows: Tensor) -> dict[str, Tensor]:
        return {"image": unit(self.image[rows]), "target": self.target[rows]}
