"""Whether grown words describe the pictures better, without OOD data: the ID mass of pictures that were held out.

The ID mass of a picture is equation 1 of ClusterMine, https://arxiv.org/abs/2511.07068: the positives' share of the
softmax over all words, at the encoder's own logit_scale. Both corpora are mined on the same clusters of the other
pictures. A word that no cluster elects is a negative, which lowers the mass of pictures that are like it.
"""

from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from ood_lightning.corpora.words import Words
from ood_lightning.data.artifacts.features import FeatureSet
from ood_lightning.detectors.evidence import Inputs
from ood_lightning.detectors.label_mass import LabelMass
from ood_lightning.functional.bootstrap import interval
from ood_lightning.functional.similarity import unit
from ood_lightning.label_sets.clustermine import ClusterMine
from ood_lightning.label_sets.ready import MadeLabelSet
from ood_lightning.label_sets.training_images import Clusters, inputs_of
from ood_lightning.label_sets.vocabulary import Vocabulary
from ood_lightning.making.scoring import Bound

SHARPNESS = 1.0  # times the encoder's own logit_scale


@dataclass(frozen=True)
class Judgement:
    """What the words did.

    Args:
        held_out: pictures, one of each group of near-duplicates.
        id_mass_before: their mean ID mass with the parent corpus, in [0, 1].
        id_mass_after: with the grown one.
        gain: the difference of the two.
        low: of its 95 % interval over pictures.
        high: of the same.
        positives_before: mined words with the parent corpus.
        positives_after: with the grown one.
        elected: accepted words that are positives.
    """

    held_out: int
    id_mass_before: float
    id_mass_after: float
    gain: float
    low: float
    high: float
    positives_before: int
    positives_after: int
    elected: tuple[str, ...]

    def __str__(self) -> str:
        verdict = "no clear change: keep the parent corpus unless you want the words for their own sake"
        if self.low > 0:
            verdict = "the grown corpus describes the pictures better"
        elif self.high < 0:
            verdict = "the grown corpus describes the pictures worse: keep the parent, or refuse words"
        return (
            f"ID mass of {self.held_out:,} held-out pictures: {self.id_mass_before:.4f} before, "
            f"{self.id_mass_after:.4f} after, {self.gain:+.4f} [{self.low:+.4f}, {self.high:+.4f}]: {verdict}"
        )


def judged(
    mining: FeatureSet,
    held_out: FeatureSet,
    assignments: Tensor,
    vocabularies: tuple[Vocabulary, Vocabulary],
    accepted: list[str],
    device: torch.device,
    seed: int,
) -> Judgement:
    """Mine with both vocabularies, and compare the ID mass of pictures that nothing was mined from.

    Args:
        mining: pictures that elect the words.
        held_out: pictures that are judged by.
        assignments: cluster of each of the former, int64 (n,).
        vocabularies: of the parent corpus, and of the grown one.
        accepted: words that the second has more.
        device: where is computed.
        seed: of the interval.
    """
    available = inputs_of(mining, device).offering(Clusters, lambda: Clusters(assignments))
    made = [MadeLabelSet(ClusterMine().make(one, available), one, None) for one in vocabularies]
    before, after = (_mass(one, available, held_out, device) for one in made)

    gain, low, high = held_out_mass(before, after, seed)
    positives = [set(one.label_set.words) for one in made]
    return Judgement(
        held_out=len(before),
        id_mass_before=float(before.mean()),
        id_mass_after=float(after.mean()),
        gain=gain,
        low=low,
        high=high,
        positives_before=len(positives[0]),
        positives_after=len(positives[1]),
        elected=tuple(word for word in accepted if word in positives[1]),
    )


def held_out_mass(before: Tensor, after: Tensor, seed: int, resamples: int = 1000) -> tuple[float, float, float]:
    """The mean gain of paired values, and its 95 % interval over resampled pairs.

    Args:
        before: float64, (n,).
        after: of the same pictures, (n,).
        seed: of the draws.
        resamples: how many.
    """
    gain = (after - before).double()
    draw = torch.Generator().manual_seed(seed)
    means = torch.stack([gain[torch.randint(len(gain), (len(gain),), generator=draw)].mean() for _ in range(resamples)])
    return float(gain.mean()), *interval(means)


def _mass(made: MadeLabelSet, available: Inputs, images: FeatureSet, device: torch.device) -> Tensor:
    """ID mass of each image, float64 (m,)."""
    return Bound(LabelMass(sharpness=SHARPNESS), made, available, device).scores(images).double().sigmoid()


def grown_vocabulary(parent: Vocabulary, grown: Words) -> Vocabulary:
    """The vocabulary of a grown corpus; only the words at its end are encoded.

    Args:
        parent: with features.
        grown: the parent's words, then further ones.
    """
    new = grown.words[len(parent.words) :]
    parts = None if grown.parts is None else grown.parts[len(parent.words) :]
    features = parent.bank.features(new, parent.prompts, "grown", parts)
    return Vocabulary(grown, torch.cat([parent.features, unit(features)]), parent.prompts, parent.bank)


def as_plain(judgement: Judgement) -> dict[str, object]:
    """For JSON."""
    return {**asdict(judgement), "elected": list(judgement.elected), "sharpness": SHARPNESS}
