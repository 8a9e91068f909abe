"""Features of one ID set with a class for each picture, shuffled, for training a probe."""

from functools import partial
from typing import Annotated, Any

from torch import Tensor
from torch.utils.data import DataLoader

from ood_lightning.data.artifacts.features import Features
from ood_lightning.data.shards.epoch_order import EpochBatches
from ood_lightning.data.shards.manifest import Manifest
from ood_lightning.datamodules.base import FeatureData, not_patches
from ood_lightning.datamodules.blocks import Rows
from ood_lightning.datamodules.checks import SetToEmbed
from ood_lightning.encoders.base import Encoder
from ood_lightning.functional.rows import FeatureRows
from ood_lightning.masking import masked
from ood_lightning.places import FEATURES
from ood_lightning.ranges import Count, CountOrZero, Range, Seed, in_range


class TargetFeatures(FeatureData):
    """Every picture once an epoch, with the class that the module gives it; the last, partial batch is kept.

    Args:
        encoder: frozen image-text towers.
        id_shards: folder with a manifest or of pictures, or tars by a brace list.
        cache_dir: folder of all features.
        batch_size: pictures in a batch; 8,192 in PLP's ImageNet recipe.
        seed: of the orders, each a function of seed and epoch; 42 in PLP's code.
        embed_batch_size: pictures in a batch of the encoder.
        num_workers: processes that decode pictures, on each rank.
        max_bad_samples: undecodable pictures allowed.
    """

    features: Features

    @in_range
    def __init__(
        self,
        encoder: Encoder,
        id_shards: str,
        cache_dir: str = FEATURES,
        batch_size: Count = 8192,
        seed: Seed = 42,
        embed_batch_size: Annotated[int, Range(1, 65_536)] = 256,
        num_workers: Annotated[int, Range(0, 1024)] = 2,
        max_bad_samples: CountOrZero = 0,
    ) -> None:
        super().__init__(encoder, cache_dir, batch_size, embed_batch_size, num_workers, max_bad_samples)
        self.id_shards, self.seed = id_shards, seed
        self.manifests: list[Manifest] = []

    @property
    def settings(self) -> dict[str, Any]:
        """What a fit depends on; a run goes on only from a checkpoint with the same."""
        return {
            "id_shards": masked(self.id_shards),
            "batch_size": self.batch_size,
            "data.seed": self.seed,
            "encoder": self.encoder.fingerprint,
        }

    def _sets(self) -> list[SetToEmbed]:
        read = partial(self._manifest, self.id_shards)
        return [SetToEmbed(self.id_shards, read, not_patches(self.encoder.extra_features))]

    def setup(self, stage: str) -> None:
        """Embed what is missing, read the rest."""
        self.manifests = [one.read() for one in self._sets()]
        (folder,) = self._embedded(self.manifests, not_patches(self.encoder.extra_features))
        self.features = self._read(folder)

    def train_on(self, image: FeatureRows, targets: Tensor) -> None:
        """Let the loader show rows of these features with their classes.

        Args:
            image: any features of the set's pictures, shape (n, D).
            targets: int64, shape (n,).
        """
        self._rows = Rows(image, targets)

    def train_dataloader(self) -> DataLoader[Any]:
        """Shuffled batches; on several ranks each sees all of them, so the averaged gradient is that of one."""
        batches = EpochBatches(len(self._rows.target), self.batch_size, self.seed)
        return DataLoader(self._rows, sampler=batches, batch_size=None)
