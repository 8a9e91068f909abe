"""The drawing model and towers of random weights as ONNX graphs, on 100 pictures each."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from random_features import random_unit
from torch import Tensor, nn

from ood_lightning.calibration.calibration import Calibration
from ood_lightning.detector_folder.export import Graph, write_graph
from ood_lightning.encoders.openclip import OpenClip
from ood_lightning.functional.log_sum_exp import log_sum_exp, traceable_log_sum_exp
from ood_lightning.functional.similarity import unit

CALIBRATION = Calibration(tuple(i / 10 - 3 for i in range(60)), n_images=60, source="here")
SCALE = 100.0  # CLIP's own after training


def drawings() -> nn.Module:
    encoder = OpenClip("builtin:pictograms/model", precision="fp32")
    encoder.load(torch.device("cpu"))
    encoder.lay_out_for_speed()
    return encoder.traceable_tower()


def random_tower(name: str) -> nn.Module:
    """The image side of a model of open_clip."""
    from open_clip import get_model_config
    from open_clip.model import _build_vision_tower

    torch.manual_seed(0)
    config: Any = get_model_config(name)
    vision = {key: value for key, value in config["vision_cfg"].items() if key != "timm_model_pretrained"}
    return _build_vision_tower(config["embed_dim"], vision).eval().requires_grad_(False)


def check(tower: nn.Module, size: int, n_texts: int, folder: Path) -> None:
    """Compare scores on 100 pictures, one batch of each of several sizes."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: .[dev]")
    pytest.importorskip("onnxscript", reason="onnxscript is not installed: .[export]")
    with torch.inference_mode():
        dim = tower(torch.zeros(1, 3, size, size)).shape[1]
    positives, negatives = random_unit(10, dim, seed=1), random_unit(n_texts, dim, seed=2)

    def scorer(features: Tensor) -> Tensor:
        masses = [traceable_log_sum_exp(features @ side.T, SCALE) for side in (positives, negatives)]
        return masses[0] - masses[1]

    graph = Graph(tower, scorer, positives, negatives, CALIBRATION, torch.float32).eval()
    file = folder / "d.onnx"
    assert write_graph(graph, (3, size, size), file) == [file]
    session = onnxruntime.InferenceSession(str(file))

    images = torch.randn(100, 3, size, size, generator=torch.Generator().manual_seed(3))
    for part in (images[:1], images[1:10], *images[10:].split(10)):
        score, p_value, accepted, concepts, _ = session.run(None, {"image": part.numpy()})
        with torch.inference_mode():
            features = unit(tower(part))
        expected = log_sum_exp(features @ positives.T, SCALE) - log_sum_exp(features @ negatives.T, SCALE)
        np.testing.assert_allclose(score, expected.numpy(), atol=1e-4)
        np.testing.assert_array_equal(accepted, score >= CALIBRATION.threshold)
        np.testing.assert_allclose(p_value, CALIBRATION.p_values(torch.from_numpy(score)).numpy())
        np.testing.assert_array_equal(concepts[:, 0], (features @ positives.T).argmax(dim=1))


@pytest.mark.slow
def test_the_drawing_model(tmp_path: Path):
    check(drawings(), 64, 1000, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("name", ["ViT-B-16", "ViT-B-16-SigLIP"])
def test_a_tower_of_random_weights(name: str, tmp_path: Path):
    check(random_tower(name), 224, 1000, tmp_path)
