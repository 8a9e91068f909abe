"""The steps from pictures to a detector folder, in a row. Each says what it did; what it found is kept and reused."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor

from ood_lightning.calibration.calibrate import calibrate_scores
from ood_lightning.calibration.calibration import Calibration
from ood_lightning.calibration.checks import overlap
from ood_lightning.calibration.split import Split, split
from ood_lightning.data.artifacts.features import FeatureSet
from ood_lightning.data.shards.manifest import Manifest
from ood_lightning.errors import SettingsError
from ood_lightning.functional.conformal import needed, needed_on_average
from ood_lightning.label_sets.base import LabelSource
from ood_lightning.label_sets.ready import MadeLabelSet
from ood_lightning.label_sets.training_images import inputs_of
from ood_lightning.label_sets.vocabulary import Vocabulary
from ood_lightning.making.kept import EARLIER, Kept
from ood_lightning.making.looking import part_of
from ood_lightning.making.mining import MINED_FILES, Mined, mined
from ood_lightning.making.pictures import Pictures, embedded, file_names, pictures
from ood_lightning.making.scoring import Bound, compared
from ood_lightning.making.tools import Tools
from ood_lightning.metrics.results import Result
from ood_lightning.plurals import listed, many
from ood_lightning.reasons.pictures import ScoredSet
from ood_lightning.reasons.thumbnails import ShownSet

FEWEST = 5  # different pictures: three to learn from, two to hold out
SOURCE = "the same pictures, set apart before anything was learned"


def looked_at(manifests: Sequence[Manifest], tools: Tools) -> Pictures:
    """Embed the pictures, and say which cannot be read or are nearly the same.

    Raises:
        SettingsError: too few are different.
    """
    sets = [_embedded(manifest, tools) for manifest in manifests]
    everything = pictures(sets, tools.device)

    n_alike = len(everything) - everything.n_different
    parts = [many(len(everything), "picture")]
    if everything.unreadable:
        parts.append(f"{len(everything.unreadable):,} more cannot be read (listed below)")
    if n_alike:
        parts.append(f"{n_alike:,} {'is' if n_alike == 1 else 'are'} nearly the same as another one")
    if everything.passed_over:
        parts.append(f"no pictures by name: {listed(everything.passed_over)}")
    tools.say("; ".join(parts))

    if everything.n_different < FEWEST:
        different = many(everything.n_different, "different picture")
        raise SettingsError(
            f"{different} among {len(everything):,}: at least {FEWEST} are needed, some to learn from and some to set "
            f"a threshold on; a hundred and more make a good detector"
        )
    return everything


def _embedded(manifest: Manifest, tools: Tools) -> FeatureSet:
    return embedded(manifest, tools.encoder, tools.cache_dir, tools.device, tools.num_workers)


def set_apart(everything: Pictures, tpr: float, tools: Tools) -> Split:
    """Hold pictures out for the threshold before anything is learned from the others."""
    parts = split(everything.groups, tools.seed, tpr)
    n_unused = len(parts.unused)
    unused = (
        f"; {many(n_unused, 'near-duplicate')} of these {'is' if n_unused == 1 else 'are'} not used" if n_unused else ""
    )
    tools.say(
        f"{len(parts.mining):,} to learn from, {len(parts.calibration):,} set apart for the threshold, whole groups of "
        f"near-duplicates at a time{unused}"
    )
    return parts


def begin(made_from: Mapping[str, object], mines: bool, tools: Tools) -> None:
    """Let the run's folder belong to this run, before its first step writes there.

    Args:
        made_from: all that its results depend on.
        mines: it has clusters.
        tools: of the run.
    """
    if Kept(tools.folder).begin(made_from, () if mines else MINED_FILES):
        print(f"{tools.folder} holds results of a run with other inputs: they are in {tools.folder / EARLIER} now")


def label_set_of(
    everything: Pictures,
    parts: Split,
    vocabulary: Vocabulary,
    source: LabelSource | None,
    n_clusters: int | None,
    tools: Tools,
) -> Mined:
    """The label set, what the images offer to detectors, and how it came about.

    Args:
        everything: all pictures.
        parts: which of them may be learned from.
        vocabulary: words with their features.
        source: of names that are given; None: mined from the pictures.
        n_clusters: that a person wants.
        tools: of the run.
    """
    images = everything.part(parts.mining, "mining")
    if source is None:
        result = mined(images, vocabulary, n_clusters, tools)
    else:
        available = inputs_of(images, tools.device)
        label_set, bounds = source.make(vocabulary, available), source.class_bounds(vocabulary, available)
        reason = f"{type(source).__name__} of the names that were given"
        result = Mined(MadeLabelSet(label_set, vocabulary, bounds), available, reason)

    words = result.made.label_set.words
    tools.say(f"{many(len(words), 'positive')}: {', '.join(words[:12])}{', ...' if words[12:] else ''}")
    return result


def calibrated(everything: Pictures, parts: Split, scores: Tensor, tpr: float) -> Calibration:
    """The calibration of a detector by the scores of the pictures that were set apart.

    Args:
        everything: all pictures.
        parts: which of them were set apart.
        scores: of those, in their order.
        tpr: wanted true-positive rate.
    """
    image, held_out = everything.images.features.image[:], parts.calibration
    remarks = overlap(image[held_out], image[parts.mining])
    return calibrate_scores(scores, everything.groups[held_out], tpr, SOURCE, remarks=remarks)


def more_pictures(calibration: Calibration) -> list[str]:
    """How many pictures a run needs for a threshold, where it has none; nothing where it has one.

    Args:
        calibration: of the run.
    """
    on_average, for_sure = needed_on_average(calibration.tpr), needed(calibration.tpr)
    if calibration.threshold > -math.inf or on_average is None or for_sure is None:
        return []
    return [
        f"At most half of the pictures are set apart, so {2 * on_average:,} different ones give a threshold at "
        f"{100 * calibration.tpr:.10g} %, and {2 * for_sure:,} one that holds with 95 % confidence."
    ]


class Scored(NamedTuple):
    """What a detector says of all images that were not learned from.

    Attributes:
        rows: of the held-out images, then of all OOD images.
        results: of the OOD sets, with their mean; none where there are none.
        sets: their scores, the held-out images first.
    """

    rows: list[dict[str, Any]]
    results: list[Result]
    sets: list[ScoredSet]


def scored(
    bound: Bound,
    everything: Pictures,
    parts: Split,
    scores: Tensor,
    ood: Sequence[Manifest],
    calibration: Calibration,
    tools: Tools,
) -> Scored:
    """The held-out images and all OOD images: their rows, and how well they come apart.

    Args:
        bound: the detector.
        everything: all pictures.
        parts: which of them were set apart.
        scores: of those, in their order.
        ood: sets that are scored.
        calibration: of the detector.
        tools: of the run.
    """
    held_out = everything.part(parts.calibration, "held_out")
    files = [everything.files[row] for row in parts.calibration.tolist()]
    sets = [_embedded(manifest, tools) for manifest in ood]
    of_sets = {one.manifest.name: bound.scores(one) for one in sets}
    rows = rows_of(bound, held_out, files, scores, calibration)
    for one in sets:
        rows += rows_of(bound, one, file_names(one), of_sets[one.manifest.name], calibration)

    supervision = sorted({*bound.detector.supervision, *bound.ready.label_set.supervision})
    name = type(bound.detector).__name__
    results = compared(name, held_out.manifest.name, scores, of_sets, supervision) if sets else []
    looked_at = [ScoredSet(part_of(everything, parts.calibration, held_out), True, scores)]
    looked_at += [ScoredSet(ShownSet(one), False, of_sets[one.manifest.name]) for one in sets]
    return Scored(rows, results, looked_at)


def rows_of(
    bound: Bound, images: FeatureSet, files: Sequence[str], scores: Tensor, calibration: Calibration
) -> list[dict[str, Any]]:
    """A row for each image of a set: its score, p-value, decision and nearest words."""
    columns = (
        files,
        scores.tolist(),
        calibration.p_values(scores).tolist(),
        calibration.accepted(scores).tolist(),
        bound.nearest_words(images),
    )

    return [
        {
            "set": images.manifest.name,
            "path": path,
            "score": score,
            "p_value": p_value,
            "accepted": accepted,
            "concepts": words,
        }
        for path, score, p_value, accepted, words in zip(*columns, strict=True)
    ]
