"""Texts of transformers' models as batches of tokens, of which a row is no longer than its tower needs.

Differs: the texts of SigLIP are lower-cased, as in its training; some of its tokenizers on the hub do not do it.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

SIGLIP = ("siglip_text_model", "siglip2_text_model")  # attend to their padding, and read the last token
# towers that are causal and read the end-of-text token, or that mask their padding: rows are padded to their batch only
TRIMS = {
    f"{family}_text_model"
    for family in ("aimv2", "align", "altclip", "chinese_clip", "clip", "clipseg", "groupvit", "metaclip_2")
}
CHUNK = 64  # batches whose texts are tokenised together: sorting by tokens then works, and memory stays flat


class TextBatch(NamedTuple):
    """Some of the texts.

    Attributes:
        rows: which ones, B numbers.
        cut: those of `rows` whose text is longer than the context.
        tokens: arguments of the tower's forward, each (B, L).
    """

    rows: list[int]
    cut: list[int]
    tokens: dict[str, Tensor]


class TextBatches:
    """Tokenises texts for one text tower.

    Args:
        tokenizer: of transformers.
        config: of the text tower.
    """

    def __init__(self, tokenizer: Any, config: Any) -> None:
        self.tokenizer = tokenizer
        self.config = config
        self.is_siglip = config.model_type in SIGLIP

    @cached_property
    def context(self) -> int:
        """Number of tokens that the text tower reads."""
        kind = self.config.model_type
        positions = int(self.config.max_position_embeddings)
        if self.is_siglip:
            return positions

        if "roberta" in kind or kind == "altclip_text_model":  # their first positions are those of padding
            positions -= self.config.pad_token_id + 1
        return min(positions, int(self.tokenizer.model_max_length))

    @property
    def folds_case(self) -> bool:
        """Whether texts that differ in case alone have the same tokens."""
        ids, _ = self._tokenize({0: "A Crane", 1: "a crane"})
        return ids[0] == ids[1]

    def of(self, texts: Sequence[str], size: int) -> Iterator[TextBatch]:
        """Batches of texts of similar length.

        Args:
            texts: in any order.
            size: B, texts in a batch.
        """
        order = sorted(range(len(texts)), key=lambda row: (len(texts[row]), row))
        for start in range(0, len(order), CHUNK * size):
            chunk = {row: texts[row] for row in order[start : start + CHUNK * size]}
            ids, cut = self._tokenize(chunk)

            by_tokens = sorted(chunk, key=lambda row: len(ids[row]))
            for first in range(0, len(by_tokens), size):
                rows = by_tokens[first : first + size]
                yield TextBatch(rows, [row for row in rows if row in cut], self._padded([ids[row] for row in rows]))

    def _tokenize(self, texts: dict[int, str]) -> tuple[dict[int, list[int]], set[int]]:
        """Token ids of texts by row, at most `context` of each, and the rows that were longer."""
        if self.is_siglip:
            texts = {row: text.lower() for row, text in texts.items()}

        whole = self.tokenizer(list(texts.values()), verbose=False)["input_ids"]
        ids = dict(zip(texts, whole, strict=True))

        too_long = [row for row in texts if len(ids[row]) > self.context]
        if too_long:  # once more, since the tokenizer keeps the end-of-text token when it cuts
            cut = self.tokenizer([texts[row] for row in too_long], truncation=True, max_length=self.context)
            ids |= zip(too_long, cut["input_ids"], strict=True)

        return ids, set(too_long)

    def _padded(self, ids: Sequence[Sequence[int]]) -> dict[str, Tensor]:
        """Tokens padded on the right, (B, L), and their mask; SigLIP gets no mask, as in its training."""
        width = max(map(len, ids)) if self.config.model_type in TRIMS else self.context
        ends = (self.tokenizer.pad_token_id, self.tokenizer.eos_token_id)
        padding = next((int(token) for token in ends if token is not None), 0)
        tokens = torch.tensor([[*text, *[padding] * (width - len(text))] for text in ids])
        if self.is_siglip:
            return {"input_ids": tokens}

        mask = torch.arange(width) < torch.tensor([[len(text)] for text in ids])  # (B, L)
        return {"input_ids": tokens, "attention_mask": mask.long()}
