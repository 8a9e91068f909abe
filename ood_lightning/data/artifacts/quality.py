"""`quality.json`: what a fit measured of its clusters and words. Needs no torch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from ood_lightning.data.artifacts.files import write_json
from ood_lightning.data.artifacts.typed import STRICT, Count, decode_json, decode_plain
from ood_lightning.errors import SourceError
from ood_lightning.places import expanded

FILE = "quality.json"
Format = Literal["ood_lightning/quality/1"]
FORMAT: Format = "ood_lightning/quality/1"


@dataclass(frozen=True)
class _File:
    """Measures of clusters and of true labels by name; of words for each label set."""

    __pydantic_config__: ClassVar = STRICT

    format: Format
    clusters: dict[str, float]
    label_sets: dict[str, dict[str, Any]]
    truth: dict[str, float] | None = None
    run: str | None = None


@dataclass(frozen=True)
class _Histogram:
    mean: float | None  # None where the bins are empty
    bins: tuple[Count, ...]


@dataclass(frozen=True)
class _Words:
    """What is read of a label set's measures; others are free. True names were not given where `similarity` is None."""

    positives: Count
    method: str | None
    sha256: str
    similarity: _Histogram | None = None
    hops: _Histogram | None = None


def write_quality(path: Path, content: dict[str, Any]) -> None:
    """Write as JSON; the same content gives the same bytes."""
    write_json(path, {"format": FORMAT, **content})


def read_quality(source: str | Path) -> dict[str, Any]:
    """What :func:`write_quality` wrote.

    Args:
        source: the file, or the folder of a finished fit.

    Raises:
        SourceError: there is none, or it is something else; names the field that is missing or wrong.
    """
    path = expanded(source)
    path = path / FILE if path.is_dir() else path
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        raise SourceError(f"there is no {path}: run `fit` first, or name the folder of a finished fit") from None
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from None

    file = decode_json(text, _File, str(path), SourceError)
    decode_plain(file.label_sets, dict[str, _Words], f"{path}, label_sets", SourceError)
    return dict(vars(file))
