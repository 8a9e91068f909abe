"""True names of classes: of a set with a manifest, or a text file. Needs no torch."""

import re
from collections.abc import Sequence
from pathlib import Path

from ood_lightning.data.plain_names import plain_names, say
from ood_lightning.data.shards.manifest import Manifest
from ood_lightning.data.shards.read_manifest import read_manifest
from ood_lightning.errors import LabelSetError
from ood_lightning.places import is_remote, locate
from ood_lightning.plurals import many
from ood_lightning.spelling import is_id, is_number, synset_of
from ood_lightning.text_files import lines_of, read_text

_BRACKETS = r"[\[\](){},;\s]*"
_CODE = re.compile(rf"""{_BRACKETS}((\d+\s*:\s*)?(["']).*\3{_BRACKETS})?""")  # of a list or dict in Python or JSON
_NUMBERED = re.compile(r"(\d+)[\s.:;,)]+\D")


def read_names(source: str) -> list[str]:
    """Names in class order, duplicates kept.

    A line of ImageNet's lists of synsets, `n01440764 tench, Tinca tinca`, is read as its first synonym; numbers are
    taken as they are. Both are said.

    Args:
        source: a set with a manifest, or a .txt in UTF-8 with one name a line, or `folder<TAB>name` a line.

    Raises:
        LabelSetError: there is no such file, it is no UTF-8, it holds no names, some lines are of another form, or a
            name is an id such as `n01440764`.
    """
    names = [name for _, name in read_folders(source, numbered=False)]

    if ids := [name for name in names if is_id(name)]:
        raise LabelSetError(
            f"{source}: {many(len(ids), 'of the names is an id', 'of the names are ids')}, such as {ids[0]!r}, and a "
            f"prompt with an id says nothing: give the names, one a line, or lines `n01440764 tench, Tinca tinca`"
        )
    if numbers := [name for name in names if is_number(name)]:
        say(f"{source}: {len(numbers)} of {many(len(names), 'name')} are numbers, such as {numbers[0]!r}: as meant?")
    return names


def own_names(manifest: Manifest) -> tuple[str, ...]:
    """Names of a set's classes; none where its manifest has none, or has ids or numbers of folders in their place."""
    names = manifest.class_names
    return () if any(map(is_id, names)) or all(map(is_number, names)) else names


def read_folders(source: str, *, numbered: bool = True) -> list[tuple[str | None, str]]:
    """Names with the folder of each, where a file says it; None elsewhere.

    A line of ImageNet's lists of synsets says it: `n01440764 tench, Tinca tinca` is the folder `n01440764`.

    Args:
        source: as of :func:`read_names`.
        numbered: line i names class i - 1, so that only lines at the end may be empty.

    Raises:
        LabelSetError: as of :func:`read_names`, or a line is empty; ids are let pass.
    """
    path = None if is_remote(source) else locate(source)
    is_list = source.lower().endswith(".txt")
    if path and path.is_file() and path.name != "manifest.json" and path.suffix.lower() not in (".txt", ".tar"):
        raise LabelSetError(f"{source} is no list of names: expected a .txt with one name a line, or a set's folder")

    names: list[tuple[str | None, str]] = (
        _names_of_file(locate(source), numbered)
        if is_list
        else [(None, name) for name in read_manifest(source).class_names]
    )

    if not names:
        raise LabelSetError(
            f"{source} holds no names: give a manifest with class_names, or a .txt with one name a line"
        )
    return names


def _names_of_file(path: Path, numbered: bool) -> list[tuple[str | None, str]]:
    lines = [line.strip() for line in lines_of(read_text(path, "file of names", LabelSetError).rstrip())]
    if numbered and "" in lines:
        raise LabelSetError(
            f"file of names {path}, line {lines.index('') + 1} is empty: a line's place is the number of its class"
        )

    if "" in lines:
        say(f"file of names {path}: {many(lines.count(''), 'empty line is', 'empty lines are')} passed over")

    _refuse_code_and_numbers(path, [line for line in lines if line])
    tabs = any("\t" in line for line in lines)
    for number, line in enumerate(lines, 1):
        if tabs and line and line.count("\t") != 1:  # taken as it stands, it would garble names silently
            raise LabelSetError(
                f"file of names {path}, line {number}: {line!r} is not `folder<TAB>name` with one tab, as other lines "
                f"are"
            )

    filled = [spaced if synset_of(spaced := line.replace("\t", " ")) else line for line in lines if line]
    names = plain_names([line.rpartition("\t")[2] for line in filled], f"file of names {path}", LabelSetError)
    folders = [synset_of(line) or line.rpartition("\t")[0].strip() for line in filled]
    return [(folder or None, name) for folder, name in zip(folders, names, strict=True)]


def _refuse_code_and_numbers(path: Path, lines: Sequence[str]) -> None:
    """Refuse a list in Python or JSON, and lines that begin with their numbers: all of it would go into prompts.

    Raises:
        LabelSetError: naming the first line.
    """
    if lines and all(map(_CODE.fullmatch, lines)):
        raise LabelSetError(
            f"file of names {path}, line 1: {lines[0]!r} is code: write one name a line, without quotes and brackets"
        )

    numbers = [int(match[1]) for match in map(_NUMBERED.match, lines) if match]
    if len(lines) > 1 and numbers in (list(range(len(lines))), list(range(1, len(lines) + 1))):
        raise LabelSetError(
            f"file of names {path}, line 1: {lines[0]!r} begins with its number, as all lines do: write the names "
            f"alone, since a line's place is its number, or `folder<TAB>name`"
        )
