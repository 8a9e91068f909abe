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
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, pad

from ood_lightning.detectors.base import Stream, StreamDetector
from ood_lightning.detectors.evidence import Evidence, LabelFeatures
from ood_lightning.detectors.image_memory import ImageMemory
from ood_lightning.errors import SettingsError
from ood_lightning.functional.confidence import negative_entropy
from ood_lightning.functional.grouping import group_members, mean_share_log_odds
from ood_lightning.functional.half import half, half_logits, half_mean_share, half_proxy_logits
from ood_lightning.functional.nearest import nearest
from ood_lightning.functional.similarity import cosines
from ood_lightning.ranges import Count, NotNegative, Positive, Range, Seed, Share

_CACHED = 2**18  # float64 numbers that stay in a processor's cache: 2 MiB


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
        to_texts = cosines(features, self.memory.texts)  # (b, P + N)
        to_positives, to_negatives = self._sides(to_texts)
        static = self._log_odds(to_positives, to_negatives)  # (b,)

        is_id, is_ood = self._sure(static.sigmoid())
        rows = torch.zeros(len(features), dtype=torch.int64, device=features.device)
        entropies = torch.zeros_like(static)
        for images, first, texts, to_side in (
            (is_id, 0, self.positives, to_positives),
            (is_ood, len(self.positives), self.negatives, to_negatives),
        ):
            products = to_side[images]
            rows[images] = first + nearest(features[images], texts, products)
            entropies[images] = -negative_entropy(self.scale * products.double())

        sure = is_id | is_ood
        self.memory.add(features[sure], rows[sure], entropies[sure])

        beta = self.settings.beta if self.settings.sample_adaptive else None
        adaptive = self._log_odds(*self._sides(self.memory.cosines(features, to_texts, beta)))
        return _sum_log_odds(adaptive, static, self.settings.weight)

    def _sides(self, to_labels: Tensor) -> tuple[Tensor, Tensor]:
        """Views of the positives' columns and of the negatives'."""
        return to_labels[:, : len(self.positives)], to_labels[:, len(self.positives) :]

    def _log_odds(self, to_positives: Tensor, to_negatives: Tensor) -> Tensor:
        """Log-odds of the grouped share of the positives, (b,), from cosines (b, P) and (b, N)."""
        grouped = to_negatives.index_select(1, self.members.flatten()).unflatten(1, self.members.shape)  # (b, G, n)
        odds = self._log_sum_exp(to_positives)[:, None] - self._log_sum_exp(grouped)
        return mean_share_log_odds(odds)

    def _log_sum_exp(self, cosines: Tensor) -> Tensor:
        """``log sum exp(scale * cosines)`` over the last dimension, float64; few rows at a time stay in a cache."""
        parts = cosines.split(max(1, _CACHED // math.prod(cosines.shape[1:])))
        return torch.cat([part.double().mul_(self.scale).logsumexp(dim=-1) for part in parts])

    def _sure(self, share: Tensor) -> tuple[Tensor, Tensor]:
        """Which images lie far enough from gamma to be stored, as ID and as OOD ones; both (b,).

        Args:
            share: static, shape (b,).
        """
        gamma, gap = self.settings.gamma, self.settings.gap
        return share > gamma + gap * (1 - gamma), share < gamma - gap * gamma


class HalfProxies(Proxies):
    """The same state where every step is rounded to float16. Its scores are S itself."""

    def __call__(self, features: Tensor) -> Tensor:
        """Scores, shape (b,), after the batch's confident images were stored."""
        sides = [half_logits(features, texts, self.scale) for texts in (self.positives, self.negatives)]
        static = half_mean_share(sides[0], sides[1], self.members)
        is_id, is_ood = self._sure(static)
        rows = torch.where(is_id, sides[0].argmax(dim=1), sides[1].argmax(dim=1) + len(self.positives))
        sure = is_id | is_ood
        self.memory.add(features[sure], rows[sure], torch.full_like(static, math.nan)[sure])

        # as many slots as the code has, since their mean is rounded
        empty = self.settings.images_per_label - self.memory.size
        members = pad(torch.cat([self.memory.texts[:, None], self.memory.images], dim=1), (0, 0, 0, empty))
        beta = self.settings.beta if self.settings.sample_adaptive else None
        to_proxies = half_proxy_logits(features, members, self.scale, beta)
        n = len(self.positives)

        adaptive = half_mean_share(to_proxies[:, :n], to_proxies[:, n:], self.members)
        return half(adaptive + half(self.settings.weight * static))


def _sum_log_odds(adaptive: Tensor, static: Tensor, weight: float) -> Tensor:
    """Log-odds of (sigmoid(adaptive) + weight * sigmoid(static)) / (1 + weight)."""
    if weight == 0:
        return adaptive
    log_weight = math.log(weight)
    inside = torch.logaddexp(logsigmoid(adaptive), log_weight + logsigmoid(static))
    outside = torch.logaddexp(logsigmoid(-adaptive), log_weight + logsigmoid(-static))
    return inside - outside
