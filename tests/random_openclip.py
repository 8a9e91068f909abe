"""Encoders around models of open_clip with random weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from ood_lightning.encoders.openclip import OpenClip, Towers

if TYPE_CHECKING:
    from torch import Tensor


def encoder_of(model: Any, text_batch: int = 4, context: int = 16) -> OpenClip:
    """An encoder around a model, as :meth:`OpenClip.load` leaves it.

    All weights are random: initialisation leaves some at zero, which would hide faults.
    """
    import open_clip

    torch.manual_seed(1)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)

    encoder = OpenClip("local-dir:none", text_batch=text_batch)
    tokenizer = open_clip.SimpleTokenizer(context_length=context)
    encoder._towers = Towers(model.eval().requires_grad_(False), None, tokenizer)
    return encoder


def at_full_context(encoder: OpenClip, texts: list[str]) -> Tensor:
    """Features of texts the model's own way, every text with all its padding."""
    model, _, tokenizer = encoder._towers
    with torch.inference_mode():
        features: Tensor = model.encode_text(tokenizer(texts)).float()
    return features
