"""Texts in which a vector stands in the place of one token's embedding, so that a gradient can change what they say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ood_lightning.errors import EncoderError
from ood_lightning.functional.similarity import unit

BLANK = "$"  # of texts that hold a vector
_AT_ONCE = 256  # texts


class SoftTower(NamedTuple):
    """A causal text tower as such texts need it.

    Attributes:
        tokenizer: texts to token ids (J, L), of which the end-of-text token is the largest.
        forward: token ids (n, L), positions (n,) and vectors (n, W) to features (n, D), unnormalised.
        embedding: of all tokens, (V, W), on the tower's device.
    """

    tokenizer: Any
    forward: Callable[..., Tensor]
    embedding: Tensor


class SoftTokenTexts:
    """Texts in each of which the embedding of one token is replaced by a vector.

    Args:
        tokens: ids (J, L), of which the end-of-text token is the largest of its row.
        positions: of the token that is replaced, (J,).
        forward: see :class:`SoftTower`.
        embedding: see :class:`SoftTower`.
    """

    def __init__(self, tokens: Tensor, positions: Tensor, forward: Callable[..., Tensor], embedding: Tensor) -> None:
        length = int(tokens.argmax(dim=1).max()) + 1  # a causal tower never looks past the end-of-text token
        self.width = embedding.shape[1]
        self.tokens = tokens[:, :length].to(embedding.device)  # (J, L)
        self.positions = positions.to(embedding.device)  # (J,)
        self._forward, self._embedding = forward, embedding

    def __len__(self) -> int:
        return len(self.positions)

    def fill(self, rows: Tensor, vectors: Tensor) -> Tensor:
        """Unnormalised features (n, D), float32 (float64 of a tower in float64), differentiable in the vectors.

        Args:
            rows: which text each vector goes into, int64, shape (n,).
            vectors: shape (n, W), on the tower's device.
        """
        rows = rows.to(self.positions.device)
        return _not_half(self._forward(self.tokens[rows], self.positions[rows], vectors))

    def chosen(self, rows: Tensor) -> SoftTokenTexts:
        """Some of the texts, cut to the longest of them."""
        rows = rows.to(self.positions.device)
        return SoftTokenTexts(self.tokens[rows], self.positions[rows], self._forward, self._embedding)

    def own_vectors(self) -> Tensor:
        """Embeddings of the tokens that are replaced, float32, (J, W): with them the texts are what they were."""
        return _not_half(self._embedding[self.tokens.gather(1, self.positions[:, None])[:, 0]])

    def filled(self, vectors: Tensor) -> Tensor:
        """Unit features (J, D) of all texts with these vectors (J, W), without a gradient."""
        with torch.no_grad():
            return unit(self.fill(torch.arange(len(self)), vectors))

    @cached_property
    def own_features(self) -> Tensor:
        """Unit features (J, D) of the texts as they are; computed when somebody first asks for them."""
        parts = (self.chosen(rows) for rows in torch.arange(len(self)).split(_AT_ONCE))
        return torch.cat([part.filled(part.own_vectors()) for part in parts])


class SoftTokenTemplates(SoftTokenTexts):
    """Texts in which the embedding of the token `$` is replaced by a vector.

    Args:
        texts: each with one `$`, a word of its own.
        tower: that encodes them.

    Raises:
        EncoderError: if `$` is not one token, or a text does not hold it once.
    """

    def __init__(self, texts: Sequence[str], tower: SoftTower) -> None:
        tokenizer, forward, embedding = tower
        alone = tokenizer([BLANK])[0]  # start, `$`, end, padding
        tokens = tokenizer(list(texts))  # (J, context)
        is_blank = tokens == alone[1]

        wrong = (is_blank.sum(dim=1) != 1).nonzero()[:, 0].tolist()
        if int(alone.argmax()) != 2 or wrong:
            subject = f"text {texts[wrong[0]]!r}" if wrong else "the tokenizer"
            raise EncoderError(f"{subject} does not hold {BLANK!r} as one token, once and within the context")

        super().__init__(tokens, is_blank.int().argmax(dim=1), forward, embedding)


class SoftTokenWords(SoftTokenTexts):
    """`a photo of a WORD.` for words, in each of which the embedding of the word's last token is replaced.

    Args:
        words: J of them.
        tower: that encodes them.

    Raises:
        EncoderError: if a word leaves no place for a vector, as one without a token does.
    """

    BEFORE, AFTER = "a photo of a ", "."

    def __init__(self, words: Sequence[str], tower: SoftTower) -> None:
        tokenizer, forward, embedding = tower
        beginnings = [f"{self.BEFORE}{word}" for word in words]
        tokens = tokenizer([f"{beginning}{self.AFTER}" for beginning in beginnings])  # (J, context)
        # The last token before the end of the text without its full stop. A word that ends in signs may share a token
        # with the full stop: then that token is replaced, as in TINS's code.
        last = tokenizer(beginnings).argmax(dim=1) - 1
        empty = int(tokenizer([self.BEFORE.strip()])[0].argmax())  # place of the end where there is no word

        if wrong := ((last < empty) | (last >= tokens.argmax(dim=1))).nonzero()[:, 0].tolist():
            raise EncoderError(
                f"the word {words[wrong[0]]!r} leaves no token to replace in {self.BEFORE!r}...: take it out of the "
                f"label set"
            )
        super().__init__(tokens, last, forward, embedding)


def _not_half(x: Tensor) -> Tensor:
    """In float32 at least."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
