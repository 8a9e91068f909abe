"""Texts of open_clip's models: their tokenizers, batches of similar length, and forwards that take fewer tokens."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, cast

import open_clip
import torch
from open_clip.model import CLIP
from open_clip.transformer import TextTransformer, text_global_pool
from torch import Tensor

from ood_lightning.encoders.openclip_tags import LOCAL
from ood_lightning.encoders.quick_tokens import quick
from ood_lightning.encoders.shared_beginnings import can_share, outputs_at_ends
from ood_lightning.encoders.tokens import cut, report_cut
from ood_lightning.errors import EncoderError, first_line

CHUNK = 64  # batches whose texts are tokenised together: sorting by tokens then works, and memory stays flat


def tokenizer_of(name: str, repository: tuple[str, str] | None, cache_dir: str | None, encoder: str) -> Any:
    """A model's own tokenizer. A config may ask for a repository's code to be run with it; that is not done.

    Args:
        name: of the model, or `local-dir:folder`.
        repository: of the hub that the folder is a copy of, and its commit.
        cache_dir: where the hub's files are kept; the hub's default if None.
        encoder: its name, for errors.

    Raises:
        EncoderError: there is none, it is broken, or open_clip would take another one without an error.
    """
    config = open_clip.get_model_config(name)["text_cfg"]
    tokenizer_name = config.get("hf_tokenizer_name")
    if not tokenizer_name:
        if config.get("pool_type") == "last":
            raise EncoderError(
                f"encoder {encoder!r}: its text tower reads the last token, as SigLIP's does, and its config names no "
                f"tokenizer (hf_tokenizer_name in text_cfg): open_clip would take CLIP's. Name its own, such as "
                f"timm/ViT-B-16-SigLIP, and for a folder put its files beside the weights"
            )
        return quick(open_clip.get_tokenizer(name, cache_dir=cache_dir))

    try:
        if not repository:
            return open_clip.get_tokenizer(name, cache_dir=cache_dir, trust_remote_code=False)

        options = {**config.get("tokenizer_kwargs", {}), "trust_remote_code": False}
        if tokenizer_name == repository[0]:
            options["revision"] = repository[1]
        return open_clip.tokenizer.HFTokenizer(
            tokenizer_name,
            context_length=config.get("context_length", 77),
            cache_dir=cache_dir,
            tokenizer_mode=config.get("tokenizer_mode"),
            **options,
        )
    except Exception as error:  # of a broken file, some raise an Exception and nothing finer
        origin = "the folder" if name.startswith(LOCAL) and not repository else f"{tokenizer_name} of the hub"
        raise EncoderError(
            f"encoder {encoder!r}: its tokenizer cannot be loaded from {origin}: {first_line(error).rstrip('.: ')}. "
            f"Expected tokenizer.json and tokenizer_config.json; tokenizers that bring code of their own are not run"
        ) from error


def encode_texts(
    model: Any, tokenizer: Any, texts: Sequence[str], size: int, encoder: str, on_progress: Callable[[int], object]
) -> Tensor:
    """Unnormalised features (V, D) float32 of texts, in their order, on the CPU; texts that were cut are logged.

    Args:
        model: open_clip's, in evaluation mode.
        tokenizer: the model's.
        texts: V of them.
        size: texts in a batch.
        encoder: its name, for the log.
        on_progress: called after each batch with its number of texts.
    """
    empty_text = tokenizer([""])  # (1, context)
    padding, context = int(empty_text[0, -1]), empty_text.shape[1]
    in_batches = batches_of(model)

    parts: list[tuple[Tensor, Tensor]] = []
    too_long: list[int] = []
    order = sorted(range(len(texts)), key=lambda row: (texts[row], row))  # those that begin alike follow each other
    for start in range(0, len(order), CHUNK * size):
        chunk = order[start : start + CHUNK * size]
        of_chunk = [texts[row] for row in chunk]
        tokens = tokenizer(of_chunk)
        too_long += [chunk[i] for i in cut(of_chunk, tokens, tokenizer, padding)]

        for rows, features in in_batches(tokens, size):
            parts.append((torch.tensor(chunk)[rows], features.float().cpu()))
            on_progress(len(rows))

    report_cut(texts, too_long, context, encoder)
    places, features = (torch.cat(column) for column in zip(*parts, strict=True))
    return torch.empty_like(features).index_copy_(0, places, features)


Batches = Iterator[tuple[Tensor, Tensor]]  # rows of the tokens (B,) and their features (B, D), on the tower's device


def batches_of(model: Any) -> Callable[[Tensor, int], Batches]:
    """The fastest way that is exact for this model: token ids (n, context) and a batch's size to features."""
    tower = causal_tower(model)
    if tower is None:
        return partial(_whole, model.encode_text, device=next(model.parameters()).device)
    if can_share(tower):
        return partial(_own_tokens, tower)
    return partial(_trimmed, _forward_of(tower), device=tower.token_embedding.weight.device)


def _whole(forward: Callable[[Tensor], Tensor], tokens: Tensor, size: int, *, device: torch.device) -> Batches:
    """With all their padding."""
    for rows in torch.arange(len(tokens)).split(size):
        yield rows, forward(tokens[rows].to(device))


def _trimmed(forward: Callable[[Tensor], Tensor], tokens: Tensor, size: int, *, device: torch.device) -> Batches:
    """Cut to the longest of a batch: a causal tower never looks past the end-of-text token."""
    ends = tokens.argmax(dim=1)  # the end-of-text token has the largest id
    for rows in ends.argsort(descending=True, stable=True).split(size):
        yield rows, forward(tokens[rows, : int(ends[rows].max()) + 1].to(device))


def _own_tokens(tower: Any, tokens: Tensor, size: int) -> Batches:
    """Beginnings that texts share once, and then each text's own tokens."""
    for rows, ends in outputs_at_ends(tower, tokens, size):
        yield rows, _project(tower, tower.ln_final(ends))


def causal_tower(model: Any) -> Any:
    """A model's text tower if a text's features depend on its tokens up to the end-of-text token alone, else None.

    Leaving out the padding is exact for such towers. SigLIP's need theirs.
    """
    tower = model if isinstance(model, CLIP) else getattr(model, "text", None)
    if not isinstance(tower, CLIP | TextTransformer) or tower.attn_mask is None:
        return None

    pool = tower.text_pool_type if isinstance(tower, CLIP) else tower.pool_type
    if pool != "argmax" or getattr(tower, "cls_emb", None) is not None:
        return None
    return tower


def causal_forward(model: Any) -> Callable[..., Tensor] | None:
    """A text forward, token ids (B, L) to features (B, D), that takes rows without padding, and vectors for tokens.

    None for towers that are no :func:`causal_tower`.
    """
    tower = causal_tower(model)
    return None if tower is None else _forward_of(tower)


def _forward_of(tower: Any) -> Callable[..., Tensor]:
    """The forward of a causal tower."""

    def forward(tokens: Tensor, positions: Tensor | None = None, vectors: Tensor | None = None) -> Tensor:
        """The tower's own forward, but with positions and mask of as many tokens as there are.

        Row i's token at `positions[i]` is embedded as `vectors[i]`.
        """
        length = tokens.shape[1]
        dtype = tower.transformer.get_cast_dtype()
        x = tower.token_embedding(tokens).to(dtype)  # (B, L, width)
        if positions is not None and vectors is not None:
            is_vector = positions[:, None] == torch.arange(length, device=positions.device)  # (B, L)
            x = torch.where(is_vector[..., None], vectors[:, None].to(dtype), x)

        x = x + tower.positional_embedding[:length].to(dtype)
        x = tower.ln_final(tower.transformer(x, attn_mask=tower.attn_mask[:length, :length]))
        return _project(tower, text_global_pool(x, tokens, "argmax"))  # of (B, width)

    return forward


def _project(tower: Any, pooled: Tensor) -> Tensor:
    """(B, width) to (B, D), where the tower has a projection."""
    projection = tower.text_projection
    if projection is None:
        return pooled
    return cast(Tensor, projection(pooled) if callable(projection) else pooled @ projection)
