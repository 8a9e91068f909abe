"""PLP: a linear probe trained on the labels that CLIP itself gives to unlabelled ID pictures.

Source: Adaloglou et al., TMLR 2024, https://arxiv.org/abs/2303.05828, and its code.
Differs: on projected, unit-norm features unless `features: tower`, which the code takes. The code's linear scaling
    of the learning rate is overwritten in every step and has no effect; here it is left out.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.words import Corpus
from ood_lightning.encoders.base import Encoder
from ood_lightning.errors import SettingsError
from ood_lightning.functional.temi import warmup_cosine
from ood_lightning.label_sets.nearest import nearest_words
from ood_lightning.label_sets.sources import LabelSource
from ood_lightning.modules.label_set_training import LabelSetTraining
from ood_lightning.places import FEATURES


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
    """

    feature_mean: Tensor
    feature_std: Tensor

    def __init__(
        self,
        encoder: Encoder,
        corpus: Corpus,
        label_set: LabelSource | str,
        prompts: Prompts = Prompts(),  # noqa: B008
        lr: float = 1e-3,
        weight_decay: float = 1e-3,
        seed: int = 42,
        cache_dir: str = FEATURES,
        features: Literal["image", "tower"] = "image",
    ) -> None:
        super().__init__(encoder, corpus, label_set, prompts, cache_dir)
        self.lr, self.weight_decay, self.seed, self.features = lr, weight_decay, seed, features
        self.probe: nn.Linear | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """What a fit depends on; a run goes on only from a checkpoint with the same."""
        return {"lr": self.lr, "weight_decay": self.weight_decay, "seed": self.seed, "features": self.features}

    def setup(self, stage: str) -> None:
        """Name every picture, take the features' mean and deviation, and begin the probe."""
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        if self.features not in ("image", *self.encoder.extra_features):
            raise SettingsError(
                f"the probe reads {self.features} features: give data.encoder.extra_features: [{self.features}]"
            )
        _, (names, *_) = self._labels()
        image = data.features.image
        data.targets = nearest_words(image, names, names.device).indices
        inputs = image if self.features == "image" else data.features.columns[self.features].rows(0, len(image))
        data.inputs = inputs
        deviation, mean = torch.std_mean(inputs.double(), dim=0)
        self.register_buffer("feature_mean", mean.float())
        self.register_buffer("feature_std", deviation.clamp_min(1e-12).float())  # a constant dimension would give NaN
        self.probe = nn.Linear(inputs.shape[1], len(names))
        draw = torch.Generator().manual_seed(self.seed)  # the global one has drawn more where features were not cached
        with torch.no_grad():
            for parameter in self.probe.parameters():
                parameter.uniform_(-(inputs.shape[1] ** -0.5), inputs.shape[1] ** -0.5, generator=draw)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Cross-entropy of the probe against the pseudo-labels."""
        assert self.probe is not None
        loss = cross_entropy(self.probe((batch["input"] - self.feature_mean) / self.feature_std), batch["target"])
        self.log("fit/probe_loss", loss, on_epoch=True, on_step=False, batch_size=len(batch["target"]))
        return loss

    def configure_optimizers(self) -> Any:
        """Adam with coupled weight decay; the rate is a function of the step alone."""
        assert self.probe is not None
        total = int(self.trainer.estimated_stepping_batches)
        warmup = max(total // 10, 1)
        optimizer = torch.optim.Adam(self.probe.parameters(), lr=self.lr, weight_decay=self.weight_decay)
        rate = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: warmup_cosine(step, total=total, warmup=warmup, peak=1.0)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": rate, "interval": "step"}}
