"""Rates of towers with random weights: precisions, memory formats, compiled, fed from pinned memory; texts our way."""

from collections.abc import Callable
from typing import Any, NamedTuple

import open_clip
import torch
from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg
from torch import Tensor

from benchmarks.gpu.clock import Timed, timed
from ood_lightning.encoders.openclip_text import encode_texts

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # CLIP's
BATCH, N_TEXTS = 256, 2048


class Rate(NamedTuple):
    """Of images or texts a second, and the peak memory beside weights and inputs."""

    per_s: float
    peak_mib: float | None


def random_model(name: str) -> Any:
    """A model of open_clip with random weights, the same at every call; `small` is a toy of the same build."""
    torch.manual_seed(0)
    if name != "small":
        return open_clip.create_model(name).eval().requires_grad_(False)

    vision = CLIPVisionCfg(layers=2, width=64, head_width=32, patch_size=32, image_size=64)
    text = CLIPTextCfg(context_length=77, vocab_size=49_408, width=64, heads=2, layers=2)
    return CLIP(32, vision, text).eval().requires_grad_(False)


def pictures(model: Any, n: int) -> Tensor:
    """Random pictures of the model's size, uint8, (n, 3, H, W)."""
    size = model.visual.image_size
    height, width = size if isinstance(size, tuple) else (size, size)
    return torch.randint(256, (n, 3, height, width), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)


def words(n: int) -> list[str]:
    """Texts of different lengths, as labels in a template are."""
    return [f"a photo of a {' '.join(['grey'] * (i % 5))} thing number {i}." for i in range(n)]


def tokens(model: Any, n: int) -> Tensor:
    """Tokens of texts, (n, context)."""
    return open_clip.SimpleTokenizer(context_length=model.context_length)(words(n))


def section_base(small: bool, device: torch.device) -> dict[str, Rate]:
    """ViT-B/16."""
    return rates("small" if small else "ViT-B-16", device, 8 if small else BATCH, 20 if small else N_TEXTS)


def section_huge(small: bool, device: torch.device) -> dict[str, Rate]:
    """ViT-H/14."""
    return rates("small" if small else "ViT-H-14", device, 8 if small else BATCH // 2, 20 if small else N_TEXTS)


@torch.inference_mode()
def rates(name: str, device: torch.device, batch: int, n_texts: int) -> dict[str, Rate]:
    """Images and texts a second, every way.

    Args:
        name: open_clip's.
        device: of the towers.
        batch: images at once.
        n_texts: encoded together.
    """
    model = random_model(name).to(device)
    images = pictures(model, batch)
    found: dict[str, Rate] = {}

    on_device = images.to(device).float() / 255
    for what, precision in (("float32", "highest"), ("TF32", "high")):
        torch.set_float32_matmul_precision(precision)
        found[f"images, {what}"] = _rate(lambda: model.encode_image(on_device), device, batch)
    found |= _text_rates(model, n_texts, device)

    model = model.to(torch.bfloat16)
    half = on_device.bfloat16()
    found["images, bf16"] = _rate(lambda: model.encode_image(half), device, batch)
    last = model.to(memory_format=torch.channels_last)
    half_last = half.to(memory_format=torch.channels_last)
    found["images, bf16, channels_last"] = _rate(lambda: last.encode_image(half_last), device, batch)

    encode = last.encode_image
    if device.type == "cuda":  # a processor would need a C++ compiler
        encode = torch.compile(last.encode_image)
        found["images, bf16, channels_last, compiled"] = _rate(lambda: encode(half_last), device, batch)
    found["images, uint8 from pinned memory"] = _rate(_fed(encode, images, device), device, batch)
    return found


def _text_rates(model: Any, n_texts: int, device: torch.device) -> dict[str, Rate]:
    tokenizer, texts = open_clip.SimpleTokenizer(context_length=model.context_length), words(n_texts)
    every_token = tokens(model, n_texts).to(device)

    def plain() -> None:
        for part in every_token.split(512):
            model.encode_text(part)

    def ours() -> None:
        encode_texts(model, tokenizer, texts, 512, "random", lambda n: None)

    return {
        "texts, TF32, at full context": _rate(plain, device, n_texts),
        "texts, TF32, ours with the tokenizer": _rate(ours, device, n_texts),
    }


def _fed(encode: Callable[[Tensor], Tensor], images: Tensor, device: torch.device) -> Callable[[], Tensor]:
    """Copy bytes, scale and normalise them on the device, encode."""
    mean, std = (torch.tensor(numbers, device=device).view(3, 1, 1) for numbers in (MEAN, STD))
    waiting = images.pin_memory() if device.type == "cuda" else images

    def once() -> Tensor:
        copied = waiting.to(device, non_blocking=True).to(memory_format=torch.channels_last)
        return encode(((copied.float() / 255 - mean) / std).bfloat16())

    return once


def _rate(work: Callable[[], object], device: torch.device, n: int) -> Rate:
    spent: Timed = timed(work, device)
    return Rate(n / spent.s, spent.peak_mib)
