"""Features of ID pictures and of given synthetic ones, shuffled, for training SynOOD's head."""

from bisect import bisect
from collections.abc import Sequence
from functools import partial
from itertools import accumulate
from typing import Annotated, Any

from torch import Tensor
from torch.utils.data import DataLoader

from ood_lightning.data.artifacts.features import Features
from ood_lightning.data.shards.epoch_order import EpochBatches
from ood_lightning.data.shards.manifest import Manifest
from ood_lightning.datamodules.base import FeatureData, not_patches
from ood_lightning.datamodules.blocks import Rows
from ood_lightning.datamodules.checks import SetToEmbed
from ood_lightning.datamodules.contracts import Side
from ood_lightning.encoders.base import Encoder
from ood_lightning.errors import SettingsError
from ood_lightning.functional.similarity import unit
from ood_lightning.masking import masked
from ood_lightning.places import FEATURES
from ood_lightning.ranges import Count, CountOrZero, Range, Seed, in_range


class SyntheticFeatures(FeatureData):
    """ID pictures and synthetic pictures; which of them an epoch shows, and as what, the module says.

    A synthetic picture stands for OOD, so its set's manifest has the role `ood`. One process trains: the features are
    in memory and an epoch takes seconds to minutes. Many processes may embed before, with `embed`.

    Args:
        encoder: frozen image-text towers.
        id_shards: folder with a manifest or of pictures, or tars by a brace list.
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

    @in_range
    def __init__(
        self,
        encoder: Encoder,
        id_shards: str,
        synthetic_shards: str,
        cache_dir: str = FEATURES,
        batch_size: Count = 128,
        seed: Seed = 0,
        embed_batch_size: Annotated[int, Range(1, 65_536)] = 256,
        num_workers: Annotated[int, Range(0, 1024)] = 2,
        max_bad_samples: CountOrZero = 0,
    ) -> None:
        super().__init__(encoder, cache_dir, batch_size, embed_batch_size, num_workers, max_bad_samples)
        self.id_shards, self.synthetic_shards, self.seed = id_shards, synthetic_shards, seed
        self.manifests: list[Manifest] = []

    @property
    def settings(self) -> dict[str, Any]:
        """What a fit depends on; a run goes on only from a checkpoint with the same."""
        return {
            "id_shards": masked(self.id_shards),
            "synthetic_shards": masked(self.synthetic_shards),
            "batch_size": self.batch_size,
            "data.seed": self.seed,
            "encoder": self.encoder.fingerprint,
        }

    def _sets(self) -> list[SetToEmbed]:
        id_read = partial(self._manifest, self.id_shards, "id", "id_shards are ID training pictures")
        synthetic = partial(self._manifest, self.synthetic_shards, "ood", "synthetic_shards stand for OOD")
        columns = not_patches(self.encoder.extra_features)
        return [
            SetToEmbed(self.id_shards, id_read, columns),
            SetToEmbed(self.synthetic_shards, synthetic, columns),
        ]

    def setup(self, stage: str) -> None:
        """Embed what is missing, read the rest."""
        if self.trainer.world_size > 1:
            raise SettingsError(
                f"SynOOD's head is trained by one process, here are {self.trainer.world_size}: set trainer.devices to "
                f"1. Features may be made by many beforehand, with `embed`."
            )
        self.manifests = [one.read() for one in self._sets()]
        folders = self._embedded(self.manifests, not_patches(self.encoder.extra_features))
        self.id, self.synthetic = (self._read(folder) for folder in folders)

    def train_on(self, sides: Sequence[Side]) -> None:
        """Let the loader show one side after the other.

        Args:
            sides: how long each lasts, and the features and classes that it shows.
        """
        self.sides = sides

    def train_dataloader(self) -> DataLoader[Any]:
        """Shuffled batches of the side whose turn it is."""
        ends = list(accumulate(side.epochs for side in self.sides))
        turn = bisect(ends, self.trainer.current_epoch)
        side = self.sides[min(turn, len(ends) - 1)]  # the last one where the epochs of all are over
        batches = EpochBatches(len(side.image), self.batch_size, self.seed)
        rows = Rows(side.image, side.target, unit if side.unit_norm else Tensor.float)
        return DataLoader(rows, sampler=batches, batch_size=None)
