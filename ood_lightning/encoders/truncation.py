"""Which texts are longer than the context of a text tower, so that their end is never read."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger(__name__)


class _Piece(NamedTuple):
    """Texts that were encoded at once."""

    n_cut: int
    n_texts: int
    context: int
    encoder: str
    first: str


_gathered: ContextVar[list[_Piece] | None] = ContextVar("_gathered", default=None)


def cut(texts: Sequence[str], tokens: Tensor, tokenizer: Any, padding: int) -> list[int]:
    """Indices of the texts whose end the tokenizer cut off.

    A text was cut if one more token of context gives it other tokens than padding. Only rows without padding at their
    last two places are tokenised again: some tokenizers end a text with the token that they pad with, and CLIP's pads
    with the number of the exclamation mark.

    Args:
        texts: in the order of the rows.
        tokens: what the tokenizer made of them, with all its padding, (B, context).
        tokenizer: open_clip's; takes `context_length`.
        padding: last token of a short text.
    """
    full = (tokens[:, -2:] != padding).any(dim=1).nonzero()[:, 0].tolist()
    if not full:
        return []
    longer = tokenizer([texts[i] for i in full], context_length=tokens.shape[1] + 1)
    more = (longer[:, -2] != tokens[full, -1]) | (longer[:, -1] != padding)
    return [i for i, is_cut in zip(full, more.tolist(), strict=True) if is_cut]


def report_cut(texts: Sequence[str], rows: Sequence[int], context: int, encoder: str) -> None:
    """Say in the log how many texts were cut, and which was the first.

    Args:
        texts: all that were encoded.
        rows: of those that were cut, in any order.
        context: tokens that the tower reads.
        encoder: its name.
    """
    found = _Piece(len(rows), len(texts), context, encoder, texts[min(rows)] if rows else "")
    gathered = _gathered.get()
    if gathered is None:
        _report([found])
    else:
        gathered.append(found)


@contextmanager
def one_report() -> Iterator[None]:
    """Inside, texts may be encoded in pieces: all that were cut are told in one line at the end."""
    pieces: list[_Piece] = []
    token = _gathered.set(pieces)
    try:
        yield
    finally:
        _gathered.reset(token)
    _report(pieces)


def _report(pieces: Sequence[_Piece]) -> None:
    first = next((piece for piece in pieces if piece.n_cut), None)
    if first is not None:
        log.warning(
            "%d of %d texts are longer than the %d tokens that %s reads and were cut; the first: %r",
            *(sum(piece.n_cut for piece in pieces), sum(piece.n_texts for piece in pieces)),
            *(first.context, first.encoder, first.first),
        )
