"""TEMI on images whose features are at hand, without shards: the clusters that `run` mines from."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning.pytorch as L
import torch
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import Tensor
from torch.utils.data import DataLoader

from ood_lightning.callbacks.checkpoint import RunCheckpoint, checkpoint_of
from ood_lightning.callbacks.stop import SafeStop
from ood_lightning.clustering.pairs import EpochPairs, PairFeatures, resident
from ood_lightning.data.artifacts.features import Features, FeatureSet
from ood_lightning.errors import TERMINATED
from ood_lightning.functional.moments import Moments, moments
from ood_lightning.functional.similarity import neighbours
from ood_lightning.making.tools import Tools
from ood_lightning.modules.temi import TEMIModule
from ood_lightning.plain_output import without_noise
from ood_lightning.ranges import Seed

EPOCHS = 60
# the recipe of configs/clustermine.yaml; some thousand images do not fill the wide heads of ImageNet's
HEADS: dict[str, Any] = {"n_heads": 8, "hidden": 256, "bottleneck": 128, "lr": 1e-3, "warmup_epochs": 10}


class FeaturePairs(L.LightningDataModule):
    """Pairs of neighbouring images of a set that is in memory.

    Attributes:
        features: of the set.
        moments: mean and deviation of the features.
        batch_size: pairs in a batch.

    Args:
        images: the set.
        seed: of order and draws.
    """

    features: Features
    moments: Moments

    def __init__(self, images: FeatureSet, seed: Seed) -> None:
        super().__init__()
        self.manifest, self.features, self.seed = images.manifest, images.features, seed
        n = len(images.features)
        self.n_neighbours, self.batch_size = min(20, n - 1), min(256, n - n % 2)  # two slices of a batch are summed

    @property
    def settings(self) -> dict[str, Any]:
        """What a fit depends on; a run goes on only from a checkpoint with the same."""
        return {
            "id_set": self.manifest.fingerprint,
            "n_neighbours": self.n_neighbours,
            "batch_size": self.batch_size,
            "data.seed": self.seed,
        }

    def setup(self, stage: str) -> None:
        """Find neighbours."""
        image = self.features.image
        self.moments = moments(image)
        on_device = image[:].to(_device_of(self))
        self.neighbours = neighbours(on_device, self.n_neighbours).int().cpu()

    def train_dataloader(self) -> DataLoader[Any]:
        """Every image once an epoch, each with one of its neighbours."""
        pairs = EpochPairs(len(self.features), self.n_neighbours, self.batch_size, self.seed, 0, 1)
        held = resident(self.features.image, self.neighbours, _device_of(self))
        return DataLoader(PairFeatures(*held), sampler=pairs, batch_size=None)


def _device_of(data: L.LightningDataModule) -> torch.device:
    """Where the run of a data module trains."""
    assert data.trainer is not None
    device: torch.device = data.trainer.strategy.root_device
    return device


@contextmanager
def _without_news() -> Iterator[None]:
    """Inside, Lightning does not say which devices there are, nor that all epochs are done."""
    news = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    level = news.level
    news.setLevel(logging.WARNING)
    try:
        yield
    finally:
        news.setLevel(level)


def temi_clusters(images: FeatureSet, n_clusters: int, tools: Tools) -> Tensor:
    """Cluster of each image by TEMI, int64 (n,); goes on from the checkpoint that a stopped run left.

    Args:
        images: the set, of four images and more.
        n_clusters: C.
        tools: of the run, whose folder takes the checkpoint.
    """
    without_noise()
    data, module = FeaturePairs(images, tools.seed), TEMIModule(n_clusters, seed=tools.seed, **HEADS)
    trainer = L.Trainer(
        accelerator="gpu" if tools.device.type == "cuda" else "cpu",
        devices=1,
        max_epochs=EPOCHS,
        default_root_dir=tools.folder,
        callbacks=[RunCheckpoint(every_n_epochs=10), SafeStop()],
        logger=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        deterministic=True,
        log_every_n_steps=1,
    )

    try:
        if left := checkpoint_of(trainer, module, data):
            print(f"reusing {left}: training goes on from there, finished epochs are not repeated")
        with _without_news():
            trainer.fit(module, data, ckpt_path=left)
    except SIGTERMException:
        raise SystemExit(TERMINATED) from None
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):  # Lightning turns Ctrl-C into exit(1)
            raise KeyboardInterrupt from None
        raise
    return module.to(tools.device).assign(images.features.image[:])
