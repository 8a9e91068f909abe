"""Models of open_clip as a name and a tag make them, without their numbers: on the `meta` device, built in no time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import open_clip
import open_clip.factory
import torch
from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    import pytest

# by which modules fill new parameters; on `meta` there is nothing to fill, yet each call takes its time
FILLING = {*("normal_", "uniform_", "fill_", "zero_", "erfinv_", "mul_", "add_", "clamp_", "copy_")}


class _Unfilled(TorchFunctionMode):
    """Parameters on `meta` are left as they are."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(function, "__name__", "")
        if name in FILLING and args and isinstance(args[0], torch.Tensor) and args[0].is_meta:
            return args[0]
        return function(*args, **(kwargs or {}))


def tag_file(monkeypatch: pytest.MonkeyPatch, file: str) -> None:
    """Whatever tag open_clip is asked for, its weights are those of a file, and its preprocessing is the tag's own."""
    monkeypatch.setattr(open_clip.factory, "download_pretrained", lambda *args, **options: file)


def on_meta(model: str, tag: str) -> Any:
    """Both towers on the `meta` device, evaluating; :func:`tag_file` comes first."""
    with torch.device("meta"), _Unfilled():
        towers = open_clip.create_model(model, pretrained=tag, load_weights=False, device="meta")
    return towers.eval().requires_grad_(False)


def feature_shapes(towers: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Of one picture's and two texts' features."""
    context = getattr(towers, "context_length", None) or towers.text.context_length
    height, width = open_clip.transform.to_2tuple(towers.visual.image_size)
    with torch.device("meta"):
        image = towers.encode_image(torch.empty(1, 3, height, width))
        text = towers.encode_text(torch.zeros(2, context, dtype=torch.long))
    return tuple(image.shape), tuple(text.shape)
