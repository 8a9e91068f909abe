"""What a label source looks like from outside. A mining method is one class of this kind.

```python
@dataclass(frozen=True)
class MostSimilar(LabelSource):
    '''The `count` words whose cosines to the ID images have the largest sum.'''

    count: int = 10

    @property
    def required_inputs(self) -> frozenset[type[Input]]:
        return frozenset({IDFeatures})

    def make(self, vocabulary: Vocabulary, available: Inputs) -> LabelSet:
        image = available[IDFeatures].image  # (n, D)
        mass = vocabulary.features @ image.sum(dim=0).cpu()  # (V, D) @ (D,) -> (V,)
        chosen = mass.topk(self.count).indices.tolist()
        recipe = vocabulary.recipe(method="MostSimilar", supervision=["id_images"])
        return LabelSet(tuple(Positive(vocabulary.words.words[row]) for row in chosen), None, recipe)
```
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from ood_lightning.ranges import Ranged

if TYPE_CHECKING:
    from ood_lightning.corpora.prompts import Prompts
    from ood_lightning.corpora.words import Corpus
    from ood_lightning.data.artifacts.label_set import LabelSet
    from ood_lightning.detectors.evidence import Input, Inputs
    from ood_lightning.functional.intermodal import ClassBounds
    from ood_lightning.label_sets.vocabulary import Vocabulary


class LabelSource(Ranged, ABC):
    """Something that makes or reads a label set. Subclasses are frozen dataclasses, chosen by class path."""

    @property
    def required_inputs(self) -> frozenset[type[Input]]:
        """Kinds of input that it cannot do without, such as ID training images."""
        return frozenset()

    @property
    def reads_corpus(self) -> bool:
        """Whether it takes words of the corpus; if no set of a run does, the corpus is not encoded."""
        return True

    def corpus_and_prompts(self, corpus: Corpus, prompts: Prompts) -> tuple[Corpus, Prompts]:
        """Corpus and prompts of this set: the run's own, which are the arguments, or others in their place."""
        return corpus, prompts

    def given_names(self, available: Inputs) -> list[str] | None:
        """True names that its positives begin with or hold, which are compared with those of the ID set.

        None where nobody names a class. Called before `make`, and before anything is encoded.
        """
        return None

    def known(self, vocabulary: Vocabulary, available: Inputs) -> LabelSet | None:
        """The set as far as files alone tell it, before anything is encoded; None where it has to be computed.

        What can be refused early is refused here: a file that is missing, or one of another encoder.

        Args:
            vocabulary: as of :meth:`make`, without the features of its words.
            available: as of :meth:`make`, of which the names of the ID set alone can be read yet.
        """
        return None

    @abstractmethod
    def make(self, vocabulary: Vocabulary, available: Inputs) -> LabelSet:
        """The label set.

        Args:
            vocabulary: the words of :meth:`corpus_and_prompts` with their features under the run's encoder.
            available: inputs that the run has, among them all of `required_inputs`.
        """

    def class_bounds(self, vocabulary: Vocabulary, available: Inputs) -> ClassBounds | None:
        """How similar the names are to the images of their classes, on the CPU; None unless the source measures it."""
        return None
