"""What the trainings of PLP's probe and SynOOD's head share: a label set, and what a checkpoint was made from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import lightning.pytorch as L

from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.texts import TextBank
from ood_lightning.corpora.words import Corpus
from ood_lightning.data.artifacts.label_set import LabelSet
from ood_lightning.detectors.evidence import LabelFeatures
from ood_lightning.encoders.base import Encoder
from ood_lightning.errors import SettingsError
from ood_lightning.label_sets.features import label_features
from ood_lightning.label_sets.sources import LabelSource, Stored, Vocabulary
from ood_lightning.label_sets.vocabulary import build_vocabularies

MADE_FROM = "ood_lightning_made_from"


class LabelSetTraining(L.LightningModule):
    """Base of trainings that name pictures by the texts of a label set.

    Args:
        encoder: the data module's, by a link.
        corpus: words that the label set may refer to.
        label_set: a path stands for a label set on disk.
        prompts: templates around each word.
        cache_dir: folder of all features.
    """

    label_set: LabelSet

    def __init__(
        self, encoder: Encoder, corpus: Corpus, label_set: LabelSource | str, prompts: Prompts, cache_dir: str
    ) -> None:
        super().__init__()
        self.encoder, self.corpus, self.prompts, self.cache_dir = encoder, corpus, prompts, cache_dir
        self.source = Stored(label_set) if isinstance(label_set, str) else label_set

    def _labels(self) -> tuple[Vocabulary, LabelFeatures]:
        """Make or read the label set; its texts' features lie on the trainer's device."""
        device = self.trainer.strategy.root_device
        self.encoder.load(device)
        bank = TextBank(self.encoder, self.cache_dir)
        vocabulary = build_vocabularies({"": self.source}, self.corpus, self.prompts, bank)[""]
        self.prompts = vocabulary.prompts  # the set's own, where it brings some
        self.label_set = self.source.label_set(vocabulary)
        return vocabulary, label_features(self.label_set, vocabulary, self.encoder.logit_scale, device)

    def _made_from(self) -> dict[str, str]:
        """Hashes of what the training reads; a file that a setting names may have changed since."""
        recipe = {key: value for key, value in self.label_set.recipe.items() if key != "versions"}
        manifests = self.trainer.datamodule.manifests  # type: ignore[attr-defined]
        return {
            "label set": replace(self.label_set, recipe=recipe).sha256,
            "prompts": self.prompts.fingerprint,
            **{f"set {manifest.name}": manifest.fingerprint for manifest in manifests},
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Say what the weights were made from."""
        checkpoint[MADE_FROM] = self._made_from()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse weights that were made from something else, before they come.

        Raises:
            SettingsError: naming it.
        """
        before = checkpoint.get(MADE_FROM, {})
        if other := [what for what, value in self._made_from().items() if before.get(what) != value]:
            raise SettingsError(
                f"the checkpoint to go on from was made from other content ({', '.join(other)}). Give this run a "
                f"folder of its own with --trainer.default_root_dir, or remove the old one."
            )
