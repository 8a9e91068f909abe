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
_PIECE = 256  # texts whose cosines to all negatives are held at once
_CACHED, _HELD = 2**19, 2**24  # float64 numbers of a piece: those that stay in a processor's cache; on other devices


@dataclass(frozen=True)
class TANL(StreamDetector):
    """Log-odds of the positives' share, averaged over prefixes of the most activated negatives; in nats.

    Memory: 9 * queue * N bytes, and about 8 * b * N for a batch of b images.

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
        self.id_queue, self.ood_queue = (
            ActivationQueue(settings.queue, len(labels.negatives), labels.negatives.device) for _ in range(2)
        )
        for queue, side in ((self.id_queue, texts), (self.ood_queue, noise)):
            for part in side[-settings.queue :].split(_PIECE):
                queue.push(self._activations(*self._compared(part)))

        activated = self.ood_queue.mean() - self.id_queue.mean()  # (N,)
        parts = torch.cat([texts, noise]).split(_PIECE)
        log_odds = torch.cat([self._log_odds(*self._compared(part), activated) for part in parts])
        self.shares = log_odds.sigmoid()[-settings.scores :]

    def __call__(self, features: Tensor) -> Tensor:
        """Scores, shape (b,), with the negatives ranked anew by the batch's confident images."""
        mass, to_negatives = self._compared(features)
        id_mean, ood_mean = self.id_queue.mean(), self.ood_queue.mean()  # (N,)

        provisional = self._log_odds(mass, to_negatives, ood_mean - id_mean).sigmoid()  # (b,)
        self.shares = torch.cat([self.shares, provisional])[-self.settings.scores :]
        threshold = otsu_threshold(self.shares)

        is_id = provisional > threshold + self.settings.gap * (1 - threshold)
        is_ood = provisional < threshold - self.settings.gap * threshold
        of_id, of_ood = (self._activations(mass[rows], to_negatives[rows]) for rows in (is_id, is_ood))
        activated = self._blend(ood_mean, of_ood) - self._blend(id_mean, of_id)

        self.id_queue.push(of_id)
        self.ood_queue.push(of_ood)
        return self._log_odds(mass, to_negatives, activated)

    def _compared(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Log-mass of the positives (b,), float64, and cosines to all negatives (b, N), float32."""
        mass = (self.scale * cosines(features, self.labels.positives).double()).logsumexp(dim=1)
        return mass, cosines(features, self.labels.negatives)

    def _activations(self, mass: Tensor, to_negatives: Tensor) -> Tensor:
        """Probabilities of the negatives in the softmax over all labels, float32, (b, N)."""
        numbers = _CACHED if to_negatives.device.type == "cpu" else _HELD
        rows_at_once = max(1, numbers // to_negatives.shape[1])

        result = to_negatives.new_empty(to_negatives.shape, dtype=torch.float32)
        sides = (side.split(rows_at_once) for side in (result, mass, to_negatives))
        for part, part_mass, part_cosines in zip(*sides, strict=True):
            logits = self.scale * part_cosines.double()
            total = torch.logaddexp(part_mass, logits.logsumexp(dim=1))
            part.copy_(logits.sub_(total[:, None]).exp_())
        return result

    def _blend(self, queue_mean: Tensor, of_batch: Tensor) -> Tensor:
        """``history * queue_mean + (1 - history) * mean of the batch``; the former where the batch adds nothing."""
        return torch.lerp(_mean(of_batch), queue_mean, self.settings.history) if len(of_batch) else queue_mean

    def _log_odds(self, mass: Tensor, to_negatives: Tensor, activated: Tensor) -> Tensor:
        """Log-odds of S, shape (b,), with the negatives ranked by their activation (N,)."""
        chosen = _first_of_ranking(activated, int(self.prefixes[-1]))
        logits = self.scale * to_negatives[:, chosen].double()
        masses = logits.logcumsumexp(dim=1)  # of the 1, 2, ... most activated negatives, (b, B)
        return mean_share_log_odds(mass[:, None] - masses[:, self.prefixes - 1])


class ActivationQueue:
    """The latest images' activations, and their mean without adding all of them anew.

    They lie in a ring whose places are cut into blocks, each with its sum: new images change the sums of the blocks
    that they come into, and the mean adds these sums. A running sum, from which the oldest would be subtracted, would
    keep the rounding of what has left: 1e-17 beside an activation of 1, which is more than most negatives have.

    Args:
        size: images kept.
        n: negatives, N.
        device: of all of it.
    """

    BLOCK = 16  # about the root of the usual size, so that both steps add about as many rows

    def __init__(self, size: int, n: int, device: torch.device) -> None:
        self._ring = torch.zeros(size, n, device=device)
        self._sums = torch.zeros(-(-size // self.BLOCK), n, dtype=torch.float64, device=device)
        self._pushed = 0

    def __len__(self) -> int:
        return min(self._pushed, len(self._ring))

    def push(self, activations: Tensor) -> None:
        """Add images, float32 (b, N), in their order; the oldest leave."""
        size = len(self._ring)
        latest = activations[-size:]
        first = self._pushed + len(activations) - len(latest)
        places = torch.arange(first, first + len(latest)) % size
        self._ring[places.to(self._ring.device)] = latest
        self._pushed += len(activations)

        for block in (places // self.BLOCK).unique().tolist():
            rows = slice(block * self.BLOCK, (block + 1) * self.BLOCK)
            self._sums[block] = self._ring[rows].double().sum(dim=0)

    def mean(self) -> Tensor:
        """Over the images kept, float64 (N,); zero where there are none."""
        used = -(-len(self) // self.BLOCK)
        return self._sums[:used].sum(dim=0) / max(1, len(self))


def _first_of_ranking(values: Tensor, count: int) -> Tensor:
    """Indices of the `count` largest values, descending; of equal ones the first index comes first.

    As a stable sort of all of them, of which only those that reach the last place are sorted.
    """
    last = values.topk(count, sorted=False).values.amin()
    reach = (values >= last).nonzero()[:, 0]
    return reach[values[reach].argsort(descending=True, stable=True)[:count]]


def _mean(activations: Tensor) -> Tensor:
    """Over images, float64; zero where there are none."""
    return activations.double().sum(dim=0) / max(1, len(activations))
