"""LabelSet: the words that decide, as a JSON file that a person can read, edit and pass back."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from ood_lightning.data.files import atomic_write
from ood_lightning.errors import LabelSetError

FORMAT = "ood_lightning/label-set/1"
SUPERVISION = ("id_names", "id_images", "id_labels", "test_stream", "llm")


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

    @property
    def sha256(self) -> str:
        """Hash of the content, the same on every machine."""
        return hashlib.sha256(json.dumps(self._content(), sort_keys=True, ensure_ascii=False).encode()).hexdigest()

    def _content(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "recipe": self.recipe,
            "positives": [{k: v for k, v in vars(p).items() if v is not None} for p in self.positives],
            "negatives": "rest of the corpus" if self.negatives is None else list(self.negatives),
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
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            if content["format"] != FORMAT:
                raise LabelSetError(f"{path} has the format {content['format']!r}, expected {FORMAT!r}")
            negatives = None if isinstance(content["negatives"], str) else tuple(content["negatives"])
            positives = tuple(Positive(**entry) for entry in content["positives"])
            found = cls(positives, negatives, content["recipe"])
        except FileNotFoundError:
            raise LabelSetError(f"there is no label set {path}: make it with `fit` or `mine`") from None
        except (ValueError, KeyError, TypeError) as error:
            raise LabelSetError(f"{path} is no label set: {error}") from error
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
