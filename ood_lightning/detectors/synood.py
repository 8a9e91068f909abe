"""SynOOD: NegLabel's score of adapted image features against negatives tuned on synthetic images.

    f' = f + relu(layer_norm(W f + b)),   S(x) = mean_g  sum_P e^(s c(f', y)) / ( sum_P e^(s c(f', y)) + sum_{N_g} ... )

where the embeddings of the negatives that are the label of at least one synthetic image are the tuned ones.

Source: Li et al., ICCV 2025, https://arxiv.org/abs/2507.10225, and its code; trained by
    `fit --config configs/synood.yaml` from synthetic images that the user has. The code of the inference was announced
    and is not to be had here: this rule is inferred from the two trainings, and the score is unverified.
Differs: on unit-norm features unless `own_length`: the code feeds the adapter what leaves the projection. The log-odds
    of the mean are returned, as in NegLabel. One set of prompts, the run's.
Expected: ImageNet, ViT-B/16, AUROC / FPR95 on iNaturalist 99.57 / 1.57, Textures 95.29 / 22.94, near-OOD 77.6 / 71.7,
    far-OOD 96.2 / 17.1, with the authors' synthetic images; not run by us.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from ood_lightning.data.artifacts.store import opened
from ood_lightning.detectors.base import Detector, Scorer
from ood_lightning.detectors.evidence import Evidence
from ood_lightning.errors import SettingsError
from ood_lightning.functional.synood import Adapter, adapted_log_odds
from ood_lightning.places import expanded
from ood_lightning.ranges import Count, Positive, Seed

STATED = frozenset({"encoder", "prompts", "labels", "supervision"})  # what a head says of itself
TRAIN = "fit --config configs/synood.yaml"
HEAD = (*Adapter._fields, "used", "tuned")  # tensors of a head; the last two: rows of negatives, and their embeddings


def texts_sha256(positives: Sequence[str], negatives: Sequence[str]) -> str:
    """Hash of a label set's words in their order: what the rows of a head mean."""
    return hashlib.sha256(json.dumps([list(positives), list(negatives)]).encode()).hexdigest()


@dataclass(frozen=True)
class SynOOD(Detector):
    """Log-odds, in nats, of the mean share of the positives over groups of negatives, after the trained head.

    Args:
        labels: name of the label set that the head was trained with.
        head: `head.safetensors` of a fit; the detector is listed as not run where there is none.
        groups: as NegLabel's; the last `N mod groups` negatives are dropped, tuned or not. 1: no grouping.
        permutation_seed: of the shuffle before grouping; None keeps the order.
        sharpness: times the encoder's own logit_scale.
        own_length: the head was trained on image features at the projection's own length
            (`data.encoder.extra_features: [length]`).
    """

    needs_negatives: ClassVar[bool] = True
    trained: ClassVar[str] = "head"

    labels: str = "neglabel"
    head: str = ""
    groups: Count = 100
    permutation_seed: Seed | None = 0
    sharpness: Positive = 1.0
    own_length: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """Features of the image, and their lengths where the adapter takes them."""
        return ("image", "length") if self.own_length else ("image",)

    @property
    def supervision(self) -> frozenset[str]:
        """What the head was trained from, as its file says: `id_labels` only if true labels named the ID images."""
        return frozenset(self._read()[1]["supervision"])

    def missing(self) -> str:
        """The head, if none is named or there is no such file."""
        if not self.head:
            return f"a SynOOD head ({TRAIN})"
        return "" if expanded(self.head).is_file() else f"a SynOOD head ({TRAIN}): there is no file {self.head}"

    def bind(self, evidence: Evidence) -> Scorer:
        """Read the head, and put its tuned negatives in the place of the label set's.

        Raises:
            SettingsError: if the file is no head, or one of another encoder, other prompts, other labels or features
                of another length.
        """
        tensors, made = self._read()

        ready = evidence.label_sets[self.labels]
        here = {"encoder": evidence.encoder, "prompts": ready.prompts, "labels": texts_sha256(*ready.texts)}
        for what, value in here.items():
            if made[what] != value:
                raise SettingsError(
                    f"{self.head} was trained with {what} {str(made[what])[:16]}, the run has {str(value)[:16]} (label "
                    f"set {self.labels!r}): name in both the same encoder, prompts and labels, or train again"
                )

        if bool(made.get("own_length")) != self.own_length:
            raise SettingsError(f"{self.head} was trained with own_length {not self.own_length}: say the same here")

        labels = ready.features
        *parts, used, tuned = (tensors[name].to(labels.negatives.device) for name in HEAD)
        adapter = Adapter(*parts)

        count, dim = labels.negatives.shape
        shapes = [tuple(part.shape) for part in (*adapter, tuned)]
        expected = [(dim, dim), (dim,), (dim,), (dim,), (len(used), dim)]
        if shapes != expected or not ((used >= 0) & (used < count)).all():
            raise SettingsError(
                f"{self.head} is no SynOOD head for {dim} dimensions and {count} negatives: its tensors are {shapes}, "
                f"or a row of `used` is none of the negatives"
            )

        negatives = labels.negatives.clone()
        negatives[used] = tuned.to(negatives.dtype)

        def score(features: Tensor, length: Tensor | float = 1.0) -> Tensor:
            return adapted_log_odds(
                features.float() * length,
                labels.positives,
                negatives,
                adapter,
                self.sharpness * labels.logit_scale,
                self.groups,
                self.permutation_seed,
            )

        return score

    def _read(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors of the head, and the metadata that says what it was made from."""
        with opened(expanded(self.head), {}, f"train one with `{TRAIN}`", SettingsError) as store:
            tensors = {
                name: store.tensor(name, None, torch.int64 if name == "used" else torch.float32) for name in HEAD
            }
        if missing := STATED - store.provenance.keys():
            raise SettingsError(f"{self.head} is no SynOOD head, without {min(missing)}: train one with `{TRAIN}`")
        if not all(tensor.isfinite().all() for tensor in tensors.values()):
            raise SettingsError(f"{self.head} holds a weight that is not finite: train one with `{TRAIN}`")
        return tensors, store.provenance
