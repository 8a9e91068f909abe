"""What the trainings of PLP's probe and SynOOD's head share: a label set, and what a checkpoint was made from."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import lightning.pytorch as L
from lightning.pytorch.utilities.rank_zero import rank_zero_info
from torch import Tensor

from ood_lightning.checks import Check
from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.texts import TextBank
from ood_lightning.corpora.words import Corpus
from ood_lightning.data.artifacts.features import FeatureSet
from ood_lightning.data.artifacts.label_set import LabelSet
from ood_lightning.data.shards.manifest import Manifest
from ood_lightning.detectors.evidence import ReadyLabelSet
from ood_lightning.encoders.base import Encoder
from ood_lightning.errors import SettingsError
from ood_lightning.label_sets.base import LabelSource
from ood_lightning.label_sets.checks import inputs_to_come, label_set_checks
from ood_lightning.label_sets.id_names import NamesCheck, with_id_names
from ood_lightning.label_sets.ready import make_label_set
from ood_lightning.label_sets.sources import as_source
from ood_lightning.label_sets.training_images import inputs_of

MADE_FROM = "ood_lightning_made_from"


class Trained(NamedTuple):
    """What a training leaves for its detector.

    Attributes:
        tensors: by the names that the detector reads.
        provenance: what they were made from, as plain data.
        title: for people.
    """

    tensors: dict[str, Tensor]
    provenance: dict[str, Any]
    title: str


class LabelSetTraining(L.LightningModule):
    """Base of trainings that name images by the texts of a label set.

    Args:
        encoder: the data module's, by a link.
        corpus: words that the label set may refer to.
        label_set: a path stands for a label set on disk.
        prompts: templates around each word.
        cache_dir: folder of all features.
        names_check: what to do where the label set is given names that are not those of the ID set's manifest.
    """

    label_set: LabelSet

    def __init__(
        self,
        encoder: Encoder,
        corpus: Corpus,
        label_set: LabelSource | str,
        prompts: Prompts,
        cache_dir: str,
        names_check: NamesCheck,
    ) -> None:
        super().__init__()
        self.encoder, self.corpus, self.prompts, self.cache_dir = encoder, corpus, prompts, cache_dir
        self.source, self.names_check = label_set, names_check

    def checks(self, data: Any) -> list[Check]:
        """What files tell of the label set, before any picture is embedded."""
        bank, sources = TextBank(self.encoder, self.cache_dir), {"of the training": as_source(self.source)}
        available = inputs_to_come(data.id_sets, self.names_check, images=True)
        return label_set_checks(sources, self.corpus, self.prompts, bank, available)

    def _read_label_set(self, id_images: FeatureSet, manifests: Sequence[Manifest]) -> ReadyLabelSet:
        """The label set with its texts' features on the trainer's device.

        Args:
            id_images: the training's ID images, for sources that look at them.
            manifests: of all sets that the training reads; checkpoints remember them.
        """
        device = self.trainer.strategy.root_device
        self.encoder.load(device)
        bank = TextBank(self.encoder, self.cache_dir)
        available = with_id_names(inputs_of(id_images, device), [id_images.manifest], self.names_check)
        made = make_label_set(self.source, self.corpus, self.prompts, bank, available)
        if made.remark:
            rank_zero_info(f"WARNING: {made.remark}")

        self.prompts = made.vocabulary.prompts  # the set's own, where it brings some
        self.label_set = made.label_set
        recipe = {key: value for key, value in self.label_set.recipe.items() if key != "versions"}
        self._made_from: dict[str, str] = {
            # a file that a setting names may have changed since; versions may differ
            "label set": replace(self.label_set, recipe=recipe).sha256,
            "prompts": self.prompts.fingerprint,
            **{f"set {manifest.name}": manifest.fingerprint for manifest in manifests},
        }
        return made.ready(device)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Say what the weights were made from."""
        checkpoint[MADE_FROM] = self._made_from

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse weights that were made from something else, before they come.

        Raises:
            SettingsError: naming it.
        """
        before = checkpoint.get(MADE_FROM, {})
        if other := [what for what, value in self._made_from.items() if before.get(what) != value]:
            raise SettingsError(
                f"the checkpoint to go on from was made from other content ({', '.join(other)}). Give this run a "
                f"folder of its own with --trainer.default_root_dir, or remove the old one."
            )
