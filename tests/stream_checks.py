"""What must hold of every stream that learns by gradients."""

import torch
from torch import Tensor

from ood_lightning.detectors.base import StreamDetector
from ood_lightning.detectors.evidence import Evidence


def run(detector: StreamDetector, evidence: Evidence, images: Tensor, batch_size: int) -> Tensor:
    """Scores of a fresh stream."""
    stream = detector.open(evidence)
    return torch.cat([stream(batch) for batch in images.split(batch_size)])


def check_fresh_streams_agree(detector: StreamDetector, evidence: Evidence, images: Tensor) -> None:
    """Two streams share nothing, and neither reads nor moves torch's own generator."""
    first = run(detector, evidence, images, 8)
    torch.manual_seed(123)
    state = torch.get_rng_state()
    assert torch.equal(run(detector, evidence, images, 8), first)
    assert torch.equal(torch.get_rng_state(), state)


def check_inference_mode_changes_nothing(detector: StreamDetector, evidence: Evidence, images: Tensor) -> None:
    expected = run(detector, evidence, images, 8)
    with torch.inference_mode():
        assert torch.equal(run(detector, evidence, images.clone(), 8), expected)


def check_an_empty_batch_changes_nothing(detector: StreamDetector, evidence: Evidence, images: Tensor) -> None:
    stream = detector.open(evidence)
    assert stream(images[:0]).shape == (0,)
    assert torch.equal(stream(images), run(detector, evidence, images, len(images)))
