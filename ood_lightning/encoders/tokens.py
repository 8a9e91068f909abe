"""What a text tower's tokenizer makes of texts: whether it knows words at all, and which texts it cuts."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

from ood_lightning.errors import EncoderError

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger(__name__)

WORDS = ("dog", "cat", "犬", "猫")  # for check_words


class _Report(NamedTuple):
    """How many texts of one call were cut."""

    n_cut: int
    n_texts: int
    context: int
    encoder: str
    first: str


_pending: ContextVar[list[_Report] | None] = ContextVar("_pending", default=None)  # inside one_report


def cut(texts: Sequence[str], tokens: Tensor, tokenizer: Any, padding: int) -> list[int]:
    """Indices of the texts whose end the tokenizer cut off.

    A text was cut if, with a context longer by one token, it gets another token there than padding. Only rows without
    padding in their last two positions are tokenised again: some tokenizers end a text with the token that they pad
    with, and CLIP's pads with the number of the exclamation mark.

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
    report = _Report(len(rows), len(texts), context, encoder, texts[min(rows)] if rows else "")
    pending = _pending.get()
    if pending is None:
        _log([report])
    else:
        pending.append(report)


@contextmanager
def one_report() -> Iterator[None]:
    """Inside, texts may be encoded in several calls: one line at the end counts all that were cut."""
    reports: list[_Report] = []
    token = _pending.set(reports)
    try:
        yield
    finally:
        _pending.reset(token)

    _log(reports)


def _log(reports: Sequence[_Report]) -> None:
    first = next((report for report in reports if report.n_cut), None)
    if first is not None:
        log.warning(
            "%d of %d texts are longer than the %d tokens that %s reads and were cut; the first: %r",
            sum(report.n_cut for report in reports),
            sum(report.n_texts for report in reports),
            first.context,
            first.encoder,
            first.first,
        )


def check_words(tokens: Sequence[Sequence[int]], vectors: int | None, encoder: str) -> None:
    """Refuse a tokenizer that knows no words, or that gives tokens for which the tower has no vectors.

    transformers makes a CLIP tokenizer of two tokens where a folder holds none; open_clip takes CLIP's for every config
    that names none, even SigLIP's.

    Args:
        tokens: what the tokenizer makes of each of `WORDS`.
        vectors: number of the tower's token embeddings; None where it is unknown.
        encoder: its name.

    Raises:
        EncoderError: saying which files are missing.
    """
    if len({tuple(word) for word in tokens}) == 1:
        raise EncoderError(
            f"encoder {encoder!r}: to its tokenizer {', '.join(WORDS)} are all the same: it knows no words. Put the "
            f"tokenizer's files beside the weights (tokenizer.json and tokenizer_config.json)"
        )

    highest = max(max(word) for word in tokens)
    if vectors is not None and highest >= vectors:
        raise EncoderError(
            f"encoder {encoder!r}: its tokenizer gives token {highest}, its text tower has {vectors} vectors: it was "
            f"trained with another tokenizer. Put that one's files beside the weights, and name it in a config of "
            f"open_clip (hf_tokenizer_name)"
        )
