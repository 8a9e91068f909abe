"""WordNet by lexicographer file: words of chosen topics, as NegLabel and CSP take them.

Source: WordNet 3.0 keeps its synsets in 26 files of nouns by topic (`noun.food`) and 3 of adjectives. NegLabel
    (https://arxiv.org/abs/2403.20078) and CSP (https://arxiv.org/abs/2410.08611) read one list of words per file and
    leave some files out.
Differs: NegLabel's released lists are near WordNet 3.1, are cut short in `adj.all` and hold a few torn entries; they
    are not in this package. Ours are the first lemmas of WordNet 3.0: 70,794 words where NegLabel has 70,000, 57,493
    where CSP has 56,620. :class:`LexicographerFolder` reads the released ones.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ood_lightning.corpora.wordnet import FROZEN_SHA256
from ood_lightning.corpora.words import PARTS, Corpus, Part, WordFile, Words
from ood_lightning.errors import CorpusError
from ood_lightning.places import expanded
from ood_lightning.spelling import one_text
from ood_lightning.wordnet.database_files import frozen_text

_NOUNS = (
    "Tops act animal artifact attribute body cognition communication event feeling food group location motive object "
    "person phenomenon plant possession process quantity relation shape state substance time"
)
FILES = {
    **{3 + at: f"noun.{topic}" for at, topic in enumerate(_NOUNS.split())},  # WordNet's own numbers and order
    **{0: "adj.all", 1: "adj.pert", 44: "adj.ppl"},
}
FILES_SHA256: dict[Part, str] = {  # of the text inside, line by line beside the words
    "noun": "42a6e370d7a032701f8d27b240f72daaee7ff1289274bde92e03844f32dcda5e",
    "adj": "f360586b1379b9a50b22d64bda9a7f886e6b4ed84f3108ef3598c6578b63d504",
}


@dataclass(frozen=True)
class Lexicographer(Corpus):
    """First lemmas of WordNet 3.0, file by file, from the lists inside this package.

    Files come in WordNet's order: `noun.Tops`, then the nouns' topics by the alphabet, then `adj.all`, `adj.pert`,
    `adj.ppl`; within a file words come as WordNet stores them. A word of several files belongs to the first that is
    not left out, and is a noun or an adjective as that file is.

    Args:
        exclude: files that are left out, such as `noun.animal`.
        adjectives_first: a word that is both counts as an adjective. The official codes go by the order in which the
            file system lists files, which nobody can know; these are its two extremes.
    """

    exclude: tuple[str, ...] = ()
    adjectives_first: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "exclude", _known_files(self.exclude))

    def load(self) -> Words:
        """Read the words.

        Raises:
            CorpusError: if the lists are damaged.
        """
        lists: dict[str, list[str]] = {name: [] for name in FILES.values()}
        for part in PARTS:
            words = frozen_text(f"wordnet30_{part}.txt.xz", FROZEN_SHA256[part]).splitlines()
            numbers_of_files = frozen_text(f"wordnet30_{part}_files.txt.xz", FILES_SHA256[part]).splitlines()
            for word, numbers in zip(words, numbers_of_files, strict=True):
                for number in numbers.split():
                    lists[FILES[int(number)]].append(word)

        chosen = {name: words for name, words in lists.items() if name not in self.exclude}
        return _united("lexicographer", chosen, self.adjectives_first, "WordNet 3.0, the lists in this package")


@dataclass(frozen=True)
class LexicographerFolder(Corpus):
    """A folder with one list of words per lexicographer file, such as `txtfiles` of NegLabel's release.

    Reads `noun.*.txt` and `adj.*.txt`, one word or phrase a line, lower-cased; torn entries stay as they are. Files are
    taken by name, capitals first, as in :class:`Lexicographer`; of a word that comes twice the first stays. NegLabel's
    release then gives 70,000 words, 58,546 of them nouns.

    Args:
        path: of the folder; ``~`` is the home folder.
        exclude: files that are left out, such as `noun.person`; those that the folder does not have may be named.
        adjectives_first: as in :class:`Lexicographer`.
        spaces: underscores become spaces, as in CSP.
    """

    path: str
    exclude: tuple[str, ...] = ()
    adjectives_first: bool = False
    spaces: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "exclude", _known_files(self.exclude))

    def load(self) -> Words:
        """Read the lists.

        Raises:
            CorpusError: if the folder holds none, or one cannot be read.
        """
        folder = expanded(self.path)
        paths = sorted([*folder.glob("noun.*.txt"), *folder.glob("adj.*.txt")])
        if not paths:
            raise CorpusError(
                f"{folder} holds no lists of words (looked from {Path.cwd()}): expected files such as "
                f"noun.plant.txt and adj.all.txt, as in `txtfiles` of NegLabel's release"
            )

        lists = {path.stem: WordFile(str(path)).load().words for path in paths if path.stem not in self.exclude}
        if self.spaces:
            lists = {name: tuple(one_text(word.replace("_", " ")) for word in words) for name, words in lists.items()}

        return _united(folder.name, lists, self.adjectives_first, str(folder))


def _known_files(exclude: Iterable[str]) -> tuple[str, ...]:
    """The names as a tuple, all of them lexicographer files."""
    if isinstance(exclude, str):
        raise CorpusError(f"exclude is the text {exclude!r}; a list is expected: exclude: [noun.animal, noun.food]")

    names = tuple(exclude)  # a list from YAML would not hash
    if unknown := [name for name in names if name not in FILES.values()]:
        raise CorpusError(f"WordNet has no lexicographer file {unknown[0]!r}; it has {', '.join(FILES.values())}")
    return names


def _united(name: str, lists: Mapping[str, Sequence[str]], adjectives_first: bool, source: str) -> Words:
    """The lists of one part of speech, then those of the other, each word where it comes first."""
    parts: dict[str, Part] = {}
    for file in sorted(lists, key=lambda file: file.startswith("adj") != adjectives_first):
        for word in filter(None, lists[file]):
            parts.setdefault(word, "adj" if file.startswith("adj") else "noun")

    return Words(name=name, words=tuple(parts), source=source, parts=tuple(parts.values()))
