"""What the image tower learns from: drawings of concepts, and vectors of the texts that go with them."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import text_tower
import torch
from concepts import Concept
from torch import Tensor

TEMPLATES = ("{}", "a photo of a {}.")
GROUP_WEIGHTS = {"flags": 0.08, "symbols": 0.35, "faces": 0.7, "people": 0.7}


class Drawings:
    """The rendered drawings of some concepts by some vendors.

    Args:
        work: holds ``drawings.npy`` and ``drawings.json``.
        vendors: whose drawings.
        concepts: of what.
    """

    def __init__(self, work: Path, vendors: Sequence[str], concepts: Sequence[Concept]) -> None:
        of_code = {concept.code: concept for concept in concepts}
        table = json.loads((work / "drawings.json").read_text(encoding="utf-8"))
        rows = [i for i, (code, vendor, _) in enumerate(table) if vendor in vendors and code in of_code]
        self.concepts = [of_code[table[row][0]] for row in rows]
        self.vendors = [table[row][1] for row in rows]
        self.pixels = torch.from_numpy(np.load(work / "drawings.npy", mmap_mode="r")[rows])

    def __len__(self) -> int:
        return len(self.concepts)

    def weights(self) -> np.ndarray:
        """How often each is drawn: less for a name with many drawings, less for the groups in ``GROUP_WEIGHTS``."""
        count = Counter(concept.name for concept in self.concepts)
        raw = [GROUP_WEIGHTS.get(c.group, 1.0) / math.sqrt(count[c.name]) for c in self.concepts]
        return np.array(raw) / sum(raw)


class Texts:
    """Vectors of WordNet's words and of the concepts' texts, as the teacher or as the trained text tower has them.

    Args:
        work: holds the teacher's files and, unless ``from_teacher``, ``text.pt``.
        concepts: all of them.
        from_teacher: take the vectors that the text tower was trained on.
    """

    def __init__(self, work: Path, concepts: Sequence[Concept], from_teacher: bool) -> None:
        targets = text_tower.Targets(work)
        self.words = targets.words
        self.names = sorted({concept.name for concept in concepts})

        spoken = sorted({text for concept in concepts for text in concept.texts})
        self.row = {text: i for i, text in enumerate(spoken)}

        if from_teacher:
            row_of = {text: i for i, text in enumerate(targets.texts)}
            self.word_vectors = targets.vectors[: len(self.words)]
            self.vectors = targets.vectors[[row_of[text] for text in spoken]]
        else:
            tower = text_tower.build()
            tower.load_state_dict(torch.load(work / "text.pt", weights_only=True))
            tower.eval()
            self.word_vectors = text_tower.encode_texts(tower, self.words, TEMPLATES)
            self.vectors = text_tower.encode_texts(tower, spoken, TEMPLATES)

        self.name_vectors = self.vectors[[self.row[name] for name in self.names]]

    def nearest_words(self, n: int) -> Tensor:
        """Rows of the WordNet words nearest to each concept's text, ``(texts, n)``."""
        parts = [(part @ self.word_vectors.T).topk(n).indices for part in self.vectors.split(256)]
        return torch.cat(parts)
