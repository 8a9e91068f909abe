"""Further columns of a picture, taken from the same forward of the vision tower as its features.

Towers are told apart by their parts, since open_clip itself comes in by openclip.py alone.

Source: patches as in GL-MCM, Miyai et al., IJCV 2025, https://arxiv.org/abs/2304.04521, and its code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ood_lightning.errors import EncoderError

if TYPE_CHECKING:
    from torch import Tensor

Compute = Callable[["Tensor", "Tensor"], "Tensor"]  # a module's input and output to a column


@contextmanager
def capture_intermediate(visual: Any, extra_features: Sequence[str], name: str) -> Iterator[dict[str, Tensor]]:
    """While this is open, a forward of `visual` leaves its columns here; the forward itself is not changed.

    Args:
        visual: open_clip's vision tower, in evaluation mode.
        extra_features: `tower`, the pooled output before the visual projection, (B, D_pre); `patches`, local features
            after the projection, (B, P, D). Neither is normalised.
        name: the encoder's, for errors.

    Raises:
        EncoderError: if this kind of tower has no such column.
    """
    found: dict[str, Tensor] = {}
    places = {column: _place(visual, column, name) for column in extra_features}
    hooks = [
        module.register_forward_hook(
            lambda _, given, out, column=column, compute=compute: found.__setitem__(column, compute(given[0], out))
        )
        for column, (module, compute) in places.items()
    ]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def _place(visual: Any, column: str, name: str) -> tuple[Any, Compute]:
    """The module at which a column is to be had, and how."""
    if hasattr(visual, "attnpool"):  # ModifiedResNet
        compute = _resnet_tower if column == "tower" else _resnet_patches
        return visual.attnpool, lambda given, out: compute(visual.attnpool, given)
    if hasattr(visual, "transformer"):  # VisionTransformer
        if column == "tower":
            return visual.transformer, lambda given, out: visual._pool(out)[0]
        if visual.attn_pool is not None or not hasattr(visual.transformer.resblocks[-1].attn, "embed_dim"):
            raise EncoderError(
                f"encoder {name!r}: its ViT ends in an attention pool or in blocks of its own making, for which "
                f"GL-MCM's patches are not defined. Leave `patches` out of `also`."
            )
        return visual.transformer.resblocks[-1], lambda given, out: _vit_patches(visual, given)
    if column == "tower" and hasattr(visual, "trunk"):  # a model of timm
        return _timm_projection(visual, name), lambda given, out: given
    raise EncoderError(
        f"encoder {name!r}: its tower, a {type(visual).__name__}, has no {column} here, only open_clip's own ViTs and "
        f"ResNets do. Leave `{column}` out of `also`."
    )


def _vit_patches(visual: Any, x: Tensor) -> Tensor:
    """What the last block gives if each place attends to itself alone, up to the joint space.

    Args:
        visual: a VisionTransformer.
        x: what the last block is given, (B, 1 + P, width).
    """
    from torch.nn.functional import linear

    block, x = visual.transformer.resblocks[-1], x[:, 1:]  # the class token is no place
    attention = block.attn
    width = attention.embed_dim  # the last third of the input projection makes values
    values = linear(block.ln_1(x), attention.in_proj_weight[-width:], attention.in_proj_bias[-width:])
    x = x + block.ls_1(attention.out_proj(values))
    x = visual.ln_post(x + block.ls_2(block.mlp(block.ln_2(x))))
    return x if visual.proj is None else x @ visual.proj


def _resnet_patches(pool: Any, x: Tensor) -> Tensor:
    """Each place of a map (B, C, H, W) through the attention pool's values and projection, (B, P, D)."""
    places: Tensor = pool.c_proj(pool.v_proj(x.flatten(2).mT))
    return places


def _resnet_tower(pool: Any, x: Tensor) -> Tensor:
    """The attention pool of a map (B, C, H, W) without its output projection, (B, C)."""
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    places = x.flatten(2).mT
    tokens = torch.cat([places.mean(dim=1, keepdim=True), places], dim=1) + pool.positional_embedding.to(x.dtype)
    query, key, value = (
        projection(some).unflatten(-1, (pool.num_heads, -1)).transpose(1, 2)
        for projection, some in ((pool.q_proj, tokens[:, :1]), (pool.k_proj, tokens), (pool.v_proj, tokens))
    )
    return scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(1)


def _timm_projection(visual: Any, name: str) -> Any:
    """The layer that takes a tower of timm to the joint space: its adapter's, or the trunk's own classifier."""
    from torch import nn

    projection = getattr(visual.head, "proj", None) or getattr(visual.head, "mlp", None)
    if projection is None and not len(visual.head) and isinstance(visual.trunk.get_classifier(), nn.Linear):
        projection = visual.trunk.get_classifier()
    if projection is None:
        raise EncoderError(
            f"encoder {name!r}: no projection follows its tower's pool, so there is nothing before it. Leave `tower` "
            f"out of `also`: the image features themselves are the tower's output."
        )
    return projection
