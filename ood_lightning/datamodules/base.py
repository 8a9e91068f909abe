"""What all data modules share: sets are embedded as far as they are missing, then read."""

from collections.abc import Sequence

import lightning.pytorch as L
from lightning.pytorch.utilities.rank_zero import rank_zero_info

from ood_lightning.checks import Check
from ood_lightning.data.artifacts.features import FeatureFolder, Features
from ood_lightning.data.artifacts.precision import FromFP32
from ood_lightning.data.shards.manifest import Manifest, Role
from ood_lightning.data.shards.read_manifest import read_manifest
from ood_lightning.datamodules.checks import SetToEmbed, check_not_empty, readable, set_checks
from ood_lightning.datamodules.embedding import embed
from ood_lightning.encoders.base import Encoder
from ood_lightning.errors import FeatureError, ManifestError, first_line


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

    trainer: L.Trainer  # Lightning sets it before it calls any hook

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
        self.some_unread = False  # pictures were left out, as `max_bad_samples` allows
        self._read_manifests: dict[tuple[str, Role | None], Manifest] = {}

    def checks(self) -> list[Check]:
        """What can be known of the sets before they are embedded."""
        return set_checks(self.encoder, self.cache_dir, self._sets())

    def id_sets(self) -> list[Manifest]:
        """Manifests of the run's ID sets, as far as they can be read before work begins."""
        return [manifest for manifest in readable(self._sets()) if manifest.role == "id"]

    def _sets(self) -> list[SetToEmbed]:
        """The sets that the run embeds."""
        return []

    def _manifest(self, source: str, role: Role | None = None, advice: str = "move it in the config") -> Manifest:
        """Of one of the sets, read once: tars without one are counted for it.

        Args:
            source: of the set.
            role: that the config gives it; None: any.
            advice: what to do where the manifest says otherwise.
        """
        if (source, role) not in self._read_manifests:
            read = read_manifest(source) if role is None else read_role(source, role, advice)
            self._read_manifests[source, role] = read
        return self._read_manifests[source, role]

    def _embedded(self, manifests: list[Manifest], extra_features: Sequence[str] = ()) -> list[FeatureFolder]:
        """Folders of the sets, complete; every rank embeds its share of what is missing."""
        trainer = self.trainer
        for manifest in manifests:
            check_not_empty(manifest)
        folders = [
            FeatureFolder(self.cache_dir, manifest, self.encoder.fingerprint, extra_features) for manifest in manifests
        ]

        for folder in folders:
            if not folder.missing():
                name, n_samples = folder.manifest.name, folder.manifest.n_samples
                rank_zero_info(f"reusing the features of {name}: {n_samples:,} pictures in {folder.path}")

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
        features = folder.read(self.max_bad_samples)
        if features.bad:
            self.some_unread = True
            rank_zero_info(
                f"set {features.name}: {len(features.bad):,} of {folder.manifest.n_samples:,} pictures cannot be "
                f"read and are left out, such as {features.bad[0]!r}"
            )
        return features


def not_patches(extra_features: Sequence[str]) -> tuple[str, ...]:
    """Columns to store of ID training images: no method learns from their patches, 257 GB of ImageNet's."""
    return tuple(name for name in extra_features if name != "patches")


def read_role(source: str, role: Role, advice: str) -> Manifest:
    """Manifest of a set that has a certain role.

    Args:
        source: of the set.
        role: that the config gives it.
        advice: what to do where the manifest says otherwise.

    Raises:
        ManifestError: its manifest says another role.
    """
    manifest = read_manifest(source, role)
    if manifest.role != role:
        raise ManifestError(f"set {manifest.name!r} is given as {role}, its manifest says {manifest.role}: {advice}")
    return manifest
