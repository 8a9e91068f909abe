"""AdaNeg: NegLabel with proxies that images of the test stream pull away from the words.

    S(x) = S_ada(x) + lambda S_nl(x)
    S_nl(x)  = mean_g  sum_P exp(s h.z) / ( sum_P exp(s h.z) + sum_{N_g} exp(s h.z) )      z: text features
    S_ada(x) = the same with proxies v:  v_j = unit( mean over slots F_jl ),  or, `sample_adaptive`,
               v_j(x) = unit( sum_l exp(-beta (1 - h.F_jl)) F_jl )

Slot 0 of label j is its text; L more slots hold images. Before a batch is scored by S_ada, its confident images are
stored one by one: under the nearest positive where S_nl > gamma + g (1 - gamma), under the nearest negative where
S_nl < gamma - g gamma. Where all slots of a label are taken, the new image replaces the image of largest entropy
(softmax over the positives, or over the negatives) if its own entropy is smaller, and is left out otherwise. So scores
depend on order and size of the batches. Where the groups leave a remainder of the negatives out of the scores, these
have slots too, as in the code: an image that is nearest to one of them changes nothing.

Source: Zhang and Zhang, NeurIPS 2024, https://arxiv.org/abs/2410.20149, and its code, which adds
    lambda times the static score.
Differs: the log-odds of S / (1 + lambda) are returned, strictly monotone in S, and not tied where S rounds to
    1 + lambda; float64 where the code computes in float16. There every entropy is NaN, since 1e-8 is 0 and 0 log 0 no
    number, so that nothing is ever replaced and the first images of a label stay: `replacement: false`, with which
    float64 comes within 0.006 of the code's S on small random inputs; `half` gives its bits. All L slots are filled,
    the code leaves the last one empty (`spare_slot`); beta is 5.5 as configured, the code casts it to 5. The
    permutation before grouping is the code's own, drawn on the CPU from seed 0.
Expected: ImageNet, ViT-B/16, mean AUROC / FPR95 over iNaturalist, SUN, Places, Textures 96.66 / 18.92 in the paper.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, pad

from ood_lightning.detectors.base import Stream, StreamDetector
from ood_lightning.detectors.evidence import Evidence, LabelFeatures
from ood_lightning.errors import SettingsError
from ood_lightning.functional.confidence import negative_entropy
from ood_lightning.functional.grouping import group_members, mean_share_log_odds
from ood_lightning.functional.half import half, half_logits, half_mean_share, half_proxy_logits
from ood_lightning.functional.similarity import cosines, top_k, unit
from ood_lightning.ranges import Count, NotNegative, Positive, Range, Seed, Share

_PIECE = 2**22  # float64 numbers held at once: 32 MiB


@dataclass(frozen=True)
class AdaNeg(StreamDetector):
    """Log-odds of the adaptive share plus lambda times the static share, in nats.

    Memory beside the label set: (P + N) * L * D * 4 bytes.

    Args:
        labels: name of a label set with negatives, ordered from the least similar one on.
        groups: of negatives; the last `N mod groups` are in no group.
        permutation_seed: of the shuffle before grouping; None keeps the order.
        sharpness: times the encoder's own logit_scale.
        images_per_label: L, images kept for each label.
        gamma: static share that parts ID from OOD, in (0, 1).
        gap: g, width of the band around gamma whose images are not stored, from 0 (no band) to 1 (all shares).
        weight: lambda, of the static share; 0 or more.
        sample_adaptive: weigh the slots by their similarity to the image that is scored.
        beta: sharpness of these weights; the official code runs with 5.
        spare_slot: keep the last slot empty, as the official code does.
        replacement: whether a surer image takes the slot of the least sure one where all are taken. The official code
            means to, and in its float16 never does.
        half: return S itself, rounded to float16 after every step as in the official code; nothing is replaced. Many
            images then tie, and it is slow. Only to compare with its numbers.
    """

    needs_negatives: ClassVar[bool] = True

    labels: str = "neglabel"
    groups: Count = 5
    permutation_seed: Seed | None = 0
    sharpness: Positive = 1.0
    images_per_label: Annotated[int, Range(1, 10_000)] = 10
    gamma: Annotated[float, Range(0, 1, True, True)] = 0.5
    gap: Share = 0.5
    weight: NotNegative = 0.1
    sample_adaptive: bool = False
    beta: NotNegative = 5.5
    spare_slot: bool = False
    replacement: bool = True
    half: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.spare_slot and self.images_per_label == 1:
            raise SettingsError("AdaNeg: images_per_label is 1, and spare_slot leaves one empty: expected 2 or more")

    def open(self, evidence: Evidence) -> Stream:
        """A memory that holds the texts and no image."""
        state = HalfProxies if self.half else Proxies
        return state(self, evidence.labels(self.labels))


class Proxies:
    """A stream's state: a memory of confident images for every label.

    Args:
        settings: the detector.
        labels: on the device of the images.
    """

    def __init__(self, settings: AdaNeg, labels: LabelFeatures) -> None:
        self.settings = settings
        self.scale = settings.sharpness * labels.logit_scale

        self.members = group_members(len(labels.negatives), settings.groups, settings.permutation_seed).to(
            labels.negatives.device
        )  # (G, n)
        self.positives, self.negatives = labels.positives, labels.negatives

        texts = torch.cat([self.positives, self.negatives])
        self.memory = ImageMemory(texts, settings.images_per_label - settings.spare_slot, settings.replacement)

    def __call__(self, features: Tensor) -> Tensor:
        """Scores, shape (b,), after the batch's confident images were stored."""
        to_positives = cosines(features, self.positives)  # (b, P)
        to_negatives = cosines(features, self.negatives)  # (b, N)
        static = self._log_odds(to_positives, to_negatives)  # (b,)

        nearest = [top_k(features, texts, 1).indices[:, 0] for texts in (self.positives, self.negatives)]
        unsure = [-negative_entropy(self.scale * to_texts.double()) for to_texts in (to_positives, to_negatives)]
        self._store(features, static.sigmoid(), nearest, unsure)

        to_proxies = (
            self.memory.adaptive_cosines(features, self.settings.beta)
            if self.settings.sample_adaptive
            else cosines(features, self.memory.proxies)
        )
        adaptive = self._log_odds(*to_proxies.split([len(self.positives), len(self.negatives)], dim=1))

        return _sum_log_odds(adaptive, static, self.settings.weight)

    def _log_odds(self, to_positives: Tensor, to_negatives: Tensor) -> Tensor:
        """Log-odds of the grouped share of the positives, (b,), from cosines (b, P) and (b, N)."""
        mass = (self.scale * to_positives.double()).logsumexp(dim=1)
        masses = (self.scale * to_negatives.double())[:, self.members].logsumexp(dim=2)  # (b, G, n) -> (b, G)
        return mean_share_log_odds(mass[:, None] - masses)

    def _store(self, features: Tensor, share: Tensor, nearest: Sequence[Tensor], unsure: Sequence[Tensor]) -> None:
        """Store the images whose static share is far enough from gamma.

        Args:
            features: unit vectors, shape (b, D).
            share: static, shape (b,).
            nearest: rows of the nearest positive and of the nearest negative, each (b,).
            unsure: entropies over the positives and over the negatives, each (b,).
        """
        gamma, gap = self.settings.gamma, self.settings.gap
        is_id = share > gamma + gap * (1 - gamma)
        is_ood = share < gamma - gap * gamma
        sure = is_id | is_ood

        rows = torch.where(is_id, nearest[0], nearest[1] + len(self.positives))
        self.memory.add(features[sure], rows[sure], torch.where(is_id, *unsure)[sure])


class HalfProxies(Proxies):
    """The same state where every step is rounded to float16. Its scores are S itself."""

    def __call__(self, features: Tensor) -> Tensor:
        """Scores, shape (b,), after the batch's confident images were stored."""
        sides = [half_logits(features, texts, self.scale) for texts in (self.positives, self.negatives)]
        static = half_mean_share(sides[0], sides[1], self.members)
        no_number = torch.full_like(static, math.nan)
        self._store(features, static, [side.argmax(dim=1) for side in sides], [no_number, no_number])

        # as many slots as the code has, since their mean is rounded
        empty = self.settings.images_per_label - self.memory.size
        members = pad(torch.cat([self.memory.texts[:, None], self.memory.images], dim=1), (0, 0, 0, empty))
        beta = self.settings.beta if self.settings.sample_adaptive else None
        to_proxies = half_proxy_logits(features, members, self.scale, beta)
        n = len(self.positives)

        adaptive = half_mean_share(to_proxies[:, :n], to_proxies[:, n:], self.members)
        return half(adaptive + half(self.settings.weight * static))


class ImageMemory:
    """Slot 0 of every label is its text and stays; the other slots hold the images of smallest entropy.

    Args:
        texts: unit vectors, shape (V, D).
        size: images per label, at least 1.
        replacement: whether a label without a free slot takes surer images.

    Attributes:
        proxies: unit mean of each label's slots, shape (V, D); the texts while no image is kept.
        images: shape (V, size, D); zero in empty slots.
        entropies: of the images of each label that has at least one, slot by slot.
    """

    def __init__(self, texts: Tensor, size: int, replacement: bool = True) -> None:
        self.texts, self.size, self.replacement = texts, size, replacement
        self.proxies = texts.clone()
        self.images = texts.new_zeros(len(texts), size, texts.shape[1])
        self.entropies: dict[int, list[float]] = {}  # of the images of each label, slot by slot

    def add(self, features: Tensor, rows: Tensor, entropies: Tensor) -> None:
        """Store images one by one, in their order.

        Where a label has no free slot, an image replaces the image of largest entropy (of equally large ones the one in
        the first slot) if its own entropy is smaller, and is left out otherwise; without replacement it is left out.

        Args:
            features: unit vectors, shape (b, D).
            rows: label of each image, int64, shape (b,).
            entropies: how unsure each image is, shape (b,).
        """
        stored: dict[tuple[int, int], int] = {}  # (label, slot): the last image of the batch that took it
        for image, (row, entropy) in enumerate(zip(rows.tolist(), entropies.tolist(), strict=True)):
            kept = self.entropies.setdefault(row, [])
            slot = len(kept) if len(kept) < self.size else kept.index(max(kept))
            if slot == len(kept) or (self.replacement and entropy < kept[slot]):
                kept[slot : slot + 1] = [entropy]  # a free slot is taken, a full one changes its image
                stored[row, slot] = image

        if not stored:
            return

        label, slot_of = torch.tensor(list(stored), device=self.images.device).unbind(dim=1)
        self.images[label, slot_of] = features[torch.tensor(list(stored.values()), device=features.device)]

        changed = label.unique()
        total = self.texts[changed].double() + self.images[changed].double().sum(dim=1)  # (v, D)
        self.proxies[changed] = unit(total).to(self.proxies.dtype)

    def adaptive_cosines(self, features: Tensor, beta: float) -> Tensor:
        """Cosines to ``unit(sum_l exp(-beta (1 - h.F_l)) F_l)``, float64, shape (b, V).

        Every image has proxies of its own, (b, V, D) numbers that would not fit. They are not needed: with the weights
        w and the Gram matrix G of a label's S slots, the cosine is ``w.(h.F) / sqrt(w' G w)``. Empty slots are zero
        vectors and add nothing.
        """
        result = cosines(features, self.texts).double()  # right for labels without an image

        with_images = torch.tensor(list(self.entropies), dtype=torch.int64, device=features.device)
        per_label = (self.size + 1) * (len(features) + self.texts.shape[1]) + 1  # numbers held for one label
        for rows in with_images.split(max(1, _PIECE // per_label)):
            members = torch.cat([self.texts[rows, None], self.images[rows]], dim=1).double()  # (v, S, D)
            similarity = torch.einsum("bd,vsd->vbs", features.double(), members)
            weights = (-beta * (1 - similarity)).exp()  # (v, b, S)

            squared_length = (weights @ (members @ members.mT) * weights).sum(dim=2)  # w' G w, (v, b)
            result[:, rows] = ((weights * similarity).sum(dim=2) / squared_length.sqrt()).T

        return result


def _sum_log_odds(adaptive: Tensor, static: Tensor, weight: float) -> Tensor:
    """Log-odds of (sigmoid(adaptive) + weight * sigmoid(static)) / (1 + weight)."""
    if weight == 0:
        return adaptive
    log_weight = math.log(weight)
    inside = torch.logaddexp(logsigmoid(adaptive), log_weight + logsigmoid(static))
    outside = torch.logaddexp(logsigmoid(-adaptive), log_weight + logsigmoid(-static))
    return inside - outside
