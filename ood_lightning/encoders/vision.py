"""Further columns of features of a picture, taken from the same forward of the vision tower as its image features.

Kinds of towers are recognised by their parts, so that open_clip is imported in openclip.py alone.

Source: patches as in GL-MCM, Miyai et al., IJCV 2025, https://arxiv.org/abs/2304.04521, and its code.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, scaled_dot_product_attention

from ood_lightning.errors import EncoderError

Compute = Callable[[Tensor, Tensor], Tensor]  # a module's input and output to a column


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
    columns: dict[str, Tensor] = {}
    with ExitStack() as hooks:
        for column in extra_features:
            module, compute = _source_of(visual, column, name)
            hooks.enter_context(module.register_forward_hook(partial(_keep, columns, column, compute)))
        yield columns


def _keep(
    columns: dict[str, Tensor], column: str, compute: Compute, _: Any, arguments: tuple[Tensor, ...], output: Tensor
) -> None:
    """A forward hook, from `_` on, that keeps a column."""
    columns[column] = compute(arguments[0], output)


def _source_of(visual: Any, column: str, name: str) -> tuple[Any, Compute]:
    """The module from whose input and output a column is computed, and the function that does it."""
    if hasattr(visual, "attnpool"):  # ModifiedResNet
        of_map = _resnet_tower if column == "tower" else _resnet_patches
        return visual.attnpool, lambda x, _: of_map(visual.attnpool, x)

    if hasattr(visual, "transformer"):  # VisionTransformer
        if column == "tower":
            return visual.transformer, lambda _, output: visual._pool(output)[0]

        last_block = visual.transformer.resblocks[-1]
        if visual.attn_pool is not None or not hasattr(last_block.attn, "embed_dim"):
            raise EncoderError(
                f"encoder {name!r}: its ViT ends in an attention pool or in blocks of its own making, for which "
                f"GL-MCM's patches are not defined. Leave `patches` out of `extra_features`."
            )
        return last_block, lambda x, _: _vit_patches(visual, x)

    if column == "tower" and hasattr(visual, "trunk"):  # a model of timm
        return _timm_projection(visual, name), lambda x, _: x

    raise EncoderError(
        f"encoder {name!r}: its tower, a {type(visual).__name__}, has no {column} here, only open_clip's own ViTs and "
        f"ResNets do. Leave `{column}` out of `extra_features`."
    )


def _vit_patches(visual: Any, x: Tensor) -> Tensor:
    """What the last block gives if each position attends to itself alone, in the joint space, (B, P, D).

    Args:
        visual: a VisionTransformer.
        x: input of the last block, (B, 1 + P, width).
    """
    block = visual.transformer.resblocks[-1]
    attention = block.attn
    width = attention.embed_dim
    x = x[:, 1:]  # (B, P, width), without the class token

    # attention over one position is its value; the last third of the input projection makes values
    values = linear(block.ln_1(x), attention.in_proj_weight[-width:], attention.in_proj_bias[-width:])
    x = x + block.ls_1(attention.out_proj(values))
    x = visual.ln_post(x + block.ls_2(block.mlp(block.ln_2(x))))
    return x if visual.proj is None else x @ visual.proj  # (B, P, width) @ (width, D) -> (B, P, D)


def _resnet_patches(pool: Any, x: Tensor) -> Tensor:
    """Each position of a map (B, C, H, W) through the attention pool's values and projection, (B, H * W, D)."""
    return cast(Tensor, pool.c_proj(pool.v_proj(x.flatten(2).mT)))


def _resnet_tower(pool: Any, x: Tensor) -> Tensor:
    """The attention pool of a map (B, C, H, W) without its output projection, (B, C)."""
    positions = x.flatten(2).mT  # (B, H * W, C)
    tokens = torch.cat([positions.mean(dim=1, keepdim=True), positions], dim=1)  # (B, 1 + H * W, C)
    tokens = tokens + pool.positional_embedding.to(x.dtype)

    def heads(projected: Any) -> Any:  # (B, n, C) -> (B, heads, n, C / heads)
        return projected.unflatten(-1, (pool.num_heads, -1)).transpose(1, 2)

    query = heads(pool.q_proj(tokens[:, :1]))  # of the mean alone
    key = heads(pool.k_proj(tokens))
    value = heads(pool.v_proj(tokens))
    return scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(1)


def _timm_projection(visual: Any, name: str) -> Any:
    """The layer that takes a tower of timm to the joint space: its adapter's, or the trunk's own classifier."""
    projection = getattr(visual.head, "proj", None) or getattr(visual.head, "mlp", None)
    if projection is None and not len(visual.head) and isinstance(visual.trunk.get_classifier(), nn.Linear):
        projection = visual.trunk.get_classifier()

    if projection is None:
        raise EncoderError(
            f"encoder {name!r}: no projection follows its tower's pool, so there is nothing before it. Leave `tower` "
            f"out of `extra_features`: the image features themselves are the tower's output."
        )

    return projection
