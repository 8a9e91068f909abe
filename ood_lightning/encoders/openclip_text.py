"""Texts of open_clip's models: their tokenizers, batches of like length, and a forward that takes fewer tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ood_lightning.encoders.openclip_tags import LOCAL
from ood_lightning.errors import EncoderError, first_line

if TYPE_CHECKING:
    from torch import Tensor


def tokenizer_of(name: str, repository: tuple[str, str] | None, cache_dir: str | None, encoder: str) -> Any:
    """A model's own tokenizer. A config may ask for a repository's code to be run with it; that is not done.

    Args:
        name: of the model, or `local-dir:folder`.
        repository: of the hub that the folder is a copy of, and its commit.
        cache_dir: where the hub's files are kept; the hub's default if None.
        encoder: its name, for errors.

    Raises:
        EncoderError: there is none, it is broken, or another one would be taken in silence.
    """
    import open_clip
    from open_clip.tokenizer import HFTokenizer

    config = open_clip.get_model_config(name)["text_cfg"]
    whose = config.get("hf_tokenizer_name")
    if not whose and config.get("pool_type") == "last":
        raise EncoderError(
            f"encoder {encoder!r}: its text tower reads the last token, as SigLIP's does, and its config names no "
            f"tokenizer (hf_tokenizer_name in text_cfg): open_clip would take CLIP's. Name its own, such as "
            f"timm/ViT-B-16-SigLIP, and for a folder put its files beside the weights"
        )
    if not whose:
        return open_clip.get_tokenizer(name, cache_dir=cache_dir)
    try:
        if not repository:
            return open_clip.get_tokenizer(name, cache_dir=cache_dir, trust_remote_code=False)
        settings = {**config.get("tokenizer_kwargs", {}), "trust_remote_code": False}
        return HFTokenizer(
            whose,
            context_length=config.get("context_length", 77),
            cache_dir=cache_dir,
            tokenizer_mode=config.get("tokenizer_mode"),
            **settings | ({"revision": repository[1]} if whose == repository[0] else {}),
        )
    except Exception as error:  # of a broken file, some raise an Exception and nothing finer
        place = "the folder" if name.startswith(LOCAL) and not repository else f"{whose} of the hub"
        raise EncoderError(
            f"encoder {encoder!r}: its tokenizer cannot be loaded from {place}: {first_line(error).rstrip('.: ')}. "
            f"Expected tokenizer.json and tokenizer_config.json; tokenizers that bring code of their own are not run"
        ) from error


def by_length(texts: Sequence[str], tokenizer: Any, size: int) -> Any:
    """Batches of (positions, tokens) of texts of like length; the order is a function of the texts alone."""
    import torch

    order = sorted(range(len(texts)), key=lambda i: (len(texts[i]), i))
    chunk = 64 * size  # tokenised together, so that sorting by tokens works and memory stays flat
    for start in range(0, len(order), chunk):
        positions = torch.tensor(order[start : start + chunk])
        tokens = tokenizer([texts[i] for i in order[start : start + chunk]])
        sorting = tokens.argmax(1).argsort(stable=True)  # the end-of-text token has the largest id
        for rows in sorting.split(size):
            yield positions[rows], tokens[rows]


def text_tower(model: Any) -> tuple[Callable[..., Tensor], bool]:
    """The text forward, and whether it may be given fewer tokens than the context holds, and vectors for tokens.

    Trimming is exact for causal towers that read the end-of-text token. SigLIP-style towers attend to their padding and
    keep it.
    """
    import torch
    from open_clip.model import CLIP
    from open_clip.transformer import TextTransformer, text_global_pool

    tower = model if isinstance(model, CLIP) else getattr(model, "text", None)
    if not isinstance(tower, CLIP | TextTransformer) or tower.attn_mask is None:
        return model.encode_text, False
    pool = tower.text_pool_type if isinstance(tower, CLIP) else tower.pool_type
    if pool != "argmax" or getattr(tower, "cls_emb", None) is not None:
        return model.encode_text, False

    def forward(tokens: Tensor, at: Tensor | None = None, vectors: Tensor | None = None) -> Tensor:
        """The tower's own forward, but for positions and mask of as many tokens as there are.

        Row i's token at place `at[i]` is embedded as `vectors[i]`.
        """
        n = tokens.shape[1]
        dtype = tower.transformer.get_cast_dtype()
        x = tower.token_embedding(tokens).to(dtype)
        if at is not None and vectors is not None:
            here = (at[:, None] == torch.arange(n, device=at.device))[..., None]
            x = torch.where(here, vectors[:, None].to(dtype), x)
        x = x + tower.positional_embedding[:n].to(dtype)
        x = tower.ln_final(tower.transformer(x, attn_mask=tower.attn_mask[:n, :n]))
        pooled: Tensor = text_global_pool(x, tokens, pool)
        projection = tower.text_projection
        if projection is None:
            return pooled
        projected: Tensor = projection(pooled) if callable(projection) else pooled @ projection
        return projected

    return forward, True
