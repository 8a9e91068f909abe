"""LabelSet: the words that decide, as a JSON file that a person can read, edit and pass back."""

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from ood_lightning.data.artifacts.files import atomic_write
from ood_lightning.errors import LabelSetError

FORMAT = "ood_lightning/label-set/1"
REST = "rest of the corpus"


@dataclass(frozen=True)
class Positive:
    """A word for ID pictures, and what speaks for it.

    Args:
        label: the word.
        clusters: clusters that elected it; None where nothing voted.
        images: pictures in those clusters (PosMine: pictures whose nearest word it is).
        agreement: share of those pictures whose own nearest word it is, in [0, 1].
    """

    label: str
    clusters: int | None = None
    images: int | None = None
    agreement: float | None = None


@dataclass(frozen=True)
class LabelSet:
    """Positives and negatives of a score.

    Args:
        positives: in the order that scores use.
        negatives: words, in order; None means 'the rest of the corpus that the recipe names'.
        recipe: plain data: method, corpus, prompts, encoder, counts, seed, versions, supervision.
        edited: the file's own hash did not fit, so a person changed it.
    """

    positives: tuple[Positive, ...]
    negatives: tuple[str, ...] | None
    recipe: dict[str, Any]
    edited: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        if not self.positives:
            raise LabelSetError(
                f"label set {self.recipe.get('method', '')!r} has no positives: lower the count threshold, or give "
                f"more pictures"
            )

    @property
    def words(self) -> list[str]:
        """The positives as texts."""
        return [positive.label for positive in self.positives]

    @property
    def supervision(self) -> tuple[str, ...]:
        """What the making of this set was given beside the encoder and the corpus."""
        return tuple(self.recipe.get("supervision", ()))

    def oddities(self) -> list[str]:
        """What a person may not have meant, a line each. The set is scored as it is written all the same.

        A word given twice counts twice in every sum, as in published evaluations; a word on both sides counts on both.
        """
        told = []
        for side, words in (("positives", self.words), ("negatives", self.negatives or ())):
            counts = Counter(word.lower() for word in words)
            twice = [word for word, n in counts.items() if n > 1]
            if twice:
                told.append(f"{len(twice)} of the {side} come more than once and count as often, such as {twice[0]!r}")
        own = {word.lower() for word in self.words}
        both = [word for word in self.negatives or () if word.lower() in own]
        if both:
            told.append(f"{len(both)} of the negatives are positives too and count on both sides, such as {both[0]!r}")
        return told

    @property
    def sha256(self) -> str:
        """Hash of the content, the same on every machine."""
        return hashlib.sha256(json.dumps(self._content(), sort_keys=True, ensure_ascii=False).encode()).hexdigest()

    def _content(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "recipe": self.recipe,
            "positives": [{k: v for k, v in vars(p).items() if v is not None} for p in self.positives],
            "negatives": REST if self.negatives is None else list(self.negatives),
        }

    def write(self, path: str | Path) -> None:
        """Write as JSON, one positive a line; the same content gives the same bytes."""
        content = self._content()
        lines = [
            "{",
            f' "format": {json.dumps(content["format"])},',
            f' "sha256": {json.dumps(self.sha256)},',
            f' "recipe": {json.dumps(content["recipe"], indent=2, ensure_ascii=False)},',
            ' "positives": [',
            ",\n".join("  " + json.dumps(p, ensure_ascii=False) for p in content["positives"]),
            " ],",
            f' "negatives": {json.dumps(content["negatives"], indent=1, ensure_ascii=False)}',
            "}",
        ]
        atomic_write(Path(path), ("\n".join(lines) + "\n").encode())

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read a label set, edited or not.

        Raises:
            LabelSetError: no such file, or not a label set.
        """
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"), object_pairs_hook=_distinct)
            made_as = content["format"]
            positives = tuple(Positive(**entry) for entry in content["positives"])
            negatives = None if content["negatives"] == REST else tuple(content["negatives"])
            recipe = dict(content["recipe"])
        except FileNotFoundError:
            raise LabelSetError(f"there is no label set {path}: make it with `fit` or `mine`") from None
        except KeyError as error:
            raise LabelSetError(f"{path} is no label set: it has no {error}") from None
        except (OSError, ValueError, TypeError) as error:
            raise LabelSetError(f"{path} is no label set: {error}") from error
        if made_as != FORMAT:
            raise LabelSetError(f"{path} has the format {made_as!r}, expected {FORMAT!r}")
        if isinstance(content["negatives"], str) and negatives is not None:
            raise LabelSetError(f"{path}: negatives are {content['negatives']!r}, expected a list or {REST!r}")
        wrong = [text for text in (*(p.label for p in positives), *(negatives or ())) if not _is_text(text)]
        if wrong:
            raise LabelSetError(f"{path}: {wrong[0]!r} is no label: expected a text that is not empty")
        found = cls(positives, negatives, recipe)
        return cls(found.positives, found.negatives, found.recipe, edited=found.sha256 != content.get("sha256"))

    def check_encoder(self, fingerprint: str, name: str) -> None:
        """Refuse to score with an encoder that did not make this set.

        Raises:
            LabelSetError: naming both encoders.
        """
        made_with = self.recipe.get("encoder", {})
        if made_with and made_with.get("fingerprint") != fingerprint:
            raise LabelSetError(
                f"label set {self.recipe.get('method')!r} was made with encoder {made_with.get('name')!r} "
                f"({made_with.get('fingerprint')}), the run uses {name!r} ({fingerprint}). Mine again with this "
                f"encoder, or name the other one."
            )


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; of a key written twice the reader would keep the last without a word."""
    found = dict(pairs)
    twice = [key for key, _ in pairs if [name for name, _ in pairs].count(key) > 1] if len(found) < len(pairs) else []
    if twice:
        raise ValueError(f"the key {twice[0]!r} comes twice")
    return found


def _is_text(label: object) -> bool:
    return isinstance(label, str) and bool(label.strip())
