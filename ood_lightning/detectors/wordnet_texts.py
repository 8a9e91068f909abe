"""WordNet in a multimodal model's place: classes beside a class in its graph for look-alikes, and no word on images."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from typing import ClassVar

from ood_lightning.detectors.image_texts import ImageTexts, StreamImage
from ood_lightning.wordnet.graph import frozen_graph

MOST_LABELS = 5


@dataclass(frozen=True)
class WordNetTexts(ImageTexts):
    """Knows class names alone: it sees no image, and what it calls alike is of one kind, whatever it looks like.

    The look-alikes of a name are other kinds of what it is a kind of, five of them: the first of each of its senses in
    turn, then the second, and so on, senses and kinds in WordNet's order. So a tiger is beside a leopard, and beside
    an abator, since a fierce person is a tiger too. A name that WordNet does not have has none.
    """

    llm: ClassVar[bool] = False

    def describe(self, images: Sequence[StreamImage]) -> list[str]:
        """Nothing."""
        return [""] * len(images)

    def look_alikes(self, names: Sequence[str]) -> list[list[str]]:
        """By the graph."""
        return [self._beside(name) for name in names]

    def _beside(self, name: str) -> list[str]:
        graph = frozen_graph()
        senses = graph.senses.get("_".join(name.lower().split()), ())
        of_senses = [
            [kind for parent in graph.hypernyms[sense] for kind in self._kinds[parent] if kind not in senses]
            for sense in senses
        ]

        in_turn = (kind for kinds in zip_longest(*of_senses) for kind in kinds if kind is not None)
        labels = dict.fromkeys(graph.lemmas[kind][0].replace("_", " ") for kind in in_turn)
        return list(labels)[:MOST_LABELS]

    @cached_property
    def _kinds(self) -> dict[int, list[int]]:
        """Synsets directly below each, in WordNet's order."""
        kinds: dict[int, list[int]] = defaultdict(list)
        for synset, parents in enumerate(frozen_graph().hypernyms):
            for parent in parents:
                kinds[parent].append(synset)
        return kinds
