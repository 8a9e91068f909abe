"""Stream detectors under the protocol: each pair of an ID and an OOD set, in several orders, from a fresh state."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from ood_lightning.data.artifacts.features import EvalSet
from ood_lightning.detectors.base import Stream, StreamDetector, StreamProtocol
from ood_lightning.detectors.evidence import Evidence
from ood_lightning.detectors.image_texts import ImageStreamDetector
from ood_lightning.errors import SettingsError
from ood_lightning.evaluation.stream_images import SetImages, images_of_stream
from ood_lightning.functional.similarity import unit
from ood_lightning.metrics.base import Metric
from ood_lightning.metrics.results import Result, evaluate, over_orders
from ood_lightning.progress import bar


def stream_scores(
    stream: Stream,
    id_features: Tensor,
    ood_features: Tensor,
    rows: Tensor,
    batch_size: int,
    device: torch.device,
    on_progress: Callable[[int], object] = lambda n: None,
) -> tuple[Tensor, Tensor]:
    """Scores of the ID and of the OOD images, each in stream order, on the CPU.

    Args:
        stream: fresh; it has seen all of `rows` afterwards.
        id_features: shape (n_id, D), any float dtype, on the CPU.
        ood_features: shape (n_ood, D).
        rows: the stream; below n_id an ID image, from there on an OOD image.
        batch_size: images handed over at once.
        device: where the stream computes.
        on_progress: called after each batch with its number of images.

    Raises:
        SettingsError: if the stream does not give one float64 score an image.
    """
    n_id, parts = len(id_features), []
    for batch_rows in rows.split(batch_size):
        # ID images and OOD images lie in two tensors; the batch holds them in stream order, (b, D)
        batch = id_features.new_empty(len(batch_rows), id_features.shape[1], dtype=torch.float32)
        is_id = batch_rows < n_id
        batch[is_id] = id_features[batch_rows[is_id]].float()
        batch[~is_id] = ood_features[batch_rows[~is_id] - n_id].float()

        scores = stream(unit(batch).to(device))
        if scores.shape != batch_rows.shape or scores.dtype != torch.float64:
            raise SettingsError(
                f"a stream gave {scores.dtype} scores of shape {tuple(scores.shape)} for {len(batch_rows)} images: "
                f"expected float64, one an image"
            )
        parts.append(scores.cpu())
        on_progress(len(batch_rows))

    in_order = torch.cat(parts)
    return in_order[rows < n_id], in_order[rows >= n_id]


class StreamScores(NamedTuple):
    """What a detector gave the images of a pair of sets in each order of the stream.

    Attributes:
        detector: its name.
        id_set: name of the ID set.
        ood_set: name of the OOD set.
        id_scores: in the order of the set, shape (n_id, orders); of a thinned stream (`id_per_ood`) of the images that
            were in it.
        ood_scores: the same, shape (n_ood, orders).
    """

    detector: str
    id_set: str
    ood_set: str
    id_scores: Tensor
    ood_scores: Tensor


class Provenance(NamedTuple):
    """What the results of a detector say of where it comes from.

    Attributes:
        supervision: of the detector and of its label set.
        recipe: hash of its label set; "" if it reads none.
    """

    supervision: tuple[str, ...]
    recipe: str


def evaluate_streams(
    streams: Mapping[str, StreamDetector],
    evidence: Evidence,
    sets: Sequence[EvalSet],
    protocol: StreamProtocol,
    device: torch.device,
    provenance: Mapping[str, Provenance],
    metrics: Mapping[str, Metric] | None = None,
    on_scores: Callable[[StreamScores], object] = lambda scores: None,
) -> list[Result]:
    """A row for each detector, ID set and OOD set, in this order of nesting; a pure function of its arguments.

    Args:
        streams: by name; all can run on the evidence.
        evidence: on `device`.
        sets: of the data module; covariate-shifted sets take the ID set's place in turn.
        protocol: orders, batches and mixture.
        device: where streams compute.
        provenance: of each detector.
        metrics: what to compute, by name; the standard five if None.
        on_scores: called with the scores of each detector and pair of sets.
    """
    pairs = [(id_set, ood_set) for id_set in sets if id_set.role != "ood" for ood_set in sets if ood_set.role == "ood"]
    orders = [  # of each pair, the rows of each stream
        [protocol.rows(len(id_set.features), len(ood_set.features), order) for order in range(protocol.orders)]
        for id_set, ood_set in pairs
    ]
    n_images = sum(len(rows) for of_pair in orders for rows in of_pair)

    results = []
    for name, detector in streams.items():
        with bar(n_images, f"stream {name}", "img", delay_s=3) as progress_bar:
            for (id_set, ood_set), of_pair in zip(pairs, orders, strict=True):
                images = (id_set.features.image.to("cpu"), ood_set.features.image.to("cpu"))
                row = partial(
                    evaluate,
                    name,
                    id_set.features.name,
                    ood_set.features.name,
                    supervision=provenance[name].supervision,
                    stream=True,
                    group=ood_set.group,
                    recipe=provenance[name].recipe,
                    metrics=metrics,
                )
                scores = [
                    stream_scores(
                        _opened(detector, evidence, id_set, ood_set, rows),
                        *images,
                        rows,
                        protocol.batch_size,
                        device,
                        progress_bar.update,
                    )
                    for rows in of_pair
                ]
                results.append(over_orders([row(*sides) for sides in scores]))

                names = (name, id_set.features.name, ood_set.features.name)
                on_scores(StreamScores(*names, *_in_set_order(scores, of_pair, len(images[0]))))
    return results


def _in_set_order(scores: Sequence[tuple[Tensor, Tensor]], orders: Sequence[Tensor], n_id: int) -> list[Tensor]:
    """ID and OOD scores of all orders, each in the order of its set, (n, orders)."""
    sides = []
    for side, is_id in enumerate((True, False)):
        rows = [order[(order < n_id) == is_id] for order in orders]
        sides.append(
            torch.stack([of_order[side][its.argsort()] for of_order, its in zip(scores, rows, strict=True)], 1)
        )
    return sides


def _opened(detector: StreamDetector, evidence: Evidence, id_set: EvalSet, ood_set: EvalSet, rows: Tensor) -> Stream:
    """A fresh stream, which knows its images if the detector wants to see them."""
    if isinstance(detector, ImageStreamDetector):
        return detector.open_on(evidence, images_of_stream(SetImages(id_set), SetImages(ood_set), rows))
    return detector.open(evidence)
