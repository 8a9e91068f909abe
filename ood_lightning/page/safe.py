"""Data inside a page, as nothing but data: packed, and never a part of its markup."""

import gzip
import json
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

from ood_lightning.errors import SettingsError

ASSETS = Path(__file__).parent / "assets"
SCRIPTS = ("page.js", "tables.js", "plots.js", "scores.js", "words.js", "pictures.js", "rows.js", "sensitivity.js")


def packed(content: object) -> str:
    """Plain data as JSON, compressed, in base64: letters, digits, `+`, `/` and `=` alone; same data, same text."""
    text = json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return b64encode(gzip.compress(text.encode(), compresslevel=6, mtime=0)).decode()


def style() -> str:
    """The page's style sheet."""
    return (ASSETS / "page.css").read_text(encoding="utf-8")


def scripts() -> list[str]:
    """The page's scripts: that of the plots, and its own; no element of a page may end within one.

    Raises:
        SettingsError: plotly is not installed.
    """
    return [_plotly(), "\n".join((ASSETS / name).read_text(encoding="utf-8") for name in SCRIPTS)]


def _plotly() -> str:
    """Plotly's script, found without importing its package, which takes its time."""
    spec = find_spec("plotly")
    folder = Path(str(spec.origin)).parent if spec and spec.origin else None
    file = None if folder is None else folder / "package_data" / "plotly.min.js"
    if file is None or not file.is_file():
        raise SettingsError("the page's plots need plotly, which is not installed: pip install plotly")
    return file.read_text(encoding="utf-8")


def policy(inlined: Sequence[str]) -> str:
    """A Content-Security-Policy under which these scripts run, and nothing is loaded from anywhere.

    Styles may be inline, since plots place their parts by them.

    Args:
        inlined: the scripts, exactly as they stand between their tags.
    """
    hashes = " ".join(f"'sha256-{b64encode(sha256(one.encode()).digest()).decode()}'" for one in inlined)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
        f"form-action 'none'"
    )
