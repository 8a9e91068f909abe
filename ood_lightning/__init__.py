"""Zero-shot and label-free out-of-distribution detection with CLIP.

For Python: `from ood_lightning import Detector, LabelSet, Corpus, mine, evaluate`. Each is imported when it is first
used, so that importing the package takes no time. What type checkers know of them stands in `__init__.pyi`.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"
__all__ = ["Corpus", "Detector", "LabelSet", "evaluate", "mine"]

_HOMES = {
    "Corpus": "ood_lightning.corpora.words",
    "Detector": "ood_lightning.detector_folder.detector",
    "LabelSet": "ood_lightning.data.artifacts.label_set",
    "evaluate": "ood_lightning.front.evaluate",
    "mine": "ood_lightning.front.mine",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
