"""True names of classes: of a set with a manifest, or a text file. Needs no torch."""

from pathlib import Path

from ood_lightning.data.shards.read_manifest import read_manifest
from ood_lightning.errors import LabelSetError
from ood_lightning.places import locate
from ood_lightning.text_files import lines_of, read_text


def read_names(source: str) -> list[str]:
    """Names in class order, duplicates kept.

    Args:
        source: a set with a manifest, or a .txt in UTF-8 with one name a line, or `folder<TAB>name` a line.

    Raises:
        LabelSetError: there is no such file, it is no UTF-8, it holds no names, or some lines are of another form.
    """
    return [name for _, name in read_folders(source, numbered=False)]


def read_folders(source: str, *, numbered: bool = True) -> list[tuple[str | None, str]]:
    """Names with the folder of each, where a file says it; None elsewhere.

    Args:
        source: as of :func:`read_names`.
        numbered: line i names class i - 1, so that only lines at the end may be empty.

    Raises:
        LabelSetError: as of :func:`read_names`, or a line is empty.
    """
    names: list[tuple[str | None, str]] = (
        _names_of_file(locate(source), numbered)
        if source.lower().endswith(".txt")
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

    tabs = any("\t" in line for line in lines)
    for number, line in enumerate(lines, 1):
        if tabs and line and line.count("\t") != 1:  # taken as it stands, it would garble names silently
            raise LabelSetError(
                f"file of names {path}, line {number}: {line!r} is not `folder<TAB>name` with one tab, as other lines "
                f"are"
            )

    parts = [line.rpartition("\t") for line in lines if line]
    return [(folder.strip() if tabs else None, name.strip()) for folder, _, name in parts]
