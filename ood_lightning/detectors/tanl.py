"""TANL: the negatives that the OOD images of the test stream activate, and its ID images do not.

    a_j    = mean over OOD of p_j - mean over ID of p_j,   p = softmax over all positives and negatives
    S(x)   = mean over k = g, 2g, ..., B of  sum_P exp(s c) / ( sum_P exp(s c) + sum of the k most activated exp(s c) )

where g does not divide B, the last k is B all the same.

Each batch gets a provisional score from queues of earlier confident images. An Otsu threshold t on the scores so far
parts it: above t + gap (1 - t) is ID, below t - gap t is OOD. From these images and the queues (weight `history`) the
negatives are ranked again, the batch is scored, and its confident images join the queues. At first the ID queue holds
the positives' texts and the OOD queue 15 images of noise in [0, 1], encoded without CLIP's own normalisation; the
scores of both are among those that the threshold is computed from. So scores depend on order and size of the batches.

Source: Activation Matters, 2026, https://arxiv.org/abs/2603.25250, and its code.
Differs: the log-odds of S are returned, strictly monotone in S. Sums are float64; the code has image features, logits
    and the last score in float16, and takes only activations and the provisional score from float32. Noise and the two
    first orders are drawn on the CPU by `seed`; the code draws them unseeded, the orders on the CPU too.
Expected: ImageNet, mean FPR95 over iNaturalist, SUN, Places, Textures 9.8, with the whole corpus (about 69,500 words)
    as negatives.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from ood_lightning.detectors.base import Stream, StreamDetector
from ood_lightning.detectors.evidence import Evidence, LabelFeatures
from ood_lightning.errors import SettingsError
from ood_lightning.functional.grouping import mean_share_log_odds
from ood_lightning.functional.similarity import cosines
from ood_lightning.functional.tanl import noise_images, otsu_threshold
from ood_lightning.ranges import Count, CountOrZero, Positive, Range, Seed, Share

NOISE_OF_A_KIND = 3
_PIECE = 256  # texts whose logits over all negatives are held at once


@dataclass(frozen=True)
class TANL(StreamDetector):
    """Log-odds of the positives' share, averaged over prefixes of the most activated negatives; in nats.

    Memory: 2 * queue * N * 4 bytes, and about 4 * b * N * 8 for a batch of b images.

    Args:
        labels: name of a label set with negatives; the paper uses a whole corpus.
        sharpness: times the encoder's own logit_scale.
        count: B, the number of negatives in a score. Where there are fewer, every prefix beyond the last negative is
            that of all negatives, counted as often as it would have come: with 60 negatives, `count` 100 and `step` 1,
            the prefix of all 60 stands 41 times in the mean, as in the code.
        step: g, from one prefix to the next, at most `count`; 0: one prefix of all B. The code's script tries 2, 1
            and 0.
        gap: width of the band around the threshold whose images join no queue, from 0 (no band) to 1 (all shares).
        history: weight of the queues against the batch itself, in [0, 1]; 0 in the official code.
        queue: number of confident images of each kind that are kept, the latest ones.
        scores: number of provisional scores that the threshold is computed from, the latest ones.
        seed: of the noise, and of the order in which texts and noise enter their queues; the last ones stay.
    """

    needs_negatives: ClassVar[bool] = True

    labels: str = "neglabel"
    sharpness: Positive = 1.0
    count: Annotated[int, Range(1, 1_000_000)] = 1000
    step: CountOrZero = 1
    gap: Share = 0.5
    history: Share = 0.0
    queue: Count = 300
    scores: Count = 20_000
    seed: Seed = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.step > self.count:
            raise SettingsError(f"TANL: step is {self.step}, expected 0 to count, which is {self.count}")

    def open(self, evidence: Evidence) -> Stream:
        """Queues that hold the positives' texts and noise."""
        tower = evidence.image_tower
        noise = tower.encode(noise_images(tower.shape, NOISE_OF_A_KIND, self.seed))
        return Activations(self, evidence.labels(self.labels), noise)


class Activations:
    """A stream's state: which negatives confident images of either kind activate, and the scores so far.

    Args:
        settings: the detector.
        labels: on the device of the images.
        noise: unit-norm features of images of noise, shape (n, D), on the same device.
    """

    def __init__(self, settings: TANL, labels: LabelFeatures, noise: Tensor) -> None:
        self.settings, self.labels = settings, labels
        self.scale = settings.sharpness * labels.logit_scale
        ends = range(settings.step, settings.count, settings.step) if settings.step else []
        prefixes = torch.tensor([*ends, settings.count], device=labels.negatives.device)
        self.prefixes = prefixes.clamp(max=len(labels.negatives))  # lengths k

        draw = torch.Generator().manual_seed(settings.seed)
        texts, noise = (
            side[torch.randperm(len(side), generator=draw).to(side.device)] for side in (labels.positives, noise)
        )
        self.id_queue, self.ood_queue = (  # both (queue, N)
            self._activations(*self._logits(side[-settings.queue :])) for side in (texts, noise)
        )

        activated = _mean(self.ood_queue) - _mean(self.id_queue)  # (N,)
        parts = torch.cat([texts, noise]).split(_PIECE)
        log_odds = torch.cat([self._log_odds(*self._logits(part), activated) for part in parts])
        self.shares = log_odds.sigmoid()[-settings.scores :]

    def __call__(self, features: Tensor) -> Tensor:
        """Scores, shape (b,), with the negatives ranked anew by the batch's confident images."""
        mass, logits = self._logits(features)
        id_mean, ood_mean = _mean(self.id_queue), _mean(self.ood_queue)  # (N,)

        provisional = self._log_odds(mass, logits, ood_mean - id_mean).sigmoid()  # (b,)
        self.shares = torch.cat([self.shares, provisional])[-self.settings.scores :]
        threshold = otsu_threshold(self.shares)

        activations = self._activations(mass, logits)  # (b, N)
        of_id = activations[provisional > threshold + self.settings.gap * (1 - threshold)]
        of_ood = activations[provisional < threshold - self.settings.gap * threshold]
        activated = self._blend(ood_mean, of_ood) - self._blend(id_mean, of_id)

        self.id_queue = torch.cat([self.id_queue, of_id])[-self.settings.queue :]
        self.ood_queue = torch.cat([self.ood_queue, of_ood])[-self.settings.queue :]
        return self._log_odds(mass, logits, activated)

    def _logits(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Log-mass of the positives (b,), and logits of all negatives (b, N), float64."""
        mass = (self.scale * cosines(features, self.labels.positives).double()).logsumexp(dim=1)
        return mass, self.scale * cosines(features, self.labels.negatives).double()

    def _activations(self, mass: Tensor, logits: Tensor) -> Tensor:
        """Probabilities of the negatives in the softmax over all labels, float32, (b, N)."""
        total = torch.logaddexp(mass, logits.logsumexp(dim=1))  # (b,)
        return (logits - total[:, None]).exp().float()

    def _blend(self, queue_mean: Tensor, of_batch: Tensor) -> Tensor:
        """``history * queue_mean + (1 - history) * mean of the batch``; the former where the batch adds nothing."""
        return torch.lerp(_mean(of_batch), queue_mean, self.settings.history) if len(of_batch) else queue_mean

    def _log_odds(self, mass: Tensor, logits: Tensor, activated: Tensor) -> Tensor:
        """Log-odds of S, shape (b,), with the negatives ranked by their activation (N,)."""
        chosen = activated.argsort(descending=True, stable=True)[: self.prefixes[-1]]
        masses = logits[:, chosen].logcumsumexp(dim=1)  # of the 1, 2, ... most activated negatives, (b, B)
        return mean_share_log_odds(mass[:, None] - masses[:, self.prefixes - 1])


def _mean(activations: Tensor) -> Tensor:
    """Over images, float64; zero where there are none."""
    return activations.double().sum(dim=0) / max(1, len(activations))
