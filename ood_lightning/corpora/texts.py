"""Words to text features: each text encoded once, then read from the cache."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ood_lightning.corpora.prompts import Prompts, ensemble, mean_lengths
from ood_lightning.encoders.tokens import one_report
from ood_lightning.progress import bar

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from ood_lightning.corpora.words import Part
    from ood_lightning.data.artifacts.text_features import TextFile
    from ood_lightning.encoders.base import Encoder

WORDS_AT_ONCE = 8192  # 8,192 words x 80 templates x 1,024 dimensions in float32 are 2.7 GB, x 7 templates 0.23 GB


class EncodedTexts(NamedTuple):
    """What the tower made of words.

    Attributes:
        features: unit-norm, float32, shape (V, D).
        lengths: of the mean over a word's templates, before anything is normalised; float32, shape (V,).
    """

    features: Tensor
    lengths: Tensor

    @classmethod
    def joined(cls, pieces: Sequence[EncodedTexts]) -> EncodedTexts:
        """Of a list that was encoded in pieces."""
        import torch

        return cls(*(torch.cat(column) for column in zip(*pieces, strict=True)))


@dataclass(frozen=True)
class TextBank:
    """Text features of word lists under one encoder, cached on disk.

    Args:
        encoder: whose weights are loaded only when something is not cached.
        cache_dir: folder of all features.
        device: that the weights are brought to then; None: they stay where the caller loaded them.
    """

    encoder: Encoder
    cache_dir: str | Path
    device: torch.device | None = None

    @cached_property
    def logit_scale(self) -> float:
        """CLIP's multiplier, read from the encoder once and stored beside the features."""
        from ood_lightning.data.artifacts.text_features import ScaleFile
        from ood_lightning.errors import UnwritableError

        file = ScaleFile.at(self.cache_dir, self.encoder.fingerprint)
        stored = file.read()
        if stored is None:
            stored = self.encoder.logit_scale
            with suppress(UnwritableError):  # a cache that others own, and all that is asked of it is there
                file.write(stored)
        return stored

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
        stored = self.file(words, prompts, parts)
        if (cached := stored.read(len(words))) is not None:
            return cached

        encoded = self._in_pieces(words, prompts, what, parts)
        if len(words) > WORDS_AT_ONCE:  # else its only piece is the file
            stored.write(*encoded)
            self._remove_pieces(words, prompts, parts)
        return encoded.features

    def lengths(
        self, words: Sequence[str], prompts: Prompts, what: str = "words", parts: Sequence[Part] | None = None
    ) -> Tensor:
        """Lengths (V,) that the features had before they were normalised; see :class:`EncodedTexts`.

        They are stored with the features. Where an earlier version stored features alone, the words are encoded once
        more and the features stay as they are.

        Args:
            words: as of :meth:`features`, like the others.
            prompts: templates around each word.
            what: the words' name on the progress bar.
            parts: of speech, one a word; None: all are nouns.
        """
        features, stored = self.features(words, prompts, what, parts), self.file(words, prompts, parts)
        if (cached := stored.read_lengths(len(words))) is not None:
            return cached

        lengths = self._in_pieces(words, prompts, f"lengths of {what}", parts, keep=False).lengths
        stored.write(features, lengths)
        return lengths

    def _in_pieces(
        self, words: Sequence[str], prompts: Prompts, what: str, parts: Sequence[Part] | None, *, keep: bool = True
    ) -> EncodedTexts:
        """Encode a list piece by piece, each of which is kept on disk if wished."""
        prompts, parts = _as_encoded(prompts, parts)
        make = self._piece if keep else self._encoded
        with one_report(), bar(_n_texts(words, prompts, parts), f"encode {what}", "text") as progress_bar:
            return EncodedTexts.joined([
                make(words[rows], prompts, progress_bar.update, parts and parts[rows]) for rows in _pieces(len(words))
            ])  # fmt: skip

    def _remove_pieces(self, words: Sequence[str], prompts: Prompts, parts: Sequence[Part] | None) -> None:
        for rows in _pieces(len(words)):
            self.file(words[rows], prompts, parts and parts[rows]).path.unlink(missing_ok=True)

    def _piece(
        self, words: Sequence[str], prompts: Prompts, on_progress: Callable[[int], object], parts: Sequence[Part] | None
    ) -> EncodedTexts:
        """One piece of a list, kept on disk: a process that is stopped loses a piece, and not hours."""
        from ood_lightning.errors import FeatureError

        stored = self.file(words, prompts, parts)
        try:
            features, lengths = stored.read(len(words)), stored.read_lengths(len(words))
        except FeatureError:  # damaged, or another process has just finished the list and removed its pieces
            features = lengths = None

        if features is None or lengths is None:
            encoded = self._encoded(words, prompts, on_progress, parts)
            stored.write(*encoded)
            return encoded
        on_progress(_n_texts(words, prompts, parts))
        return EncodedTexts(features, lengths)

    def file(self, words: Sequence[str], prompts: Prompts, parts: Sequence[Part] | None = None) -> TextFile:
        """Where the features of a list of words lie, or will lie; the arguments are those of :meth:`features`."""
        from ood_lightning.data.artifacts.text_features import TextFile

        prompts, parts = _as_encoded(prompts, parts)
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
        return self._encoded(words, prompts, on_progress, parts).features

    def _encoded(
        self, words: Sequence[str], prompts: Prompts, on_progress: Callable[[int], object], parts: Sequence[Part] | None
    ) -> EncodedTexts:
        import torch

        if self.device is not None:
            self.encoder.load(self.device)

        parts = parts or ["noun"] * len(words)
        groups = []
        order: list[int] = []  # row of `words` that each encoded row belongs to
        for part in sorted(set(parts)):
            rows = [row for row, its_part in enumerate(parts) if its_part == part]
            texts = [text for row in rows for text in prompts.fill(words[row], part)]
            sentences = self.encoder.encode_text(texts, on_progress).view(len(rows), len(prompts.of(part)), -1)
            groups.append(EncodedTexts(ensemble(sentences, prompts.order), mean_lengths(sentences)))  # of W words
            order += rows

        places = torch.tensor(order).argsort()
        features, lengths = EncodedTexts.joined(groups)
        return EncodedTexts(features[places], lengths[places])


def _as_encoded(prompts: Prompts, parts: Sequence[Part] | None) -> tuple[Prompts, Sequence[Part] | None]:
    """Prompts and parts as far as they matter: where no word takes templates for adjectives, all are nouns."""
    if prompts.adjectives is None or parts is None or "adj" not in parts:
        return prompts.without_adjectives(), None
    return prompts, parts


def _pieces(n_words: int) -> list[slice]:
    return [slice(start, start + WORDS_AT_ONCE) for start in range(0, n_words, WORDS_AT_ONCE)]


def _n_texts(words: Sequence[str], prompts: Prompts, parts: Sequence[Part] | None) -> int:
    return sum(len(prompts.of(part)) for part in parts or ["noun"] * len(words))
