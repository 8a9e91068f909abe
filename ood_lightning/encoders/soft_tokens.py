"""Texts in which one token is a vector that can be learned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ood_lightning.errors import EncoderError

if TYPE_CHECKING:
    from torch import Tensor

BLANK = "$"


class SoftTokenTemplates:
    """Texts whose `$` is filled by a vector in the place of that token's embedding.

    Args:
        texts: each with one `$`, a word of its own.
        tokenizer: texts to token ids (J, L), of which the end-of-text token is the largest.
        forward: token ids (n, L), places (n,) and vectors (n, W) to features (n, D).
        width: W, of a token's embedding.
        device: of the tower.

    Raises:
        EncoderError: if `$` is not one token, or a text does not hold it once.
    """

    def __init__(
        self, texts: Sequence[str], tokenizer: Any, forward: Callable[..., Tensor], width: int, device: Any
    ) -> None:
        alone, tokens = tokenizer([BLANK])[0], tokenizer(list(texts))
        there = tokens == alone[1]
        wrong = (there.sum(dim=1) != 1).nonzero()[:, 0].tolist()
        if int(alone.argmax()) != 2 or wrong:
            which = f"text {texts[wrong[0]]!r}" if wrong else "the tokenizer"
            raise EncoderError(f"{which} does not hold {BLANK!r} as one token, once and within the context")
        length = int(tokens.argmax(dim=1).max()) + 1  # a causal tower never looks past the end-of-text token
        self.width, self._forward = width, forward
        self._tokens, self._at = tokens[:, :length].to(device), there.int().argmax(dim=1).to(device)

    def __len__(self) -> int:
        return len(self._at)

    def fill(self, rows: Tensor, vectors: Tensor) -> Tensor:
        """Unnormalised features (n, D) float32, differentiable in the vectors.

        Args:
            rows: which text each vector goes into, int64, shape (n,).
            vectors: shape (n, W), on the tower's device.
        """
        rows = rows.to(self._at.device)
        return self._forward(self._tokens[rows], self._at[rows], vectors).float()
