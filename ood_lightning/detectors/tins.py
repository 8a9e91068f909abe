"""TINS: foreign images are turned into texts that begin as a negative word and stay away from the ID images.

    S(x) = mean_g  mean_P exp(s h.z) / ( mean_P exp(s h.z) + mean_{N_g} exp(s h.z) ),   N: the label set's and the bank

Images of a batch with S < threshold are inverted together. Image h begins in `a photo of a WORD.` for the negative word
whose text f minimises (1 - h.f) + repulsion * mean_k (1 + f.m_k), with m_k the image prototype of class k. The
embedding of the word's last token is then a vector u that AdamW changes:

    mean_i (1 - f(u_i).h_i)  +  repulsion * mean_{i,k} (1 + f(u_i).m_k)

A result joins the bank if it passes the test that the words of the label set passed, f.m_k < b_k for every class k.
The bank keeps the `bank` texts of the largest mean gap b_k - f.m_k, the others go to a buffer. A full buffer is
emptied: its better half and the bank are mixed at random, and the first `bank` of them are the new bank. If a text
joined, the whole batch is scored again. A fresh stream has an empty bank. So scores depend on order and size of the
batches.

Source: TINS, 2026, https://arxiv.org/abs/2605.10756, and its code, https://github.com/zxk1212/tins.
Differs: the log-odds of S are returned, strictly monotone in S; only the bank is kept in float16, as in the code, the
    towers compute in the run's precision. Both permutations are drawn on the CPU from a seed of their own: before
    grouping the code draws it on the features' device, on a GPU other numbers; the mixing is what the code draws on a
    GPU. The start in a neutral text with a random vector, which the code can do too, is not here.
Expected: ImageNet, ViT-B/16, mean FPR95 over iNaturalist, SUN, Places, Textures 6.72, in batches of 256; this FPR95
    counts ID as positive, on all 50,000 ID images and the full Textures. InterNeg's 14.04 counts OOD as positive.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from ood_lightning.detectors.base import Stream, StreamDetector
from ood_lightning.detectors.evidence import ClassBoundsBySet, Evidence, Input, LabelFeatures
from ood_lightning.encoders.soft_tokens import SoftTokenTexts
from ood_lightning.functional.grouping import grouped_mean_log_odds
from ood_lightning.functional.intermodal import ClassBounds, gaps
from ood_lightning.functional.similarity import cosines
from ood_lightning.ranges import Count, CountOrZero, NotNegative, Positive, Range, Seed, Share


@dataclass(frozen=True)
class SoftWords(Input):
    """Words in a sentence, where a vector may take the place of a word's last token.

    Args:
        of: words to these texts, the same object each time it gets the same words.
    """

    how_to_provide: ClassVar[str] = "a text tower that takes vectors for tokens (open_clip's causal ones)"

    of: Callable[[tuple[str, ...]], SoftTokenTexts]


@dataclass(frozen=True)
class TINS(StreamDetector):
    """Log-odds of the positives' mean share against words and inverted images, in nats.

    An inversion costs `steps` forward and backward passes of the text tower.

    Args:
        labels: name of a label set of :class:`ood_lightning.label_sets.tins.TINSNegatives`.
        groups: of negatives; the last `(N + bank) mod groups` are dropped.
        permutation_seed: of the shuffle before grouping; None keeps the order.
        sharpness: times the encoder's own logit_scale.
        threshold: share below which an image is inverted, in [0, 1]; 0: never.
        bank: inverted images that are among the negatives.
        buffer: inverted images that wait beside the bank until they are mixed into it; 0: they are lost.
        steps: of AdamW; 0: the bank holds the texts that inversions begin with.
        lr: AdamW's learning rate.
        weight_decay: AdamW's, on the vector.
        repulsion: lambda, of the texts from the ID images; 0.5 in the code's runs on CIFAR.
        seed: of the mixing of buffer and bank.
    """

    needs_negatives: ClassVar[bool] = True
    required_inputs: ClassVar[frozenset[type[Input]]] = frozenset({ClassBoundsBySet, SoftWords})

    labels: str = "tins"
    groups: Count = 5
    permutation_seed: Seed | None = 0
    sharpness: Positive = 1.0
    threshold: Share = 0.3
    bank: Count = 2000
    buffer: CountOrZero = 2000
    steps: Annotated[int, Range(0, 10_000)] = 30
    lr: Positive = 2e-2
    weight_decay: NotNegative = 0.01
    repulsion: NotNegative = 0.3
    seed: Seed = 0

    def open(self, evidence: Evidence) -> Stream:
        """An empty bank."""
        bounds = evidence[ClassBoundsBySet].of(self.labels, "TINS")
        words = evidence[SoftWords].of(tuple(evidence.label_sets[self.labels].texts.negatives))
        return WordInversions(self, evidence.labels(self.labels), bounds, words)


class WordInversions:
    """A stream's state: the bank and the buffer of texts of images that looked foreign.

    Args:
        settings: the detector.
        labels: on the device of the images.
        bounds: on the same device.
        words: the negatives in sentences, in their order.
    """

    def __init__(self, settings: TINS, labels: LabelFeatures, bounds: ClassBounds, words: SoftTokenTexts) -> None:
        self.settings, self.labels, self.bounds, self.words = settings, labels, bounds, words
        self.texts = labels.negatives[:0].half()  # (bank, D)
        self.gaps = bounds.thresholds[:0]  # (bank,), descending unless buffer and bank were just mixed
        self.buffered, self.buffered_gaps = self.texts, self.gaps

        to_prototypes = words.own_features.double() @ bounds.prototypes.mean(dim=0)  # (N,)
        self._distances = settings.repulsion * (1 + to_prototypes)

    def __call__(self, features: Tensor) -> Tensor:
        """Scores, shape (b,), after the batch's foreign images joined the bank."""
        scores = self._scores(features)
        strange = features[scores.sigmoid() < self.settings.threshold]
        if len(strange) and self._store(self.inverted(strange)):
            scores = self._scores(features)
        return scores

    def _scores(self, features: Tensor) -> Tensor:
        return grouped_mean_log_odds(
            features,
            self.labels.positives,
            torch.cat([self.labels.negatives, self.texts.to(self.labels.negatives.dtype)]),
            self.settings.sharpness * self.labels.logit_scale,
            self.settings.groups,
            self.settings.permutation_seed,
        )

    def starts(self, images: Tensor) -> tuple[SoftTokenTexts, Tensor]:
        """The texts in which images (n, D) begin, and the first vectors (n, W) in them."""
        words = (1 - cosines(images, self.words.own_features) + self._distances).argmin(dim=1)
        texts = self.words.chosen(words)
        return texts, texts.own_vectors()

    def inverted(self, images: Tensor) -> Tensor:
        """Unit text features (n, D) near image features (n, D)."""
        texts, start = self.starts(images)
        return texts.filled(invert(images, texts, start, self.bounds.prototypes, self.settings))

    def _store(self, texts: Tensor) -> bool:
        """Sort new texts, shape (n, D), into bank and buffer; returns whether one of them was admissible."""
        mean, admissible = gaps(texts, self.bounds)
        if not admissible.any():
            return False

        pool = torch.cat([self.texts, texts[admissible].half()])
        pool_gaps = torch.cat([self.gaps, mean[admissible]])
        order = pool_gaps.argsort(descending=True, stable=True)
        kept, rest = order[: self.settings.bank], order[self.settings.bank :]
        self.texts, self.gaps = pool[kept], pool_gaps[kept]

        if self.settings.buffer:
            self.buffered = torch.cat([self.buffered, pool[rest]])
            self.buffered_gaps = torch.cat([self.buffered_gaps, pool_gaps[rest]])
            if len(self.buffered) >= self.settings.buffer:
                self._mix()
        return True

    def _mix(self) -> None:
        """A random choice of the bank and the better half of the buffer becomes the bank; the buffer is emptied."""
        better = self.buffered_gaps.argsort(descending=True, stable=True)[: len(self.buffered) // 2]
        pool = torch.cat([self.texts, self.buffered[better]])
        pool_gaps = torch.cat([self.gaps, self.buffered_gaps[better]])

        chosen = self.drawn(len(pool))[: self.settings.bank].to(pool.device)
        self.texts, self.gaps = pool[chosen], pool_gaps[chosen]
        self.buffered, self.buffered_gaps = self.buffered[:0], self.buffered_gaps[:0]

    def drawn(self, count: int) -> Tensor:
        """A permutation, the same for the same number each time, as in the code."""
        return torch.randperm(count, generator=torch.Generator().manual_seed(self.settings.seed))


def invert(images: Tensor, texts: SoftTokenTexts, start: Tensor, prototypes: Tensor, settings: TINS) -> Tensor:
    """Vectors (n, W) that turn texts towards images and away from prototypes.

    Args:
        images: unit-norm, shape (n, D).
        texts: n texts, one for each image.
        start: first vectors, shape (n, W).
        prototypes: unit-norm, shape (K, D).
        settings: steps, learning rate, weight decay and repulsion.
    """
    with torch.inference_mode(False), torch.enable_grad():
        targets = images.clone()  # a tensor made under inference mode cannot take part in a backward pass
        away = prototypes.mean(dim=0).to(targets.dtype, copy=True)  # mean_k f.m_k is f times the mean of the m_k
        vectors = nn.Parameter(start.clone())
        optimizer = torch.optim.AdamW([vectors], lr=settings.lr, weight_decay=settings.weight_decay)
        rows = torch.arange(len(texts))

        for _ in range(settings.steps):
            optimizer.zero_grad()
            filled = normalize(texts.fill(rows, vectors), dim=1)
            loss = (1 - (filled * targets).sum(dim=1)).mean() + settings.repulsion * (1 + filled @ away).mean()
            loss.backward()
            optimizer.step()

    return vectors.detach()
