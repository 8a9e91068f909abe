"""Python, torch and WordNet. Nothing heavy is imported: versions are read from what is installed."""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from ood_lightning.errors import CorpusError
from ood_lightning.machine.line import Line
from ood_lightning.wordnet.database_files import frozen_text
from ood_lightning.wordnet.graph import frozen_graph

OLDEST_PYTHON = (3, 11)  # as in pyproject.toml, and so the three below; a test compares them
OLDEST_TORCH = (2, 11)
BESIDE_TORCH = ("torchvision", "lightning", "open_clip_torch", "safetensors", "pyarrow")


def python_line(state: tuple[int, ...] = sys.version_info[:3]) -> Line:
    """Whether this Python is new enough.

    Args:
        state: its version.
    """
    text = f"{_dotted(state)} on {platform.system()} {platform.machine()}, {sys.executable}"
    if state[:2] < OLDEST_PYTHON:
        oldest = _dotted(OLDEST_PYTHON)
        return Line.failed("Python", text, f"make an environment with Python {oldest} or newer, and install there")
    if platform.system() != "Linux":
        return Line.warned("Python", text, "take a Linux machine: the package is tested on no other system")
    return Line.passed("Python", text)


def torch_line() -> Line:
    """Whether torch, and what every command needs beside it, is installed."""
    try:
        installed = version("torch")
    except PackageNotFoundError:
        return Line.failed("torch", "not installed", "`pip install torch torchvision`, of one release")

    numbers = tuple(int(part) for part in installed.partition("+")[0].split(".")[:2] if part.isdigit())
    if numbers < OLDEST_TORCH:
        newer = f"`pip install 'torch>={_dotted(OLDEST_TORCH)}' torchvision`"
        return Line.failed("torch", installed, f"{newer}: this release is too old")

    missing = [name for name in BESIDE_TORCH if not _is_installed(name)]
    if missing:
        text = f"{installed}, but {', '.join(missing)} not installed"
        return Line.failed("torch", text, f"`pip install {' '.join(missing)}`, or install the package again")
    return Line.passed("torch", f"{installed}, torchvision {version('torchvision')}, lightning {version('lightning')}")


def wordnet_line() -> Line:
    """Whether the lists of words that come with the package are whole; no other WordNet is needed."""
    from ood_lightning.corpora.wordnet import FROZEN_SHA256

    try:
        words = {part: frozen_text(f"wordnet30_{part}.txt.xz", digest) for part, digest in FROZEN_SHA256.items()}
        n_synsets = len(frozen_graph().lemmas)
    except CorpusError as error:
        return Line.failed("WordNet", str(error).rstrip("."), "install the package again")

    n_words = sum(text.count("\n") for text in words.values())
    return Line.passed("WordNet", f"3.0, lists of {n_words:,} words and a graph of {n_synsets:,} synsets are whole")


def _is_installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


def _dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))
