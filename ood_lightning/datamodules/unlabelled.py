"""Features of one unlabelled ID set as a whole, for methods that need no batches."""

from functools import partial
from typing import Annotated, Any

from torch.utils.data import DataLoader

from ood_lightning.data.artifacts.features import FeatureFolder, Features
from ood_lightning.data.shards.manifest import Manifest
from ood_lightning.datamodules.base import FeatureData
from ood_lightning.datamodules.checks import SetToEmbed
from ood_lightning.encoders.base import Encoder
from ood_lightning.masking import masked
from ood_lightning.places import FEATURES
from ood_lightning.ranges import CountOrZero, Range, in_range


class UnlabelledFeatures(FeatureData):
    """All pictures of one unlabelled ID set; the loader of an epoch has a single batch, which holds nothing.

    Args:
        encoder: frozen image-text towers.
        id_shards: folder with a manifest, or tars by a brace list.
        cache_dir: folder of all features.
        embed_batch_size: pictures in a batch of the encoder.
        num_workers: processes that decode pictures, on each rank.
        max_bad_samples: undecodable pictures allowed.

    Attributes:
        features: of the set; there after `setup`.
    """

    features: Features

    @in_range
    def __init__(
        self,
        encoder: Encoder,
        id_shards: str,
        cache_dir: str = FEATURES,
        embed_batch_size: Annotated[int, Range(1, 65_536)] = 256,
        num_workers: Annotated[int, Range(0, 1024)] = 2,
        max_bad_samples: CountOrZero = 0,
    ) -> None:
        super().__init__(encoder, cache_dir, 1, embed_batch_size, num_workers, max_bad_samples)
        self.id_shards = id_shards

    @property
    def manifest(self) -> Manifest:
        """Of the set."""
        return self._manifest(self.id_shards)

    def _sets(self) -> list[SetToEmbed]:
        return [SetToEmbed(self.id_shards, partial(self._manifest, self.id_shards))]

    @property
    def settings(self) -> dict[str, Any]:
        """What a fit depends on; a run goes on only from a checkpoint with the same."""
        return {
            "id_shards": masked(self.id_shards),  # what is stored holds no signature
            "id_set": self.manifest.fingerprint,  # other shards may lie at the same path now
            "encoder": self.encoder.fingerprint,
        }

    def setup(self, stage: str) -> None:
        """Embed what is missing, read the rest."""
        self._set_up()

    def _set_up(self) -> FeatureFolder:
        (folder,) = self._embedded([self.manifest])
        self.features = self._read(folder)
        return folder

    def train_dataloader(self) -> DataLoader[Any]:
        """One batch."""
        nothing: Any = [{}]
        return DataLoader(nothing, batch_size=None)
