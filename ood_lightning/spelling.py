"""When two spellings are one text, and what of a line is a name: for words and class names, wherever they come in."""

import re
from unicodedata import category, normalize

_SYNSET_LINE = re.compile(r"(?P<id>n\d{8})[ :,_-]+(?P<synonyms>[^\t]+)")
# of WordNet's synsets, as ImageNet's folders and WordNet's own names have them; of Freebase
_ID = re.compile(r"[nvasr]\d{8}|\S+\.[nvasr]\.\d\d|/[mg]/\w+")
_NUMBER = re.compile(r"[-+]?\d+(\.\d*)?")


def one_text(text: str) -> str:
    r"""The spelling that stands for all that tokenizers read alike: composed letters, single blanks, none outside.

    Example:
        >>> one_text(" coffee \u00a0 mug"), one_text("cafe\u0301")
        ('coffee mug', 'café')
    """
    return normalize("NFC", " ".join(text.split()))


def folded(text: str) -> str:
    """The same in lower case: the form in which words are compared."""
    return one_text(text).lower()


def first_synonym(line: str) -> str:
    """The name in a line of ImageNet's lists of synsets; any other line as it is.

    Example:
        >>> first_synonym("n01440764 tench, Tinca tinca"), first_synonym("tench, Tinca tinca")
        ('tench', 'tench, Tinca tinca')
    """
    match = _SYNSET_LINE.fullmatch(line.strip())
    return match["synonyms"].split(",")[0].strip() if match else line


def synset_of(line: str) -> str:
    """The id that a line of ImageNet's lists of synsets begins with; "" for another line."""
    match = _SYNSET_LINE.fullmatch(line.strip())
    return match["id"] if match else ""


def is_id(name: str) -> bool:
    """Whether a text is an id of WordNet or Freebase, such as ``n01440764`` or ``tench.n.01``."""
    return _ID.fullmatch(name) is not None


def is_blank(text: str) -> bool:
    r"""Whether a text shows nothing: blanks, and characters without a shape.

    Example:
        >>> is_blank("\u200b \ufeff"), is_blank("a")
        (True, False)
    """
    return all(c.isspace() or category(c) in ("Cc", "Cf") for c in text)


def is_number(name: str) -> bool:
    """Whether a text is a number, such as that of a class."""
    return _NUMBER.fullmatch(name) is not None


def synonyms(name: str) -> frozenset[str]:
    """The spellings of a name, case folded: itself, and the parts between its commas.

    Example:
        >>> sorted(synonyms("tench, Tinca_tinca"))
        ['tench', 'tench, tinca tinca', 'tinca tinca']
    """
    whole = one_text(name.replace("_", " ")).casefold()
    return frozenset({whole, *(part.strip() for part in whole.split(","))} - {""})
