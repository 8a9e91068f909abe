"""Images of OOD sets that may be ID: those that score above the median ID image, with the reason and the nearest one.

Source: the overlap of OOD sets with ImageNet that is published, 59.5 % of Places and 26.2 % of SUN, was found by eyes;
ClusterMine, https://arxiv.org/abs/2511.07068, equation 1, is the score whose words are the reason.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ood_lightning.data.artifacts.features import EvalSet
from ood_lightning.data.shards.folder_files import name_of
from ood_lightning.data.shards.manifest import Manifest
from ood_lightning.data.shards.samples import located
from ood_lightning.errors import SettingsError
from ood_lightning.functional.shares import text_logits
from ood_lightning.functional.similarity import top_k, unit
from ood_lightning.revision.stored_run import ROWS, StoredRun
from ood_lightning.revision.words import by_words, vocabulary_of

N_WORDS = 3  # of a reason


class Suspect(NamedTuple):
    """An OOD image that may be ID.

    Attributes:
        dataset: its set.
        key: the image.
        score: nats; higher = more ID.
        id_below: share of the ID images that score lower, in [0.5, 1].
        words: positives with the largest shares of both masses, the largest first.
        shares: theirs, in [0, 1].
        nearest_id: key of the ID image that is most like it.
        cosine: to that image.
    """

    dataset: str
    key: str
    score: float
    id_below: float
    words: tuple[str, ...]
    shares: tuple[float, ...]
    nearest_id: str
    cosine: float


def suspected(id_scores: Tensor, ood_scores: Tensor) -> Tensor:
    """Rows of the OOD images that score above the median ID image, the highest score first, int64.

    Args:
        id_scores: shape (n,); of an even number the lower one of the two in the middle is the median.
        ood_scores: shape (m,).

    Example:
        >>> suspected(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([2.0, 5.0, 2.5, 0.0])).tolist()
        [1, 2]
    """
    order = ood_scores.argsort(descending=True, stable=True)
    return order[ood_scores[order] > id_scores.median()]


class Audit:
    """The suspects of a run's OOD sets.

    Args:
        run: the finished run.
        detector: of class LabelMass; None: the first one.

    Raises:
        SettingsError: the run has no such detector.
    """

    def __init__(self, run: StoredRun, detector: str | None) -> None:
        possible = {name: one for labels in run.label_sets for name, one in by_words(run, labels).items()}
        if not possible or (detector or next(iter(possible))) not in possible:
            what = f"detector {detector!r} is none" if detector else "there is none"
            raise SettingsError(
                f"{what} of the run whose reasons are words: expected one of class LabelMass "
                f"({', '.join(possible) or 'the run has none'})"
            )
        self.run, self.detector = run, detector or next(iter(possible))
        self.scores = run.scores.column(self.detector)

        settings = possible[self.detector]
        vocabulary = vocabulary_of(run, settings.labels)
        label_set = run.label_sets[settings.labels]
        adjectives = label_set.recipe.get("adjectives", {}).get("positives", ())
        self._words = label_set.words
        self._positives = vocabulary.encode(self._words, "positives", adjectives).to(run.device)
        self._scale = settings.sharpness * vocabulary.bank.logit_scale
        self.supervision = tuple(sorted(settings.supervision.union(label_set.supervision)))
        self.recipe = label_set.sha256

    def suspects(self, id_set: EvalSet, ood_set: EvalSet) -> list[Suspect]:
        """Those of one set, the highest score first."""
        id_scores, scores = self.scores[id_set.name], self.scores[ood_set.name]
        ranked = id_scores.sort().values
        reference = unit(id_set.features.image[:].to(self.run.device).float())

        suspects: list[Suspect] = []
        for rows in suspected(id_scores, scores).split(ROWS):
            images = unit(ood_set.features.image[rows].to(self.run.device).float())
            shares, words = self._reasons(images, scores[rows])
            cosines, nearest = (part[:, 0].tolist() for part in top_k(images, reference, 1))
            below = torch.searchsorted(ranked, scores[rows], side="left").double() / len(ranked)
            suspects += [
                Suspect(
                    ood_set.name,
                    ood_set.features.keys[row],
                    float(scores[row]),
                    float(below[i]),
                    tuple(self._words[word] for word in words[i]),
                    tuple(shares[i]),
                    id_set.features.keys[nearest[i]],
                    cosines[i],
                )
                for i, row in enumerate(rows.tolist())
            ]
        return suspects

    def _reasons(self, images: Tensor, scores: Tensor) -> tuple[list[list[float]], list[list[int]]]:
        """The largest shares of positives in both masses, and the positives, each a list of lists.

        A share is ``exp(logit - log(exp(m_P) + exp(m_N)))``; the sum of the positives' is sigmoid of the score.
        """
        logits = text_logits(images, self._positives, self._scale)  # (b, P)
        of_positives = torch.nn.functional.logsigmoid(scores.to(logits.device))[:, None]
        shares = (logits.log_softmax(dim=1) + of_positives).exp()
        best = shares.topk(min(N_WORDS, shares.shape[1]), dim=1)
        return best.values.tolist(), best.indices.tolist()


def source_paths(manifest: Manifest, keys: Collection[str]) -> list[str]:
    """Paths of images within the source of a set, as `data pack --exclude` takes them, in the order of the set.

    Args:
        manifest: of the set; of its tars the headers are read.
        keys: of the images.
    """
    samples = (sample for shard in manifest.shards for sample in located(manifest.container(shard)))
    return [
        name_of(sample.key) if manifest.of_files else f"{sample.key}.{sample.suffix.lstrip('.')}"
        for sample in samples
        if sample.key in keys
    ]


def sets_named(sets: Sequence[EvalSet], names: Sequence[str]) -> list[EvalSet]:
    """The OOD sets of these names.

    Raises:
        SettingsError: a name is none of theirs.
    """
    by_name = {one.name: one for one in sets if one.role == "ood"}
    if unknown := [name for name in names if name not in by_name]:
        raise SettingsError(f"{unknown[0]!r} is no OOD set of the run, which has {', '.join(by_name)}")
    return [by_name[name] for name in dict.fromkeys(names)]
