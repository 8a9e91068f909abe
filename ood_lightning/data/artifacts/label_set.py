"""LabelSet: the words that decide, as a JSON file that a person can read, edit and pass back."""

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from ood_lightning.data.artifacts.files import atomic_write
from ood_lightning.data.artifacts.typed import STRICT, Count, Share, decode_json, decode_plain
from ood_lightning.errors import LabelSetError
from ood_lightning.spelling import folded, is_blank, is_id, synset_of

Format = Literal["ood_lightning/label-set/1"]
FORMAT: Format = "ood_lightning/label-set/1"
REST = "rest of the corpus"
LABELS = "labels.json"


@dataclass(frozen=True)
class Positive:
    """A word for ID pictures, and the votes that it got.

    Args:
        label: the word.
        clusters: clusters that elected it; None where nothing voted.
        images: pictures in those clusters (PosMine: pictures whose nearest word it is).
        agreement: share of those pictures whose nearest word it is, in [0, 1].
    """

    __pydantic_config__: ClassVar = STRICT

    label: str
    clusters: Count | None = None
    images: Count | None = None
    agreement: Share | None = None


@dataclass(frozen=True)
class _File:
    """What `labels.json` says; `sha256` is missing where a person wrote the file."""

    __pydantic_config__: ClassVar = STRICT

    format: Format
    recipe: dict[str, Any]
    positives: tuple[Positive, ...]
    negatives: object
    sha256: str | None = None
    run: str | None = None


@dataclass(frozen=True)
class _Adjectives:
    """Which words take the templates for adjectives; InterNeg's recipe has the number of its negatives alone."""

    positives: tuple[str, ...] = ()
    negatives: tuple[str, ...] | Count = ()


@dataclass(frozen=True)
class _Recipe:
    """What is read of a recipe; everything else in it is free."""

    method: str | None = None
    encoder: dict[str, Any] | None = None
    corpus: dict[str, Any] = field(default_factory=dict)
    prompts: dict[str, Any] | None = None
    adjectives: _Adjectives = field(default_factory=_Adjectives)
    supervision: tuple[str, ...] = ()


@dataclass(frozen=True)
class LabelSet:
    """Positives and negatives of a score.

    Args:
        positives: in the order that scores use.
        negatives: words, in order; None means 'the rest of the corpus that the recipe names'.
        recipe: plain data: method, corpus, prompts, encoder, counts, seed, versions, supervision.
        edited: the hash in the file did not fit its content, so a person changed it.
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
        """What this set was made from besides the encoder and plain words: `id_names`; `llm` of grown corpora."""
        corpus = self.recipe.get("corpus")
        of_corpus = corpus.get("supervision", ()) if isinstance(corpus, dict) else ()
        return tuple(dict.fromkeys((*self.recipe.get("supervision", ()), *of_corpus)))

    def oddities(self) -> list[str]:
        """What a person may not have meant, a line for each kind. The set is scored as it is written all the same.

        A word that is listed twice counts twice in every sum, as in published evaluations; a word on both sides counts
        on both.
        """
        lines = []
        for side, words in (("positives", self.words), ("negatives", self.negatives or ())):
            if no_names := [word for word in words if is_id(word) or synset_of(word)]:
                lines.append(f"{len(no_names)} of the {side} begin with an id and no word, such as {no_names[0]!r}")
            counts = Counter(map(folded, words))
            if repeated := [word for word, n in counts.items() if n > 1]:
                lines.append(
                    f"{len(repeated)} of the {side} come more than once and count as often, such as {repeated[0]!r}"
                )

        positives = set(map(folded, self.words))
        if both := [word for word in self.negatives or () if folded(word) in positives]:
            lines.append(f"{len(both)} of the negatives are positives too and count on both sides, such as {both[0]!r}")
        return lines

    @property
    def sha256(self) -> str:
        """Hash of the content, the same on every machine."""
        return hashlib.sha256(json.dumps(self._content(), sort_keys=True, ensure_ascii=False).encode()).hexdigest()

    def _content(self) -> dict[str, Any]:
        positives = [vars(positive).items() for positive in self.positives]
        return {
            "format": FORMAT,
            "recipe": self.recipe,
            "positives": [{name: value for name, value in fields if value is not None} for fields in positives],
            "negatives": REST if self.negatives is None else list(self.negatives),
        }

    def write(self, path: str | Path, run: str = "") -> None:
        """Write as JSON, one positive a line; the same content gives the same bytes.

        Args:
            path: where to.
            run: hash of the run that writes it, no part of the content; none where no run does.
        """
        content = self._content()
        lines = [
            "{",
            f' "format": {json.dumps(content["format"])},',
            f' "sha256": {json.dumps(self.sha256)},',
            *([f' "run": {json.dumps(run)},'] if run else []),
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

        Args:
            path: of the file, or the folder of a run that wrote `labels.json`.

        Raises:
            LabelSetError: no such file, or not a label set.
        """
        path = _file_in(Path(path))
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            raise LabelSetError(f"there is no label set {path}: make it with `fit` or `mine`") from None
        except OSError as error:
            raise LabelSetError(f"{path} is no label set: {error}") from error

        file = decode_json(text, _File, str(path), LabelSetError)
        decode_plain(file.recipe, _Recipe, f"{path}, recipe", LabelSetError)
        negatives = None if file.negatives == REST else _listed(file.negatives, path)
        for side, words in (("positives", [p.label for p in file.positives]), ("negatives", negatives or ())):
            for row, word in enumerate(words):
                if is_blank(word):
                    raise LabelSetError(f"{path}: {side}.{row} is {word!r}: expected a text that is not empty")

        if not file.positives:
            raise LabelSetError(f"{path} has no positives: add some, or make the set again")
        labels = cls(file.positives, negatives, file.recipe)
        return replace(labels, edited=labels.sha256 != file.sha256)

    def check_encoder(self, fingerprint: str, name: str) -> None:
        """Refuse to score with an encoder that did not make this set.

        Raises:
            LabelSetError: naming both encoders.
        """
        made_with = self.recipe.get("encoder") or {}
        if made_with and made_with.get("fingerprint") != fingerprint:
            raise LabelSetError(
                f"label set {self.recipe.get('method')!r} was made with encoder {made_with.get('name')!r} "
                f"({made_with.get('fingerprint')}), the run uses {name!r} ({fingerprint}). Mine again with this "
                f"encoder, or name the other one."
            )


def _file_in(path: Path) -> Path:
    """The label set of a run's folder; another path is the file itself.

    Raises:
        LabelSetError: the folder holds no `labels.json`; names the label sets that it does hold.
    """
    if not path.is_dir() or (path / LABELS).is_file():
        return path / LABELS if path.is_dir() else path

    others = [str(file) for file in sorted([*path.glob("*.json"), *path.glob("labels/*.json")]) if _is_one(file)]
    instead = f": name one of {', '.join(others)}" if others else ": make it with `fit` or `mine`"
    raise LabelSetError(f"{path} is no label set: the folder holds no {LABELS}{instead}")


def _is_one(file: Path) -> bool:
    """Whether a file begins as a label set does."""
    with file.open(encoding="utf-8", errors="replace") as text:
        return FORMAT in text.read(200)


def _listed(negatives: object, path: str | Path) -> tuple[str, ...]:
    if isinstance(negatives, str):
        raise LabelSetError(f"{path}: negatives is {negatives!r}, expected a list or {REST!r}")
    return decode_plain({"negatives": negatives}, dict[str, tuple[str, ...]], str(path), LabelSetError)["negatives"]
