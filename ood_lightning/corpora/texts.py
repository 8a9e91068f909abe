"""Words to text features: each text encoded once, then read from the cache."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ood_lightning.corpora.prompts import Prompts, ensemble
from ood_lightning.progress import bar

if TYPE_CHECKING:
    from torch import Tensor

    from ood_lightning.encoders.base import Encoder

WORDS_AT_ONCE = 8192  # 8,192 words x 80 templates x 1,024 dimensions in float32 are 2.7 GB, x 7 templates 0.23 GB


@dataclass(frozen=True)
class TextBank:
    """Text features of word lists under one encoder, cached on disk.

    Args:
        encoder: whose weights are loaded only when something is not cached.
        cache_dir: folder of all features.
    """

    encoder: Encoder
    cache_dir: str | Path

    def features(self, words: Sequence[str], prompts: Prompts, what: str = "words") -> Tensor:
        """Unit-norm (V, D) float32 features on the CPU, one row per word, templates averaged.

        Args:
            words: in the order of the rows.
            prompts: templates around each word.
            what: the words' name on the progress bar.
        """
        import torch

        from ood_lightning.data.features import TextFile

        listed = hashlib.sha256("\n".join(words).encode()).hexdigest()
        stored = TextFile.at(self.cache_dir, self.encoder.fingerprint, listed, prompts.fingerprint)
        found = stored.read()
        if found is not None:
            return found
        parts = []
        with bar(len(words) * len(prompts.templates), f"encode {what}", "text") as shown:
            for start in range(0, len(words), WORDS_AT_ONCE):
                parts.append(self.encode(words[start : start + WORDS_AT_ONCE], prompts, shown.update))
        features = torch.cat(parts)
        stored.write(features, list(words))
        return features

    def encode(self, words: Sequence[str], prompts: Prompts, tick: Callable[[int], object] = lambda n: None) -> Tensor:
        """Unit-norm (V, D) float32 features of words that no file is kept for.

        Args:
            words: in the order of the rows.
            prompts: templates around each word.
            tick: told how many more texts are done.
        """
        texts = [text for word in words for text in prompts.fill(word)]
        encoded = self.encoder.encode_text(texts, tick)
        return ensemble(encoded.view(len(words), len(prompts.templates), -1), prompts.order)
