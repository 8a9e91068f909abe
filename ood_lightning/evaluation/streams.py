"""Stream detectors under the protocol: each pair of an ID and an OOD set, in several orders, from a fresh state."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ood_lightning.detectors.base import Stream, StreamDetector, StreamProtocol
from ood_lightning.detectors.evidence import Evidence
from ood_lightning.errors import SettingsError
from ood_lightning.functional.similarity import unit
from ood_lightning.metrics.base import Metric
from ood_lightning.metrics.results import Result, evaluate, over_orders
from ood_lightning.progress import bar

if TYPE_CHECKING:
    from ood_lightning.data.artifacts.sets import EvalSet


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
        on_progress: told how many more images are done, after each batch.

    Raises:
        SettingsError: if the stream does not give one float64 score an image.
    """
    n_id, parts = len(id_features), []
    for some in rows.split(batch_size):
        batch = id_features.new_empty(len(some), id_features.shape[1], dtype=torch.float32)
        is_id = some < n_id
        batch[is_id] = id_features[some[is_id]].float()
        batch[~is_id] = ood_features[some[~is_id] - n_id].float()
        found = stream(unit(batch).to(device))
        if found.shape != some.shape or found.dtype != torch.float64:
            raise SettingsError(
                f"a stream gave {found.dtype} scores of shape {tuple(found.shape)} for {len(some)} images: "
                f"expected float64, one an image"
            )
        parts.append(found.cpu())
        on_progress(len(some))
    scores = torch.cat(parts)
    return scores[rows < n_id], scores[rows >= n_id]


def evaluate_streams(
    streams: Mapping[str, StreamDetector],
    evidence: Evidence,
    sets: Sequence[EvalSet],
    protocol: StreamProtocol,
    device: torch.device,
    about: Mapping[str, tuple[tuple[str, ...], str]],
    metrics: Mapping[str, Metric] | None = None,
) -> list[Result]:
    """A row for each detector, ID set and OOD set, in this order of nesting; a pure function of its arguments.

    Args:
        streams: by name; all can run on the evidence.
        evidence: on `device`.
        sets: of the data module; covariate-shifted sets take the ID set's place in turn.
        protocol: orders, batches and mixture.
        device: where streams compute.
        about: supervision and hash of the label set, by detector.
        metrics: what to compute, by name; the standard five if None.
    """
    id_sets = [s for s in sets if s.role != "ood"]
    ood_sets = [s for s in sets if s.role == "ood"]
    pairs = [(near, far) for near in id_sets for far in ood_sets]
    drawn = {
        (near.features.name, far.features.name): [
            protocol.rows(len(near.features), len(far.features), order) for order in range(protocol.orders)
        ]
        for near, far in pairs
    }
    images = sum(len(rows) for orders in drawn.values() for rows in orders)
    results = []
    for name, detector in streams.items():
        supervision, recipe = about[name]
        with bar(images, f"stream {name}", "img", delay_s=3) as progress_bar:
            for near, far in pairs:
                orders = []
                for rows in drawn[near.features.name, far.features.name]:
                    stream, images_of = detector.open(evidence), (near.features.image, far.features.image)
                    scores = stream_scores(stream, *images_of, rows, protocol.batch_size, device, progress_bar.update)
                    row = evaluate(
                        name,
                        near.features.name,
                        far.features.name,
                        *scores,
                        supervision=supervision,
                        stream=True,
                        group=far.group,
                        recipe=recipe,
                        metrics=metrics,
                    )
                    orders.append(row)
                results.append(over_orders(orders))
    return results
