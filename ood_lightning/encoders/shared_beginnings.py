"""Texts that begin alike, encoded with the beginning computed once: for causal text towers of open_clip.

In a causal tower a token sees only the tokens before it, so the keys and values of `a photo of the` are the same in all
texts that begin with these words. They are computed once, in every layer, and each text computes its own tokens alone:

    a photo of the | dog.            tokens of its own: dog . end
    a photo of the | golden finch.   tokens of its own: golden finch . end

A text shares as many of its first tokens as saves it the most of them: with ``n`` texts that begin with the same ``l``
tokens, each saves ``l - l / n``. In the last layer only the end-of-text token asks, since its output alone is read.

Features equal those of the tower's own forward up to rounding. Beginnings hold 256 MiB at most, and a batch of texts
copies those that it needs, layer by layer.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from open_clip.transformer import ResidualAttentionBlock
from torch import Tensor, nn
from torch.nn import functional as F

_KEPT = 2**28  # bytes of keys and values that are kept together


class _Layer(NamedTuple):
    """Keys and values of beginnings in one layer, each (P, heads, l, width / heads)."""

    keys: Tensor
    values: Tensor


class _Group(NamedTuple):
    """Texts whose beginnings are kept together.

    Attributes:
        rows: of the texts, int64, (n,).
        beginning_of: which beginning each text has, int64, (n,).
        beginnings: tokens, (P, l), padded with anything.
        lengths: of the beginnings, (P,).
    """

    rows: Tensor
    beginning_of: Tensor
    beginnings: Tensor
    lengths: Tensor


def can_share(tower: Any) -> bool:
    """Whether the layers of a causal tower are those whose parts are known here."""
    return all(
        type(block) is ResidualAttentionBlock
        and type(block.attn) is nn.MultiheadAttention
        and block.attn.in_proj_weight is not None
        and block.attn.bias_k is None
        and not block.attn.add_zero_attn
        and not hasattr(block, "ln_1_kv")
        for block in tower.transformer.resblocks
    )


def shared_lengths(tokens: Tensor, ends: Tensor) -> Tensor:
    """How many of its first tokens each text shares with others, (n,).

    Args:
        tokens: shape (n, L).
        ends: place of each end-of-text token, which is never shared, (n,).
    """
    order = torch.arange(len(tokens))
    for column in reversed(tokens.unbind(dim=1)):  # the first column last: its order prevails
        order = order[column[order].argsort(stable=True)]
    in_order = tokens[order]
    is_equal = in_order[1:] == in_order[:-1]
    alike = is_equal.int().cumprod(dim=1).sum(dim=1)  # first tokens that a text has in common with the one before it

    best = torch.zeros(len(tokens))
    lengths = torch.zeros(len(tokens), dtype=torch.int64)
    for length in range(1, int(ends.max()) + 1):
        of_beginning = F.pad((alike < length).cumsum(dim=0), (1, 0))  # beginnings of this length, numbered
        n_alike = of_beginning.bincount()[of_beginning]
        saved = (length - length / n_alike).masked_fill_(ends[order] < length, 0)
        is_better = saved > best
        best[is_better], lengths[is_better] = saved[is_better], length

    return torch.empty_like(lengths).index_copy_(0, order, lengths)


def _groups(tokens: Tensor, ends: Tensor, bytes_per_token: int) -> Iterator[_Group]:
    """Texts with their beginnings, as many together as may be kept."""
    lengths = shared_lengths(tokens, ends)
    key = tokens.masked_fill(torch.arange(tokens.shape[1]) >= lengths[:, None], -1)
    # texts whose beginnings are one need not follow each other: others between them may share more
    beginnings, beginning_of = key.unique(dim=0, return_inverse=True)
    lengths = (beginnings >= 0).sum(dim=1)
    at_once = max(1, _KEPT // (bytes_per_token * max(1, int(lengths.max()))))

    for start in range(0, len(beginnings), at_once):
        rows = ((beginning_of >= start) & (beginning_of < start + at_once)).nonzero()[:, 0]
        of_group = slice(start, start + at_once)
        width = int(lengths[of_group].max())
        yield _Group(rows, beginning_of[rows] - start, beginnings[of_group, :width].clamp_min(0), lengths[of_group])


def outputs_at_ends(tower: Any, tokens: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of texts: their rows (B,), and what the last layer gives at their end-of-text tokens, (B, width).

    Args:
        tower: causal, with the layers of :func:`can_share`.
        tokens: ids of n texts, shape (n, context); the end-of-text token has the largest.
        size: texts in a batch.
    """
    ends = tokens.argmax(dim=1)
    width, dtype = tower.positional_embedding.shape[1], tower.transformer.get_cast_dtype()
    bytes_per_token = 2 * len(tower.transformer.resblocks) * width * dtype.itemsize

    for group in _groups(tokens[:, : int(ends.max()) + 1], ends, bytes_per_token):
        kept = _kept(tower, group.beginnings, size)
        own_ends = ends[group.rows] - group.lengths[group.beginning_of]
        for batch in own_ends.argsort(descending=True, stable=True).split(size):
            rows, beginning_of = group.rows[batch], group.beginning_of[batch]
            lengths = group.lengths[beginning_of]
            places = lengths[:, None] + torch.arange(int(own_ends[batch].max()) + 1)  # (B, m)
            places = places.clamp_max(tokens.shape[1] - 1)  # behind the end of a shorter text, where nobody looks
            batch_of = (beginning_of, lengths, tokens[rows].gather(1, places), places, own_ends[batch])
            yield rows, _continued(tower, kept, *(side.to(tower.positional_embedding.device) for side in batch_of))


def _kept(tower: Any, beginnings: Tensor, size: int) -> list[_Layer]:
    """Keys and values of beginnings (P, l) in every layer."""
    device = tower.positional_embedding.device
    places = torch.arange(beginnings.shape[1], device=device)
    mask = places <= places[:, None]  # (l, l)

    batches = []
    for tokens in beginnings.split(size):
        x, layers = _embedded(tower, tokens.to(device), places), []
        for block in tower.transformer.resblocks:
            queries, layer = _projected(block, x)
            x = _finished(block, x, queries, layer, mask)
            layers.append(layer)
        batches.append(layers)
    return [_Layer(*(torch.cat(side) for side in zip(*layer, strict=True))) for layer in zip(*batches, strict=True)]


def _continued(
    tower: Any,
    kept: Sequence[_Layer],
    beginning_of: Tensor,
    lengths: Tensor,
    tokens: Tensor,
    places: Tensor,
    ends: Tensor,
) -> Tensor:
    """What the last layer gives at the end-of-text tokens, (B, width).

    Args:
        tower: the tower.
        kept: keys and values of beginnings, padded to l tokens, by layer.
        beginning_of: which one each text has, (B,).
        lengths: of the texts' beginnings, (B,).
        tokens: the texts' own, (B, m).
        places: of these in the whole text, (B, m).
        ends: places of the end-of-text tokens among the own ones, (B,).
    """
    n_texts, n_own = tokens.shape
    position = torch.arange(n_own, device=tokens.device)
    sees_kept = torch.arange(kept[0].keys.shape[2], device=tokens.device) < lengths[:, None]  # (B, l)
    sees = torch.cat([
        sees_kept[:, None].expand(-1, n_own, -1), (position <= position[:, None]).expand(n_texts, -1, -1)
    ], dim=2)[:, None]  # (B, 1, m, l + m)  # fmt: skip

    x, at_ends = _embedded(tower, tokens, places), torch.arange(n_texts, device=tokens.device)
    for block, layer in zip(tower.transformer.resblocks, kept, strict=True):
        queries, of_own = _projected(block, x)
        both = (torch.cat([old[beginning_of], new], dim=2) for old, new in zip(layer, of_own, strict=True))
        if block is tower.transformer.resblocks[-1]:
            x, queries, sees = x[at_ends, None, ends], queries[at_ends, :, None, ends], sees[at_ends, :, None, ends]
        x = _finished(block, x, queries, _Layer(*both), sees)
    return x[:, 0]


def _embedded(tower: Any, tokens: Tensor, places: Tensor) -> Tensor:
    """Token ids (B, m) at their places, (m,) or (B, m), as vectors (B, m, width)."""
    dtype = tower.transformer.get_cast_dtype()
    embedded: Tensor = tower.token_embedding(tokens).to(dtype) + tower.positional_embedding[places].to(dtype)
    return embedded


def _projected(block: Any, x: Tensor) -> tuple[Tensor, _Layer]:
    """Queries, keys and values of tokens (B, m, width), each (B, heads, m, width / heads)."""
    attention = block.attn
    projected = F.linear(block.ln_1(x), attention.in_proj_weight, attention.in_proj_bias)  # (B, m, 3 width)
    queries, keys, values = projected.unflatten(-1, (3, attention.num_heads, -1)).permute(2, 0, 3, 1, 4)
    return queries, _Layer(keys, values)


def _finished(block: Any, x: Tensor, queries: Tensor, seen: _Layer, sees: Tensor) -> Tensor:
    """A layer's output (B, m, width): the tower's own formula, with keys and values that are there already."""
    attended = F.scaled_dot_product_attention(queries, *seen, attn_mask=sees).transpose(1, 2).flatten(2)
    x = x + block.ls_1(block.attn.out_proj(attended))
    output: Tensor = x + block.ls_2(block.mlp(block.ln_2(x)))
    return output
