"""SynOOD's two trainings on stored features: an adapter of image features, then the embeddings of used negatives.

Source: Li et al., ICCV 2025, https://arxiv.org/abs/2507.10225, and its code; the synthetic pictures are given.
Differs: on unit-norm image features unless `own_length`; the code's are as the projection leaves them, some ten times
    longer. Before it is trained, the adapter's part of the sum therefore hides a unit-norm feature: on the built-in
    pictures some 150 steps passed until held-out ID pictures were named as well as without it; ten times longer
    features began higher and ended alike. 50 ID and 50 synthetic pictures of each of 1,000 classes are 2,300 steps in
    3 epochs: a small set needs more `image_epochs`. One set of prompts for names and negatives, the run's; the code
    takes `a nice {}` for names. Negatives of several templates begin as their ensemble's unit vector times the mean
    length of its sentences, in float32, where the code tunes them in the tower's float16. All ID pictures of the given
    set are shown; the code takes 50 a class.
"""

from typing import Any, Literal, cast

import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_info
from torch import Tensor, nn

from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.words import Corpus
from ood_lightning.data.artifacts.features import Features, FeatureSet
from ood_lightning.datamodules.contracts import Side, SyntheticData, data_of
from ood_lightning.detectors.synood import texts_sha256
from ood_lightning.encoders.base import Encoder
from ood_lightning.errors import SettingsError
from ood_lightning.functional.similarity import unit
from ood_lightning.functional.synood import Adapter, image_side_loss, nearest_used, text_side_loss
from ood_lightning.functional.temi import cosine
from ood_lightning.label_sets.base import LabelSource
from ood_lightning.label_sets.id_names import NamesCheck
from ood_lightning.label_sets.training_images import nearest_words
from ood_lightning.modules.label_set_training import LabelSetTraining, Trained
from ood_lightning.places import FEATURES
from ood_lightning.progress import bar
from ood_lightning.ranges import Count, NotNegative, Positive, Seed, in_range

BLOCK = 8192  # pictures that are labelled at once


class SynOODModule(LabelSetTraining):
    """First `image_epochs` of the adapter on all pictures, then `text_epochs` of the negatives on synthetic ones.

    The rate of each side falls along half a cosine from epoch to epoch, as in the code, so its end is never reached.

    Args:
        encoder: the data module's, by a link.
        corpus: words that the label set may refer to.
        label_set: true names and negatives; the detector reads the same set.
        prompts: templates around each word.
        id_targets: what the ID pictures are named by: their `.cls` labels, or CLIP's own nearest ID name.
        image_epochs: of the adapter.
        text_epochs: of the negatives.
        image_lr: Adam's rate in the first epoch.
        image_min_lr: end of its cosine; the text side's is 0.
        text_lr: rate of SGD with momentum 0.9 in its first epoch.
        weight_decay: of both, added to the gradient.
        seed: of the adapter's initial weights.
        cache_dir: folder of all features.
        names_check: what to do where the label set is given names that are not those of the ID set's manifest.
        own_length: show the adapter image features at the projection's own length, as the code does
            (`data.encoder.extra_features: [length]`); the detector then says so too. The text side is shown unit ones.
    """

    texts: Tensor  # (P + used negatives, D), unit-norm; classes of the image side

    @in_range
    def __init__(
        self,
        encoder: Encoder,
        corpus: Corpus,
        label_set: LabelSource | str,
        prompts: Prompts = Prompts(),  # noqa: B008
        id_targets: Literal["labels", "pseudo_labels"] = "labels",
        image_epochs: Count = 3,
        text_epochs: Count = 5,
        image_lr: Positive = 1e-3,
        image_min_lr: NotNegative = 1e-5,
        text_lr: Positive = 2e-2,
        weight_decay: NotNegative = 1e-5,
        seed: Seed = 0,
        cache_dir: str = FEATURES,
        names_check: NamesCheck = "refuse",
        own_length: bool = False,
    ) -> None:
        super().__init__(encoder, corpus, label_set, prompts, cache_dir, names_check)
        self.own_length = own_length
        self.id_targets, self.image_epochs, self.text_epochs = id_targets, image_epochs, text_epochs
        self.image_lr, self.image_min_lr, self.text_lr = image_lr, image_min_lr, text_lr
        self.weight_decay, self.seed = weight_decay, seed
        self.automatic_optimization = False  # two optimisers, one after the other

    @property
    def settings(self) -> dict[str, Any]:
        """What a fit depends on; a run goes on only from a checkpoint with the same."""
        rates = ("image_lr", "image_min_lr", "text_lr", "weight_decay")
        others = ("id_targets", "image_epochs", "text_epochs", "seed")
        # None as in checkpoints from before it could be chosen
        return {name: getattr(self, name) for name in (*others, *rates)} | {"own_length": self.own_length or None}

    def prepare_data(self) -> None:
        """Check the settings; Lightning calls this before pictures are embedded."""
        if self.own_length and "length" not in self.encoder.extra_features:
            raise SettingsError("own_length reads the lengths of features: give data.encoder.extra_features: [length]")
        epochs = self.image_epochs + self.text_epochs
        if self.trainer.max_epochs != epochs:
            raise SettingsError(
                f"trainer.max_epochs is {self.trainer.max_epochs}, image_epochs and text_epochs make {epochs}: set it "
                f"to that"
            )
        reload: int = self.trainer.reload_dataloaders_every_n_epochs  # type: ignore[attr-defined]
        if reload != 1:
            raise SettingsError(
                f"trainer.reload_dataloaders_every_n_epochs is {reload}, expected 1: the two sides show other pictures"
            )

    def setup(self, stage: str) -> None:
        """Label every image, and begin the adapter and the embeddings."""
        data = data_of(self.trainer, SyntheticData, self)
        id_set = FeatureSet(data.manifests[0], data.id)
        ready = self._read_label_set(id_set, data.manifests)
        self._manifests, self.negatives = data.manifests, ready.texts.negatives
        if not self.negatives:
            raise SettingsError("SynOOD tunes negatives, its label set has none: use MinedNegatives for one")

        # each synthetic image stands for its nearest negative; only the negatives in use are tuned
        positives, negatives, self.logit_scale = ready.features
        synthetic, device = data.synthetic.image.to("cpu"), negatives.device
        self.used, of_used = (part.cpu() for part in nearest_used(unit(synthetic).to(device), negatives, BLOCK))
        rank_zero_info(f"{len(synthetic):,} synthetic pictures use {len(self.used):,} of {len(negatives):,} negatives")

        # classes of the image side: P names, then the used negatives
        classes = torch.cat([self._id_classes(id_set, positives), len(positives) + of_used])
        image = torch.cat([data.id.image.to("cpu"), synthetic])
        if self.own_length:
            image = unit(image) * torch.cat([_lengths(one) for one in (data.id, data.synthetic)])
        image_side = Side(self.image_epochs, image, classes, unit_norm=not self.own_length)
        data.train_on([image_side, Side(self.text_epochs, synthetic, of_used)])

        start = negatives[self.used.to(device)]
        self.register_buffer("texts", torch.cat([positives, start]), persistent=False)
        self._begin(start)

    def _id_classes(self, id_set: FeatureSet, positives: Tensor) -> Tensor:
        """Row of the positives for each ID image, int64, shape (n,)."""
        image, label, name = id_set.features.image, id_set.features.label, id_set.features.name
        nearest = nearest_words(image, positives, positives.device).indices
        if self.id_targets == "pseudo_labels":
            return nearest

        if unknown := int((label < 0).sum()):
            raise SettingsError(
                f"{unknown} of the {len(label)} pictures of set {name!r} have no label (.cls): give labelled ones, or "
                f"set id_targets to pseudo_labels"
            )
        classes = max(int(label.max()) + 1, len(id_set.manifest.class_names))
        if classes > len(positives):
            raise SettingsError(
                f"set {name!r} has {classes} classes, the label set {len(positives)} names: name k must be that of "
                f"label k"
            )

        agreeing = (nearest == label).double().mean()
        rank_zero_info(f"CLIP's nearest name is the labelled one for {agreeing:.1%} of the pictures of {name}")
        return label

    def _begin(self, negatives: Tensor) -> None:
        """Parameters: a fresh adapter, and the used negatives at the length that the text tower gave them."""
        dim = negatives.shape[1]
        bound = dim**-0.5  # as nn.Linear draws
        draw = torch.Generator().manual_seed(self.seed)  # the global one has drawn more where features were not cached
        self.adapter = nn.ParameterDict(
            {
                "weight": torch.empty(dim, dim).uniform_(-bound, bound, generator=draw),
                "bias": torch.empty(dim).uniform_(-bound, bound, generator=draw),
                "gain": torch.ones(dim),
                "shift": torch.zeros(dim),
            }
        )

        texts = [text for row in self.used.tolist() for text in self.prompts.fill(self.negatives[row])]
        with bar(len(texts), "length of used negatives", "text") as progress_bar:
            encoded = self.encoder.encode_text(texts, progress_bar.update)
        length = encoded.norm(dim=1).view(len(negatives), -1).mean(dim=1, keepdim=True)
        self.tuned = nn.Parameter(negatives * length.to(negatives.device))

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """One step of the side whose turn it is."""
        epoch, image, target = self.current_epoch, batch["image"], batch["target"]
        adam, sgd = cast(list[torch.optim.Optimizer], self.optimizers())
        if epoch < self.image_epochs:
            adapter = Adapter(*(self.adapter[name] for name in Adapter._fields))
            loss = image_side_loss(image, target, self.texts, adapter, self.logit_scale)
            rate = cosine(epoch, total=self.image_epochs + 1, start=self.image_lr, end=self.image_min_lr)
            optimizer, name = adam, "fit/image_loss"
        else:
            loss = text_side_loss(image, target, self.tuned, self.logit_scale)
            rate = cosine(epoch - self.image_epochs, total=self.text_epochs + 1, start=self.text_lr, end=0.0)
            optimizer, name = sgd, "fit/text_loss"

        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()
        self.log(name, loss, prog_bar=True, on_epoch=True, on_step=False, batch_size=len(target))

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Adam of the adapter, SGD of the negatives; the rates are set in every step."""
        return [
            torch.optim.Adam(self.adapter.parameters(), lr=self.image_lr, weight_decay=self.weight_decay),
            torch.optim.SGD([self.tuned], lr=self.text_lr, momentum=0.9, weight_decay=self.weight_decay),
        ]

    def trained(self) -> Trained:
        """What the detector needs."""
        labels = ["id_labels"] if self.id_targets == "labels" else []
        id_set, synthetic = self._manifests
        provenance = {
            "encoder": self.encoder.fingerprint,
            "prompts": self.prompts.fingerprint,
            "labels": texts_sha256(self.label_set.words, self.negatives),
            "supervision": [*labels, "id_images", "synthetic_ood"],
            "own_length": self.own_length,
            "id_set": f"{id_set.name}-{id_set.fingerprint}",
            "synthetic_set": f"{synthetic.name}-{synthetic.fingerprint}",
        }
        tensors = {**self.adapter, "used": self.used, "tuned": self.tuned}
        return Trained(tensors, provenance, f"head with {len(self.used)} tuned negatives")


def _lengths(features: Features) -> Tensor:
    """Of the image features, (n, 1)."""
    return features.columns["length"].rows(0, len(features))
