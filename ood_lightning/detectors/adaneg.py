"""AdaNeg: NegLabel with proxies that images of the test stream pull away from the words.

    S(x) = S_ada(x) + lambda S_nl(x)
    S_nl(x)  = mean_g  sum_P exp(s h.z) / ( sum_P exp(s h.z) + sum_{N_g} exp(s h.z) )      z: text features
    S_ada(x) = the same with proxies v:  v_j = unit( mean over slots F_jl ),  or, `sample_adaptive`,
               v_j(x) = unit( sum_l exp(-beta (1 - h.F_jl)) F_jl )

Slot 0 of label j is its text; L more hold images. Before a batch is scored by S_ada, its confident images are filed one
by one, under the nearest positive where S_nl > gamma + g (1 - gamma), under the nearest negative where S_nl < gamma -
g gamma. Where all slots are taken, the image replaces the one of largest entropy (softmax over the positives, or over
the negatives) if its own is smaller, and is left out otherwise. So scores depend on order and size of the batches.

Source: Zhang and Zhang, NeurIPS 2024, https://arxiv.org/abs/2410.20149, and its code, which adds
    lambda times the static score.
Differs: the log-odds of S / (1 + lambda) are returned, strictly monotone in S and not rounded to it being 1 + lambda;
    float64 where the code computes in float16; all L slots are filled, the code leaves the last one empty
    (`spare_slot`); beta is 5.5 as configured, the code casts it to 5; the permutation before grouping is
    drawn on the CPU.
Expected: ImageNet, ViT-B/16, mean AUROC / FPR95 over iNaturalist, SUN, Places, Textures 96.66 / 18.92 in the paper.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from ood_lightning.detectors.evidence import Evidence, LabelFeatures
from ood_lightning.detectors.stream import Stream, StreamDetector
from ood_lightning.errors import SettingsError
from ood_lightning.functional.confidence import negative_entropy
from ood_lightning.functional.grouping import group_members, mean_share_log_odds
from ood_lightning.functional.similarity import cosines, top_k, unit

_PIECE = 2**22  # float64 numbers held at once: 32 MiB


@dataclass(frozen=True)
class AdaNeg(StreamDetector):
    """Log-odds of the adaptive share plus lambda times the static share, in nats.

    Memory beside the label set: (P + N) * slots * D * 4 bytes.

    Args:
        labels: name of a label set with negatives, ordered from the least similar one on.
        groups: of negatives; the last `N mod groups` are dropped and have no slots.
        permutation_seed: of the shuffle before grouping; None keeps the order.
        sharpness: times the encoder's own logit_scale.
        slots: L, images kept per label.
        gamma: static share that parts ID from OOD, in (0, 1).
        gap: g, width of the unsure band around gamma, from 0 (none) to 1 (all).
        weight: lambda, of the static share; 0 or more.
        sample_adaptive: weigh the slots by their likeness to the image that is scored.
        beta: sharpness of these weights; the official code runs with 5.
        spare_slot: keep the last slot empty, as the official code does.
    """

    needs_negatives: ClassVar[bool] = True

    labels: str = "neglabel"
    groups: int = 5
    permutation_seed: int | None = 0
    sharpness: float = 1.0
    slots: int = 10
    gamma: float = 0.5
    gap: float = 0.5
    weight: float = 0.1
    sample_adaptive: bool = False
    beta: float = 5.5
    spare_slot: bool = False

    def __post_init__(self) -> None:
        if self.slots - self.spare_slot < 1:
            raise SettingsError(
                f"AdaNeg has {self.slots} slots, of which {int(self.spare_slot)} stays empty: give more"
            )
        if not (0 < self.gamma < 1 and 0 <= self.gap <= 1 and self.weight >= 0):
            raise SettingsError(
                f"AdaNeg has gamma {self.gamma}, gap {self.gap}, weight {self.weight}: expected gamma in (0, 1), "
                f"gap in [0, 1] and a weight of 0 or more"
            )

    def open(self, evidence: Evidence) -> Stream:
        """A memory that holds the texts and no image."""
        return Proxies(self, evidence.labels(self.labels))


class Proxies:
    """A stream's state: a memory of confident images for every label.

    Args:
        settings: the detector.
        labels: on the device of the images.
    """

    def __init__(self, settings: AdaNeg, labels: LabelFeatures) -> None:
        self.settings, self.scale = settings, settings.sharpness * labels.logit_scale
        self.members = group_members(len(labels.negatives), settings.groups, settings.permutation_seed)
        self.members = self.members.to(labels.negatives.device)
        self.positives, self.negatives = labels.positives, labels.negatives[: self.members.numel()]
        self.memory = ImageMemory(torch.cat([self.positives, self.negatives]), settings.slots - settings.spare_slot)

    def __call__(self, features: Tensor) -> Tensor:
        """Scores, shape (b,), after the batch's confident images were filed."""
        near, far = cosines(features, self.positives), cosines(features, self.negatives)
        static = self._odds(near, far)
        self._file(features, near, far, static.sigmoid())
        if self.settings.sample_adaptive:
            proxies = self.memory.adaptive_cosines(features, self.settings.beta)
        else:
            proxies = cosines(features, self.memory.proxies)
        adaptive = self._odds(*proxies.split([len(self.positives), len(self.negatives)], dim=1))
        return _sum_log_odds(adaptive, static, self.settings.weight)

    def _odds(self, near: Tensor, far: Tensor) -> Tensor:
        """Log-odds of the grouped share of the positives."""
        mass = (self.scale * near.double()).logsumexp(dim=1)
        masses = (self.scale * far.double())[:, self.members].logsumexp(dim=2)
        return mean_share_log_odds(mass[:, None] - masses)

    def _file(self, features: Tensor, near: Tensor, far: Tensor, share: Tensor) -> None:
        gamma, gap = self.settings.gamma, self.settings.gap
        is_id, is_ood = share > gamma + gap * (1 - gamma), share < gamma - gap * gamma
        sure = (is_id | is_ood).nonzero()[:, 0]
        chosen, is_id = features[sure], is_id[sure]
        rows = torch.where(
            is_id,
            top_k(chosen, self.positives, 1).indices[:, 0],
            top_k(chosen, self.negatives, 1).indices[:, 0] + len(self.positives),
        )
        inside, outside = (-negative_entropy(self.scale * side[sure].double()) for side in (near, far))
        self.memory.add(chosen, rows, torch.where(is_id, inside, outside))


class ImageMemory:
    """Slot 0 of every label is its text and stays; the others take images, the surest of each label.

    Args:
        texts: unit vectors, shape (V, D).
        slots: images per label, at least 1.

    Attributes:
        proxies: unit mean of each label's slots, shape (V, D); the texts while no image is kept.
        images: shape (V, slots, D); zero where none is kept.
        filled: number of images of each label that has any.
    """

    def __init__(self, texts: Tensor, slots: int) -> None:
        self.texts, self.slots = texts, slots
        self.proxies = texts.clone()
        self.images = texts.new_zeros(len(texts), slots, texts.shape[1])
        self._entropies: dict[int, list[float]] = {}

    @property
    def filled(self) -> dict[int, int]:
        """Images kept, by label; labels without any are not listed."""
        return {row: len(kept) for row, kept in self._entropies.items()}

    def add(self, features: Tensor, rows: Tensor, entropies: Tensor) -> None:
        """File images one by one, in the order given.

        Where a label's slots are taken, an image replaces the one of largest entropy (of equal ones the first) if its
        own is smaller, and is left out otherwise.

        Args:
            features: unit vectors, shape (b, D).
            rows: label of each image, int64, shape (b,).
            entropies: how unsure each image is, shape (b,).
        """
        placed: dict[tuple[int, int], int] = {}  # the last image to be put into a slot is the one that stays
        for image, (row, entropy) in enumerate(zip(rows.tolist(), entropies.tolist(), strict=True)):
            kept = self._entropies.setdefault(row, [])
            if len(kept) < self.slots:
                kept.append(entropy)
                placed[row, len(kept) - 1] = image
                continue
            largest = max(kept)
            if entropy < largest:
                slot = kept.index(largest)
                kept[slot] = entropy
                placed[row, slot] = image
        if not placed:
            return
        where = torch.tensor(list(placed), device=self.images.device)
        self.images[where[:, 0], where[:, 1]] = features[torch.tensor(list(placed.values()), device=features.device)]
        changed = where[:, 0].unique()
        total = self.texts[changed].double() + self.images[changed].double().sum(dim=1)
        self.proxies[changed] = unit(total).to(self.proxies.dtype)

    def adaptive_cosines(self, features: Tensor, beta: float) -> Tensor:
        """Cosines to ``unit(sum_l exp(-beta (1 - h.F_l)) F_l)``, float64, shape (b, V).

        The proxies of an image are never held: with the weights w and the Gram matrix G of a label's slots, the cosine
        is ``w.(h.F) / sqrt(w' G w)``. Empty slots are zero vectors and add nothing.
        """
        found = cosines(features, self.texts).double()
        rows = torch.tensor(list(self._entropies), dtype=torch.int64, device=features.device)
        for some in rows.split(max(1, _PIECE // ((self.slots + 1) * (len(features) + self.texts.shape[1]) + 1))):
            slots = torch.cat([self.texts[some, None], self.images[some]], dim=1).double()  # (v, S, D)
            likeness = torch.einsum("bd,vsd->vbs", features.double(), slots)
            weights = (-beta * (1 - likeness)).exp()
            squared = (weights @ (slots @ slots.mT) * weights).sum(dim=2)
            found[:, some] = ((weights * likeness).sum(dim=2) / squared.sqrt()).T
        return found


def _sum_log_odds(adaptive: Tensor, static: Tensor, weight: float) -> Tensor:
    """Log-odds of (sigmoid(adaptive) + weight * sigmoid(static)) / (1 + weight)."""
    if weight == 0:
        return adaptive
    shift = math.log(weight)
    yes = torch.logaddexp(logsigmoid(adaptive), shift + logsigmoid(static))
    return yes - torch.logaddexp(logsigmoid(-adaptive), shift + logsigmoid(-static))
