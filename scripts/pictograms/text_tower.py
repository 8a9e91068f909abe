"""The student's text tower, what it is asked to copy, and how it reads a text.

The tower is open_clip's own `TextTransformer`; the 192 numbers that it shall give for a text are the teacher's 384,
less their mean over WordNet, on their 192 main axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import open_clip
import teacher
import torch
from concepts import Concept
from open_clip.transformer import TextTransformer
from torch import Tensor
from torch.nn import functional as F

DIM = 192
CONTEXT = 32
TEXT_CONFIG = {"context_length": CONTEXT, "vocab_size": 49408, "width": DIM, "heads": 6, "layers": 3}
TEMPERATURE = 0.05  # of every softmax in training; the model's logit_scale is 1 / 0.05 = 20


def build() -> TextTransformer:
    """A fresh text tower; `open_clip.model.CLIP` with `TEXT_CONFIG` takes its weights under the same names."""
    return TextTransformer(**TEXT_CONFIG, output_dim=DIM)


def tokenizer() -> open_clip.SimpleTokenizer:
    """CLIP's own tokenizer at our context length."""
    return open_clip.get_tokenizer("ViT-B-32", context_length=CONTEXT)


def encode(tower: TextTransformer, tokens: Tensor) -> Tensor:
    """Unit vectors of a batch, ``(B, 192)``, cut to its longest text: the causal mask makes the rest idle."""
    ends = tokens.argmax(-1)  # the end token has the highest number
    length = int(ends.max()) + 1
    hidden = tower.token_embedding(tokens[:, :length]) + tower.positional_embedding[:length]
    hidden = tower.ln_final(tower.transformer(hidden, attn_mask=tower.attn_mask[:length, :length]))
    return F.normalize(hidden[torch.arange(len(tokens)), ends] @ tower.text_projection, dim=-1)


@torch.inference_mode()
def encode_texts(tower: TextTransformer, texts: Sequence[str], templates: Sequence[str] = ("{}",)) -> Tensor:
    """Unit mean over templates, ``(len(texts), 192)``, in the order given; texts are taken by length."""
    read = tokenizer()
    total = torch.zeros(len(texts), DIM)
    for template in templates:
        tokens = read([template.format(text) for text in texts])
        for rows in tokens.argmax(-1).argsort(stable=True).split(1024):
            total[rows] += encode(tower, tokens[rows])
    return F.normalize(total, dim=-1)


def concept_texts(concepts: Sequence[Concept], words: Sequence[str]) -> list[str]:
    """Texts of the concepts that are no WordNet words, sorted."""
    return sorted({text for concept in concepts for text in concept.texts} - set(words))


class Targets:
    """The texts of the corpus and the unit vectors that the tower shall give for them.

    Args:
        work: holds ``teacher_words.npz``, ``teacher_names.npz`` and ``teacher_tokens.npz``.
    """

    def __init__(self, work: Path) -> None:
        self.words, words = teacher.load(work / "teacher_words.npz")
        self.names, names = teacher.load(work / "teacher_names.npz")
        self.mean = words.mean(0)
        centred = words - self.mean
        axes = torch.linalg.eigh(centred.T @ centred / len(centred)).eigenvectors.flip(1)
        self.axes = axes[:, :DIM].contiguous()
        self.texts = self.words + self.names
        self.vectors = torch.cat([self.reduce(words), self.reduce(names)])
        self.token_vectors = self.reduce(teacher.load(work / "teacher_tokens.npz")[1])

    def reduce(self, embeddings: Tensor) -> Tensor:
        """Teacher vectors, ``(n, 384)``, to unit student targets, ``(n, 192)``."""
        return F.normalize((embeddings - self.mean) @ self.axes, dim=-1)

    def held_out(self, concepts: Sequence[Concept], n_words: int = 2000) -> list[int]:
        """Rows of WordNet words that are never trained on; no concept's text is among them."""
        order = torch.randperm(len(self.words), generator=torch.Generator().manual_seed(0)).tolist()
        spoken = {text for concept in concepts for text in concept.texts}
        return [row for row in order if self.words[row] not in spoken][:n_words]
