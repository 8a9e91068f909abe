"""`quality.json`: what a fit measured of its clusters and words. Needs no torch."""

import json
from pathlib import Path
from typing import Any

from ood_lightning.data.artifacts.files import write_json
from ood_lightning.errors import SourceError

FILE = "quality.json"
FORMAT = "ood_lightning/quality/1"


def write_quality(path: Path, content: dict[str, Any]) -> None:
    """Write as JSON; the same content gives the same bytes."""
    write_json(path, {"format": FORMAT, **content})


def read_quality(source: str | Path) -> dict[str, Any]:
    """What :func:`write_quality` wrote.

    Args:
        source: the file, or the folder of a finished fit.

    Raises:
        SourceError: there is none, or it is something else.
    """
    path = Path(source)
    path = path / FILE if path.is_dir() else path
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        made_as = content["format"]
        complete = {"clusters", "label_sets"} <= content.keys()
    except FileNotFoundError:
        raise SourceError(f"there is no {path}: run `fit` first, or name the folder of a finished fit") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceError(f"{path} holds no measures of a fit: {error}") from None
    if made_as != FORMAT or not complete:
        raise SourceError(f"{path} has the format {made_as!r} and the keys {list(content)}: expected {FORMAT!r}")
    return content
