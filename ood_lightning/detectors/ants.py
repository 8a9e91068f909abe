"""ANTS: a multimodal model describes the images that look foreign, and names classes that look like frequent ones.

    grp(R, L) = mean over groups of L texts of  sum_P exp(s h.z) / ( sum_P exp(s h.z) + sum_R exp(s h.z) )

Each batch has S_0 = grp(the label set's negatives, 100). Images with S_0 below a threshold, 0.8 at first, wait. Once
more than 200 do, each is described in a few words, and these sentences F are negatives from now on. The threshold of
later batches is then the `eta` quantile of all scores so far that lie below the steepest step of their histogram.
At batches 10, 50, 90, ... the model names five look-alikes of each of the 40 classes predicted most often; these
labels, V, are negatives too. F and V are encoded without a template. The batch is scored with its own texts:

    S_far = grp(F, 100),  S_near = grp(V, 100),  S(x) = w S_far + (1 - w) S_near,   w = a / (a + b)

with a and b one minus the mean, over the stream so far, of both shares in groups of `history_group`. Without F or V,
S_0 takes the place of their share. So scores depend on order and size of the batches, and on the model.

Source: ANTS, 2025, https://arxiv.org/abs/2509.03951, and its code in OpenOOD-VLM, https://github.com/YBZh/OpenOOD-VLM.
Differs: the log-odds of S are returned, strictly monotone in S; float64 where the code computes in float16. New
    sentences keep the order in which they were said; the code takes that of a Python set, which changes from run to
    run. Fewer texts than a group make one group, and without a score below the step the threshold is a quantile of all,
    as in the authors' newer code (https://github.com/ZhuWenjie98/ANTS); there the older one stops. Look-alikes that
    are class names themselves are left out. The question does not name the predicted class, so that an answer belongs
    to the image alone. The permutation before grouping is the code's own, drawn on the CPU from seed 0.
Expected: ImageNet, ViT-B/16, mean AUROC / FPR95 over iNaturalist, SUN, Places, Textures 97.75 / 11.20, in batches of
    256; this FPR95 counts OOD as positive. The scripts score by `far` on far and by `near` on near OOD, `ada` needs no
    such knowledge; which of them the published rows used is not stated.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from ood_lightning.detectors.base import Stream
from ood_lightning.detectors.evidence import Evidence, Input, LabelFeatures
from ood_lightning.detectors.image_texts import BareTexts, ImageStreamDetector, ImageTexts, StreamImage
from ood_lightning.functional.ants import threshold_below
from ood_lightning.functional.grouping import grouped_log_odds
from ood_lightning.functional.nearest import nearest
from ood_lightning.functional.similarity import cosines
from ood_lightning.ranges import Count, CountOrZero, Positive, Seed, Share
from ood_lightning.spelling import folded

GROUP = 100  # texts
WAITING = 200  # images; with more than these the model is asked
MOST_SENTENCES = 10_000
CLASSES = 40  # whose look-alikes are asked for
FIRST_BATCH, EVERY_BATCHES = 10, 40
REPEATS = 10  # of the look-alikes, where groups are of `history_group`


@dataclass(frozen=True)
class ANTS(ImageStreamDetector):
    """Log-odds of a share of the positives against what a multimodal model said, in nats.

    Args:
        labels: name of a label set with negatives, NegLabel's 10,000 in the paper.
        texts: who describes images and names look-alikes.
        mode: `far`: S_far; `near`: S_near; `ada`: both, weighted by the stream so far.
        permutation_seed: of the shuffle before grouping; None keeps the order.
        sharpness: times the encoder's own logit_scale.
        threshold: share below which an image waits for its description, until they were asked for the first time.
        eta: quantile that the threshold is afterwards.
        updates: how often descriptions are asked for; 10 in one of the code's scripts.
        history_group: texts in a group of the shares that weigh S_far and S_near.
    """

    needs_negatives: ClassVar[bool] = True
    required_inputs: ClassVar[frozenset[type[Input]]] = frozenset({BareTexts})

    labels: str = "neglabel"
    texts: ImageTexts | None = None
    mode: Literal["ada", "far", "near"] = "ada"
    permutation_seed: Seed | None = 0
    sharpness: Positive = 1.0
    threshold: Share = 0.8
    eta: Share = 0.5
    updates: CountOrZero = 20
    history_group: Count = 1000

    @property
    def supervision(self) -> frozenset[str]:  # type: ignore[override]
        """The stream, and the language model that wrote the texts, if one did."""
        llm = self.texts is not None and self.texts.llm
        return frozenset({"test_stream", "llm"} if llm else {"test_stream"})

    def missing(self) -> str:
        """The texts, where none are named."""
        return "" if self.texts is not None else "texts of a multimodal model (model.streams.<name>.texts)"

    def open_on(self, evidence: Evidence, images: Sequence[StreamImage]) -> Stream:
        """Neither sentences nor look-alikes yet."""
        assert self.texts is not None  # else it is missing
        names = evidence.label_sets[self.labels].texts.positives
        return Describing(self, evidence.labels(self.labels), names, images, self.texts, evidence[BareTexts])


class Describing:
    """A stream's state: what waits, what was said, and the scores so far.

    Args:
        settings: the detector.
        labels: on the device of the images.
        names: of the positives.
        images: in stream order.
        source: of the texts.
        bare: encodes them.
    """

    def __init__(
        self,
        settings: ANTS,
        labels: LabelFeatures,
        names: Sequence[str],
        images: Sequence[StreamImage],
        source: ImageTexts,
        bare: BareTexts,
    ) -> None:
        self.settings, self.labels, self.names, self.images = settings, labels, names, images
        self.source, self.bare = source, bare
        self.scale = settings.sharpness * labels.logit_scale
        self.threshold = settings.threshold
        self.far_texts = self.near_texts = labels.negatives[:0]  # features of the sentences, and of the look-alikes
        self.look_alikes: dict[int, list[str]] = {}  # of the classes predicted most often
        self.waiting: list[int] = []  # rows of the stream
        self.n_images = self.n_batches = self.n_updates = 0
        self.history: list[Tensor] = []  # S_0 of each batch
        self.predicted: Counter[int] = Counter()  # in the order in which they were first seen
        self.sums = torch.zeros(2, dtype=torch.float64)  # over the stream, of both shares that weigh

    def __call__(self, features: Tensor) -> Tensor:
        """Scores, shape (b,), after the model was asked, if it was time to."""
        if not len(features):
            return features.new_zeros(0, dtype=torch.float64)

        base = self._grouped(features, self.labels.negatives, GROUP)
        classes = nearest(features, self.labels.positives, cosines(features, self.labels.positives))
        self._take_in(base.sigmoid(), classes.tolist())
        if self.n_updates < self.settings.updates and len(self.waiting) > WAITING:
            self._describe()
        if self.n_batches >= FIRST_BATCH and (self.n_batches - FIRST_BATCH) % EVERY_BATCHES == 0:
            self._name_look_alikes()

        return self._scores(features, base)

    def _take_in(self, shares: Tensor, classes: list[int]) -> None:
        """Count a batch with the static shares (b,) and predicted classes."""
        self.history.append(shares)
        self.predicted.update(classes)
        if self.n_updates < self.settings.updates:  # nobody will ask afterwards
            self.waiting += (self.n_images + (shares < self.threshold).nonzero()[:, 0]).tolist()

        self.n_images += len(classes)
        self.n_batches += 1

    def _describe(self) -> None:
        """Ask for a sentence on each waiting image, put the new ones in front, and set the threshold anew."""
        self.threshold = threshold_below(torch.cat(self.history), self.settings.eta)
        said = self.source.describe([self.images[row] for row in self.waiting if row < len(self.images)])
        cleaned = (sentence.strip().rstrip(".") for sentence in said)
        new = list(dict.fromkeys(sentence for sentence in cleaned if sentence))

        if new:
            self.far_texts = torch.cat([self.bare.encode(new).to(self.far_texts), self.far_texts])[-MOST_SENTENCES:]
        self.waiting = []
        self.n_updates += 1

    def _name_look_alikes(self) -> None:
        """Ask for look-alikes of the classes predicted most often, forget those of the others."""
        frequent = [k for k, _ in self.predicted.most_common(CLASSES)]  # of equally frequent ones the first seen
        new = [k for k in frequent if k not in self.look_alikes]
        if new:
            answers = self.source.look_alikes([self.names[k] for k in new])
            self.look_alikes |= dict(zip(new, answers, strict=True))
        self.look_alikes = {k: labels for k, labels in self.look_alikes.items() if k in frequent}

        taken = {folded(name) for name in self.names}
        labels = dict.fromkeys(label for of_class in self.look_alikes.values() for label in of_class)
        kept = [label for label in labels if folded(label) not in taken]
        self.near_texts = self.bare.encode(kept).to(self.near_texts) if kept else self.near_texts[:0]

    def _scores(self, features: Tensor, base: Tensor) -> Tensor:
        """Log-odds of S, shape (b,).

        Args:
            features: of the batch.
            base: log-odds of S_0, shape (b,).
        """
        in_groups, size = len(self.far_texts) > self.settings.history_group, self.settings.history_group
        s_far = far_in_history = base
        if len(self.far_texts):
            s_far = self._grouped(features, self.far_texts, GROUP if in_groups else len(self.far_texts))
            far_in_history = self._grouped(features, self.far_texts, size if in_groups else len(self.far_texts))

        s_near = near_in_history = base
        if len(self.near_texts):
            s_near = self._grouped(features, self.near_texts, GROUP)
            near_in_history = self._grouped(features, self.near_texts.repeat(REPEATS, 1), size)
        if self.settings.mode != "ada":
            return s_far if self.settings.mode == "far" else s_near

        both = torch.stack([far_in_history, near_in_history]).sigmoid()
        self.sums += both.sum(dim=1).cpu()
        unlike_far, unlike_near = (1 - self.sums / self.n_images).tolist()
        total = unlike_far + unlike_near
        return _mixed_log_odds(s_far, s_near, unlike_far / total if total > torch.finfo(torch.float64).eps else 0.5)

    def _grouped(self, features: Tensor, texts: Tensor, size: int) -> Tensor:
        """Log-odds of grp(texts, size), shape (b,)."""
        groups, seed = max(1, len(texts) // size), self.settings.permutation_seed
        return grouped_log_odds(features, self.labels.positives, texts, self.scale, groups, seed)


def _mixed_log_odds(first: Tensor, second: Tensor, weight: float) -> Tensor:
    """Log-odds of weight * sigmoid(first) + (1 - weight) * sigmoid(second), the weight in [0, 1]."""
    if weight in (0, 1):
        return first if weight else second

    logs = math.log(weight), math.log1p(-weight)
    inside = torch.logaddexp(logs[0] + logsigmoid(first), logs[1] + logsigmoid(second))
    outside = torch.logaddexp(logs[0] + logsigmoid(-first), logs[1] + logsigmoid(-second))
    return inside - outside
