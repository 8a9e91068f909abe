"""Zero-shot top-1 of models on a set, as cards quote it: a figure, a source's table of them, several sources."""

from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

from ood_lightning.data.artifacts.typed import STRICT, Percent, Text


class Figure(NamedTuple):
    """Zero-shot top-1 of one model on a set.

    Attributes:
        percent: top-1.
        source: who says so.
    """

    percent: float
    source: str


@dataclass(frozen=True)
class Figures:
    """Zero-shot top-1 of models on a set, as one source published it.

    Args:
        source: who says so.
        percent: by the encoder's name, `model/tag` for open_clip's.
    """

    __pydantic_config__: ClassVar = STRICT

    source: Text
    percent: dict[str, Percent] = field(hash=False)  # cards are keys


@dataclass(frozen=True, kw_only=True)
class Top1(Figures):
    """Zero-shot top-1 of models on a set: one table, and other sources for models that it does not have.

    Args:
        templates: prompts of the measurement, under which the other sources' figures are compared too; empty: OpenAI's
            80 for ImageNet.
        protocols: ways to count the set for which it holds; empty: all of them.
        further: other sources.
    """

    templates: tuple[str, ...] = ()
    protocols: tuple[str, ...] = ()
    further: tuple[Figures, ...] = ()

    @property
    def tables(self) -> tuple[Figures, ...]:
        """All sources, the first one that has a model counts."""
        return (self, *self.further)
