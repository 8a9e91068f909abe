"""Texts in which one token is replaced by a vector that can be learned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ood_lightning.errors import EncoderError

if TYPE_CHECKING:
    from torch import Tensor

BLANK = "$"


class SoftTokenTemplates:
    """Texts in which the embedding of the token `$` is replaced by a vector.

    Args:
        texts: each with one `$`, a word of its own.
        tokenizer: texts to token ids (J, L), of which the end-of-text token is the largest.
        forward: token ids (n, L), positions (n,) and vectors (n, W) to features (n, D).
        width: W, of a token's embedding.
        device: of the tower.

    Raises:
        EncoderError: if `$` is not one token, or a text does not hold it once.
    """

    def __init__(
        self, texts: Sequence[str], tokenizer: Any, forward: Callable[..., Tensor], width: int, device: Any
    ) -> None:
        alone = tokenizer([BLANK])[0]  # start, `$`, end, padding
        tokens = tokenizer(list(texts))  # (J, context)
        is_blank = tokens == alone[1]

        wrong = (is_blank.sum(dim=1) != 1).nonzero()[:, 0].tolist()
        if int(alone.argmax()) != 2 or wrong:
            subject = f"text {texts[wrong[0]]!r}" if wrong else "the tokenizer"
            raise EncoderError(f"{subject} does not hold {BLANK!r} as one token, once and within the context")

        length = int(tokens.argmax(dim=1).max()) + 1  # a causal tower never looks past the end-of-text token
        self.width = width
        self._forward = forward
        self._tokens = tokens[:, :length].to(device)  # (J, L)
        self._positions = is_blank.int().argmax(dim=1).to(device)  # (J,)

    def __len__(self) -> int:
        return len(self._positions)

    def fill(self, rows: Tensor, vectors: Tensor) -> Tensor:
        """Unnormalised features (n, D) float32, differentiable in the vectors.

        Args:
            rows: which text each vector goes into, int64, shape (n,).
            vectors: shape (n, W), on the tower's device.
        """
        rows = rows.to(self._positions.device)
        return self._forward(self._tokens[rows], self._positions[rows], vectors).float()
