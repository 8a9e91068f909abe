"""PLP: a linear probe trained on the labels that CLIP itself gives to unlabelled ID pictures.

Source: Adaloglou et al., TMLR 2024, https://arxiv.org/abs/2303.05828, and its code.
Differs: on projected, unit-norm features unless `features: tower`, which the code takes. The code's linear scaling
    of the learning rate is overwritten in every step and has no effect; here it is left out. The rate has its peak for
    one step and ends at 0; the code's has it for two and ends a step short of 0 (`functional.temi.warmup_cosine`). A
    constant dimension stays 0, the code divides it by 0. Prompts are the run's, the code's are in
    `configs/prompts/ming5.yaml`.
"""

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.words import Corpus
from ood_lightning.data.artifacts.features import FeatureSet
from ood_lightning.datamodules.contracts import TargetData, data_of
from ood_lightning.detectors.plp import names_sha256
from ood_lightning.encoders.base import Encoder
from ood_lightning.errors import SettingsError
from ood_lightning.functional.moments import moments
from ood_lightning.functional.temi import warmup_cosine
from ood_lightning.label_sets.base import LabelSource
from ood_lightning.label_sets.id_names import NamesCheck
from ood_lightning.label_sets.training_images import nearest_words
from ood_lightning.modules.label_set_training import LabelSetTraining, Trained
from ood_lightning.places import FEATURES
from ood_lightning.ranges import NotNegative, Positive, Seed, in_range


class ProbeModule(LabelSetTraining):
    """Multinomial regression from standardised features to pseudo-labels.

    Args:
        encoder: the data module's, by a link.
        corpus: words that the label set may refer to.
        label_set: whose positives are the classes: true names (PLP), or mined ones (ClusterMine + PLP).
        prompts: templates around each word.
        lr: peak rate, after a tenth of all steps; then half a cosine to 0.
        weight_decay: Adam's own, added to the gradient.
        seed: of the initial weights; 42 in PLP's code.
        cache_dir: folder of all features.
        features: inputs of the probe: `image`, projected and unit-norm, or `tower`, before the projection
            (`data.encoder.extra_features: [tower]`).
        names_check: what to do where the label set is given names that are not those of the ID set's manifest.
    """

    feature_mean: Tensor
    feature_std: Tensor

    @in_range
    def __init__(
        self,
        encoder: Encoder,
        corpus: Corpus,
        label_set: LabelSource | str,
        prompts: Prompts = Prompts(),  # noqa: B008
        lr: Positive = 1e-3,
        weight_decay: NotNegative = 1e-3,
        seed: Seed = 42,
        cache_dir: str = FEATURES,
        features: Literal["image", "tower"] = "image",
        names_check: NamesCheck = "refuse",
    ) -> None:
        super().__init__(encoder, corpus, label_set, prompts, cache_dir, names_check)
        self.lr, self.weight_decay, self.seed, self.features = lr, weight_decay, seed, features

    @property
    def settings(self) -> dict[str, Any]:
        """What a fit depends on; a run goes on only from a checkpoint with the same."""
        return {"lr": self.lr, "weight_decay": self.weight_decay, "seed": self.seed, "features": self.features}

    def setup(self, stage: str) -> None:
        """Name every image, take the features' mean and deviation, and begin the probe."""
        if self.features not in ("image", *self.encoder.extra_features):
            raise SettingsError(
                f"the probe reads {self.features} features: give data.encoder.extra_features: [{self.features}]"
            )
        data = data_of(self.trainer, TargetData, self)
        image, (manifest,) = data.features.image, data.manifests

        ready = self._read_label_set(FeatureSet(manifest, data.features), data.manifests)
        names = ready.positives.features  # (P, D)
        targets = nearest_words(image, names, names.device).indices
        features = image if self.features == "image" else data.features.columns[self.features].rows(0, len(image))
        data.train_on(features, targets)

        of_set = moments(features)
        self.register_buffer("feature_mean", of_set.mean.float())
        self.register_buffer("feature_std", of_set.deviation.clamp_min(1e-12).float())  # a constant would give NaN
        self.probe = self._fresh_probe(features.shape[1], len(names))

    def _fresh_probe(self, dim: int, n_classes: int) -> nn.Linear:
        """A linear layer whose weights depend on the seed alone."""
        probe = nn.Linear(dim, n_classes)
        draw = torch.Generator().manual_seed(self.seed)  # the global one has drawn more where features were not cached
        with torch.no_grad():
            for parameter in probe.parameters():
                parameter.uniform_(-(dim**-0.5), dim**-0.5, generator=draw)
        return probe

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Cross-entropy of the probe against the pseudo-labels."""
        standardised = (batch["image"] - self.feature_mean) / self.feature_std  # (B, D)
        loss = cross_entropy(self.probe(standardised), batch["target"])
        self.log("fit/probe_loss", loss, on_epoch=True, on_step=False, batch_size=len(batch["target"]))
        return loss

    def configure_optimizers(self) -> Any:
        """Adam with coupled weight decay; the rate is a function of the step alone."""
        total = int(self.trainer.estimated_stepping_batches)
        warmup = max(total // 10, 1)
        optimizer = torch.optim.Adam(self.probe.parameters(), lr=self.lr, weight_decay=self.weight_decay)
        rate = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: warmup_cosine(step, total=total, warmup=warmup, peak=1.0)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": rate, "interval": "step"}}

    def trained(self) -> Trained:
        """What the detector needs."""
        tensors = {
            "weight": self.probe.weight,
            "bias": self.probe.bias,
            "mean": self.feature_mean,
            "std": self.feature_std,
        }
        provenance = {
            "encoder": self.encoder.fingerprint,
            "features": self.features,
            "names": names_sha256(self.label_set.words),
        }
        return Trained(tensors, provenance, f"probe over {len(self.probe.weight)} names")
