"""What an encoder looks like from outside. Imports no torch, so that commands can name encoders without loading it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, cast

from ood_lightning.errors import EncoderError
from ood_lightning.ranges import Ranged

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import torch
    from PIL import Image
    from torch import Tensor, nn

    from ood_lightning.encoders.soft_tokens import SoftTower

Column = Literal["tower", "patches", "length"]
TowerPrecision = Literal["fp32", "bf16", "fp16"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Preset = Literal["model", "legacy-bilinear224", "openood-256"]  # preprocessing: the model's own, or a code base's
Resizing = Literal["exact", "fast"]


class Encoder(Ranged, ABC):
    """A frozen image-text pair of towers. Building one is cheap; :meth:`load` brings the weights.

    Attributes:
        precision: of the towers, as it was set; `auto` is bf16 on a GPU and fp32 elsewhere.
        feature_dtype: in which image features are stored.
        extra_features: columns that a run stores beside the image features, for detectors that read them.
    """

    precision: Precision = "fp32"
    feature_dtype: Literal["float16", "float32"] = "float16"
    extra_features: tuple[Column, ...] = ()

    @property
    @abstractmethod
    def name(self) -> str:
        """As results and errors call it."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Hash of everything that changes image and text features: model, weights, preprocessing, dtype."""

    @property
    @abstractmethod
    def logit_scale(self) -> float:
        """CLIP's multiplier itself, `exp` of the checkpoint's parameter."""

    @property
    @abstractmethod
    def transform(self) -> Callable[[Image.Image], Tensor]:
        """RGB picture to a (3, H, W) tensor: the model's own preprocessing."""

    def check(self) -> str:
        """What can be known of the model without its weights, in words.

        Raises:
            EncoderError: it cannot be loaded, as far as files and names tell.
        """
        return f"features are kept under {self.fingerprint}"

    def widths(self) -> dict[str, int]:
        """Numbers that are stored of an image, by column, or more of them where only the weights would tell."""
        return {"image": 1024, "tower": 1664, "patches": 577 * 1024, "length": 1}  # as the largest of CLIP's have

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Of what :attr:`transform` gives, (3, H, W)."""
        from PIL import Image

        return tuple(self.transform(Image.new("RGB", (64, 64))).shape)

    @property
    def folds_case(self) -> bool:
        """Whether `Crane` and `crane` are one text to the tokenizer, as to CLIP's."""
        return False

    @property
    def supports_soft_tokens(self) -> bool:
        """Whether the text tower can take a vector for a token, as :meth:`soft_tower` needs."""
        return False

    def soft_tower(self) -> SoftTower:
        """The parts of the text tower that texts with vectors for tokens are made of.

        Raises:
            EncoderError: if the tower cannot take a vector for a token.
        """
        raise EncoderError(
            f"encoder {self.name!r} cannot take a vector for a word: it needs a causal text tower of open_clip that "
            f"reads the end-of-text token, such as CLIP's own"
        )

    @property
    def tower_precision(self) -> TowerPrecision:
        """What the towers compute in: `auto` is bf16 where this process has a GPU that computes in it, else fp32.

        Features of the two have other fingerprints, and how far they are from each other is measured for every set.
        """
        if self.precision != "auto":
            return self.precision

        import torch

        # GPUs before Ampere only emulate it
        is_fast = torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
        return "bf16" if is_fast else "fp32"

    def in_fp32(self) -> Encoder:
        """The same encoder with its towers in float32: itself if they are, else another one, not loaded yet."""
        # encoders with a choice of precision are dataclasses
        return self if self.tower_precision == "fp32" else replace(cast(Any, self), precision="fp32")

    def _check_fp32(self) -> None:
        """Refuse towers in 16 bits, whose rounding no other program repeats."""
        if self.tower_precision != "fp32":
            raise EncoderError(
                f"encoder {self.name!r} computes in {self.tower_precision}, and is exported in float32 alone: make the "
                f"detector with precision fp32"
            )

    def pinned(self) -> Encoder:
        """The same encoder, named alike from everywhere: no `auto`, no branch of a repository, no relative path."""
        pinned: Encoder = replace(cast(Any, self), precision=self.tower_precision)
        return pinned

    @property
    def weights_folder(self) -> Path | None:
        """The local folder that all its files are read from; None where they come from somewhere else."""
        return None

    def reading(self, folder: Path) -> Encoder:
        """The same encoder of a copy of its :attr:`weights_folder`."""
        raise EncoderError(f"encoder {self.name!r} is not read from a folder")

    @abstractmethod
    def load(self, device: torch.device) -> None:
        """Bring the weights onto `device`; a second call only moves them."""

    def lay_out_for_speed(self) -> None:
        """Let a loaded image tower compute in less time, where that is known to be possible.

        Features move by their rounding, some 1e-7, so what stores features does not call it.
        """

    @abstractmethod
    def encode_image(self, image: Tensor) -> Tensor:
        """Unit-norm features (B, D) float32 of pictures (B, 3, H, W)."""

    def encode_columns(self, image: Tensor, extra_features: Sequence[str] = ()) -> dict[str, Tensor]:
        """Features by column, all float32 and from one forward; `image` is always among them.

        Nothing here waits for the device, so vectors without a direction are not refused: they are NaN.

        Args:
            image: pictures (B, 3, H, W).
            extra_features: `tower`, the pooled output before the visual projection, not normalised, (B, D_pre);
                `patches`, unit-norm local features in the joint space, (B, P, D); `length` of the image feature as the
                projection leaves it, (B, 1).

        Raises:
            EncoderError: if the encoder has no such column.
        """
        if extra_features:
            raise EncoderError(
                f"encoder {self.name!r} has no {' and no '.join(extra_features)}: name no column in `extra_features`"
            )

        return {"image": self.encode_image(image)}

    def traceable_tower(self) -> nn.Module:
        """The loaded image tower in plain torch operations: pictures (B, 3, H, W) float32 to (B, D), of any length.

        Raises:
            EncoderError: there is none, or the tower does not compute in float32.
        """
        raise EncoderError(f"encoder {self.name!r} has no image tower that can be exported")

    @abstractmethod
    def encode_text(self, texts: Sequence[str], on_progress: Callable[[int], object] = lambda n: None) -> Tensor:
        """Unnormalised features (V, D) float32 of texts, in their order, on the CPU.

        Args:
            texts: complete texts, templates filled.
            on_progress: called after each batch with its number of texts.
        """
