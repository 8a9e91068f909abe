"""Words to text features: each text encoded once, then read from the cache."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ood_lightning.corpora.prompts import Prompts, ensemble
from ood_lightning.encoders.tokens import one_report
from ood_lightning.progress import bar

if TYPE_CHECKING:
    from torch import Tensor

    from ood_lightning.corpora.words import Part
    from ood_lightning.data.artifacts.text_features import TextFile
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

    def features(
        self, words: Sequence[str], prompts: Prompts, what: str = "words", parts: Sequence[Part] | None = None
    ) -> Tensor:
        """Unit-norm (V, D) float32 features on the CPU, one row per word, templates averaged.

        Args:
            words: in the order of the rows.
            prompts: templates around each word.
            what: the words' name on the progress bar.
            parts: of speech, one a word; None: all are nouns.
        """
        import torch

        stored = self.file(words, prompts, parts)
        if prompts.adjectives is None or parts is None or "adj" not in parts:
            prompts = prompts.without_adjectives()
            parts = None

        if (cached := stored.read(len(words))) is not None:
            return cached

        pieces = [slice(start, start + WORDS_AT_ONCE) for start in range(0, len(words), WORDS_AT_ONCE)]
        with one_report(), bar(_n_texts(words, prompts, parts), f"encode {what}", "text") as progress_bar:
            features = torch.cat([
                self._piece(words[rows], prompts, progress_bar.update, parts and parts[rows]) for rows in pieces
            ])  # fmt: skip

        if len(pieces) > 1:
            stored.write(features)
            for rows in pieces:
                self.file(words[rows], prompts, parts and parts[rows]).path.unlink(missing_ok=True)
        return features

    def _piece(
        self, words: Sequence[str], prompts: Prompts, on_progress: Callable[[int], object], parts: Sequence[Part] | None
    ) -> Tensor:
        """Features of one piece of a list, kept on disk: a process that is stopped loses a piece, and not hours."""
        from ood_lightning.errors import FeatureError

        stored = self.file(words, prompts, parts)
        try:
            cached = stored.read(len(words))
        except FeatureError:  # damaged, or another process has just finished the list and removed its pieces
            cached = None

        if cached is None:
            stored.write(encoded := self.encode(words, prompts, on_progress, parts))
            return encoded
        on_progress(_n_texts(words, prompts, parts))
        return cached

    def file(self, words: Sequence[str], prompts: Prompts, parts: Sequence[Part] | None = None) -> TextFile:
        """Where the features of a list of words lie, or will lie; the arguments are those of :meth:`features`."""
        from ood_lightning.data.artifacts.text_features import TextFile

        if prompts.adjectives is None or parts is None or "adj" not in parts:
            prompts = prompts.without_adjectives()
            parts = None

        lines = words if parts is None else [f"{word}\t{part}" for word, part in zip(words, parts, strict=True)]
        # the words of a label set are as a person wrote them, and may hold a line feed: joined, two lists could be one
        text = json.dumps(lines) if any("\n" in line for line in lines) else "\n".join(lines)
        fingerprint = hashlib.sha256(text.encode()).hexdigest()
        return TextFile.at(self.cache_dir, self.encoder.fingerprint, fingerprint, prompts.fingerprint)

    def encode(
        self,
        words: Sequence[str],
        prompts: Prompts,
        on_progress: Callable[[int], object] = lambda n: None,
        parts: Sequence[Part] | None = None,
    ) -> Tensor:
        """Unit-norm (V, D) float32 features of words that no file is kept for.

        Args:
            words: in the order of the rows.
            prompts: templates around each word.
            on_progress: called with the number of texts that were encoded since the last call.
            parts: of speech, one a word; None: all are nouns.
        """
        import torch

        parts = parts or ["noun"] * len(words)
        groups = []
        order: list[int] = []  # row of `words` that each encoded row belongs to
        for part in sorted(set(parts)):
            rows = [row for row, its_part in enumerate(parts) if its_part == part]
            texts = [text for row in rows for text in prompts.fill(words[row], part)]
            encoded = self.encoder.encode_text(texts, on_progress)
            groups.append(ensemble(encoded.view(len(rows), len(prompts.of(part)), -1), prompts.order))  # to (W, D)
            order += rows

        return torch.cat(groups)[torch.tensor(order).argsort()]


def _n_texts(words: Sequence[str], prompts: Prompts, parts: Sequence[Part] | None) -> int:
    return sum(len(prompts.of(part)) for part in parts or ["noun"] * len(words))
