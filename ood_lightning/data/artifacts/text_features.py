"""Text features on disk: one safetensors file for each word list under prompts and an encoder.

Beside them lies the encoder's `logit_scale`, so that scores from stored features need no weights.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from torch import Tensor

from ood_lightning.data.artifacts.row_chunks import RUN_AGAIN
from ood_lightning.data.artifacts.store import is_stored, opened, write_store
from ood_lightning.data.artifacts.unit_vectors import not_unit
from ood_lightning.errors import FeatureError
from ood_lightning.places import expanded


@dataclass(frozen=True)
class TextFile:
    """Stored features of a word list: unit-norm (V, D) float32, in the order of the words, and their lengths before.

    Args:
        path: of the file.
        provenance: fingerprints of encoder, words and prompts.
    """

    path: Path
    provenance: Mapping[str, str]

    @classmethod
    def at(cls, cache_dir: str | Path, encoder: str, words: str, prompts: str) -> Self:
        """File named by the fingerprints of encoder, words and prompts."""
        path = expanded(cache_dir) / encoder / "text" / f"{words[:16]}-{prompts[:16]}.safetensors"
        return cls(path, {"encoder": encoder, "words": words, "prompts": prompts})

    def write(self, features: Tensor, lengths: Tensor | None = None) -> None:
        """Store the features.

        Args:
            features: unit-norm, (V, D).
            lengths: that they had before, (V,); None: not known.
        """
        further = {} if lengths is None else {"length": lengths}
        write_store(self.path, {"text": features, **further}, self.provenance)

    def read(self, n_words: int) -> Tensor | None:
        """The features, or None where nothing is stored yet.

        Raises:
            FeatureError: the file is damaged, of other words, or a feature is no unit vector.
        """
        if not is_stored(self.path):
            return None

        with opened(self.path, self.provenance, RUN_AGAIN) as store:
            features = store.tensor("text", (n_words, None), torch.float32)

        if wrong := not_unit(features):
            raise FeatureError(
                f"{self.path}: the feature of word {wrong.row} is {wrong.length} ({wrong.n} of {n_words} are bad), "
                f"expected a unit vector: {RUN_AGAIN}"
            )
        return features

    def read_lengths(self, n_words: int) -> Tensor | None:
        """The lengths, (V,) float32; None where nothing is stored yet, or an earlier version stored features alone.

        Raises:
            FeatureError: the file is damaged, of other words, or a length is not positive and finite.
        """
        if not is_stored(self.path):
            return None

        with opened(self.path, self.provenance, RUN_AGAIN) as store:
            if "length" not in store.hashes:
                return None
            lengths = store.tensor("length", (n_words,), torch.float32)

        if not (lengths.isfinite() & (lengths > 0)).all():
            raise FeatureError(f"{self.path}: the length of a word is not positive and finite: {RUN_AGAIN}")
        return lengths


@dataclass(frozen=True)
class ScaleFile:
    """An encoder's stored `logit_scale`: CLIP's multiplier itself, float64.

    Args:
        path: of the file.
        encoder: its fingerprint.
    """

    path: Path
    encoder: str

    @classmethod
    def at(cls, cache_dir: str | Path, encoder: str) -> Self:
        """File of the encoder with this fingerprint."""
        return cls(expanded(cache_dir) / encoder / "text" / "logit_scale.safetensors", encoder)

    def write(self, logit_scale: float) -> None:
        """Store it."""
        scale = torch.tensor([logit_scale], dtype=torch.float64)
        write_store(self.path, {"logit_scale": scale}, {"encoder": self.encoder})

    def read(self) -> float | None:
        """The stored one, or None.

        Raises:
            FeatureError: the file is damaged, of another encoder, or the scale is not positive and finite.
        """
        if not is_stored(self.path):
            return None

        with opened(self.path, {"encoder": self.encoder}, RUN_AGAIN) as store:
            scale = float(store.tensor("logit_scale", (1,), torch.float64))
        if not 0 < scale < float("inf"):
            raise FeatureError(f"{self.path}: logit_scale is {scale}, expected a positive number: {RUN_AGAIN}")
        return scale
