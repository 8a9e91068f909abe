"""What an encoder looks like from outside. Imports no torch, so that commands can name encoders without loading it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch
    from PIL import Image
    from torch import Tensor


class Encoder(ABC):
    """A frozen image-text pair of towers. Building one is cheap; :meth:`load` brings the weights.

    Attributes:
        feature_dtype: in which image features are stored.
    """

    feature_dtype: Literal["float16", "float32"] = "float16"

    @property
    @abstractmethod
    def name(self) -> str:
        """As results and errors call it."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Hash of everything that changes features: model, weights, preprocessing, dtype."""

    @property
    @abstractmethod
    def logit_scale(self) -> float:
        """CLIP's multiplier itself, `exp` of the checkpoint's parameter."""

    @property
    @abstractmethod
    def transform(self) -> Callable[[Image.Image], Tensor]:
        """RGB picture to a (3, H, W) tensor: the model's own preprocessing."""

    @abstractmethod
    def load(self, device: torch.device) -> None:
        """Bring the weights onto `device`; a second call only moves them."""

    @abstractmethod
    def encode_image(self, image: Tensor) -> Tensor:
        """Unit-norm features (B, D) float32 of pictures (B, 3, H, W)."""

    @abstractmethod
    def encode_text(self, texts: Sequence[str], tick: Callable[[int], object] = lambda n: None) -> Tensor:
        """Unnormalised features (V, D) float32 of texts, in their order, on the CPU.

        Args:
            texts: complete texts, templates filled.
            tick: told how many more texts are done, after each batch.
        """
