"""WordNet's own database files, `data.noun` and the others, line by line; and the frozen ones of this package."""

import hashlib
import lzma
import re
from collections.abc import Iterator
from importlib.resources import files
from itertools import takewhile
from pathlib import Path
from typing import Literal, NamedTuple

from ood_lightning.errors import CorpusError

SYSTEM_FOLDER = "/usr/share/wordnet"  # Debian's wordnet-base


class Synset(NamedTuple):
    """One line of a data file."""

    offset: str  # its name among pointers
    file: int  # number of its lexicographer file
    lemmas: tuple[str, ...]  # underscores, case and adjective markers as stored
    pointers: tuple[tuple[str, str], ...]  # symbol and target's offset, such as ("@i", "08524735")


def synsets(folder: Path, part: Literal["noun", "adj"]) -> Iterator[Synset]:
    """The synsets of a WNDB file, in its order.

    A line is ``offset file type n_lemmas lemma lex_id ... n_pointers symbol offset type numbers ... | gloss`` with
    ``n_lemmas`` hexadecimal; the licence in front is indented by two spaces.

    Args:
        folder: that holds ``data.noun`` and ``data.adj``.
        part: of speech.

    Raises:
        CorpusError: if the file is missing or a line is cut.
    """
    path = folder / f"data.{part}"
    for number, line in read_lines(path):
        synset = _parsed(line)
        if synset is None:
            raise CorpusError(f"{path}, line {number}: no synset of a WNDB file: {line[:60]!r}. Install WordNet again.")
        yield synset


def _parsed(line: str) -> Synset | None:
    """The synset of one line; None where fields are missing or are no numbers."""
    fields = line.partition(" | ")[0].split(" ")
    try:
        file, n_lemmas = int(fields[1]), int(fields[3], 16)
        lemmas = tuple(fields[4 : 4 + 2 * n_lemmas : 2])  # every lemma is followed by its lex_id

        n_pointers, *rest = fields[4 + 2 * n_lemmas :]
        pointers = tuple(zip(rest[::4], rest[1::4], strict=False))[: int(n_pointers)]
        whole = len(lemmas) == n_lemmas and lemmas[0] and len(pointers) == int(n_pointers)
    except (IndexError, ValueError):
        return None

    return Synset(fields[0], file, lemmas, pointers) if whole else None


def read_lines(path: Path) -> list[tuple[int, str]]:
    """The lines of a WNDB file with their numbers, without the licence in front.

    Raises:
        CorpusError: if it cannot be read; says where to get it.
    """
    try:
        lines = enumerate(path.read_text(encoding="utf-8").split("\n"), start=1)
        return [(number, line) for number, line in lines if line and not line.startswith("  ")]
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(
            f"cannot read WordNet's {path}: {error}. Install it (`apt-get install wordnet-base`), name a folder that "
            f"holds WordNet's database files, or take the frozen ones that come with this package."
        ) from error


def wndb_version(folder: Path) -> str:
    """The release that the licence in front of ``data.noun`` names, or 'of unknown release'."""
    with (folder / "data.noun").open(encoding="utf-8", errors="replace") as file:
        licence = "".join(takewhile(lambda line: line.startswith("  "), file))

    release = re.search(r"WordNet (\d+(?:\.\d+)+)", licence)
    return release[1] if release else "of unknown release"


def frozen_text(name: str, sha256: str) -> str:
    """The text of a file of WordNet 3.0 that comes with this package, checked by its SHA-256.

    Args:
        name: of the file.
        sha256: of the text inside, so that another liblzma does not change it.

    Raises:
        CorpusError: if the file is missing, damaged or changed.
    """
    file = files("ood_lightning") / "corpora" / "frozen" / name
    try:
        text = lzma.decompress(file.read_bytes())
    except (OSError, lzma.LZMAError) as error:
        raise CorpusError(f"cannot read {file}: {error}. Install ood-lightning again.") from error

    if (digest := hashlib.sha256(text).hexdigest()) != sha256:
        raise CorpusError(
            f"{file} has SHA-256 {digest[:12]}..., expected {sha256[:12]}...: it was changed. Install ood-lightning "
            f"again; for words of your own use ood_lightning.corpora.words.WordFile."
        )
    return text.decode()
