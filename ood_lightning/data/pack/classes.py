"""Class numbers from folders or names. The order is what makes two sets' numbers mean the same."""

from collections.abc import Sequence
from typing import Literal

from ood_lightning.errors import SourceError
from ood_lightning.plurals import many

Order = Literal["auto", "name", "number"]


def class_folders(paths: Sequence[str]) -> list[str | None]:
    """The folder that stands for the class of each path; all None where folders say nothing.

    Leading folders that all paths share are passed over. Pictures in one folder have no classes.

    Raises:
        SourceError: pictures lie both beside class folders and in them.

    >>> class_folders(["val/cat/1.jpg", "val/dog/left/1.jpg"])
    ['cat', 'dog']
    >>> class_folders(["val/1.jpg", "val/2.jpg"])
    [None, None]
    """
    split = [path.split("/")[:-1] for path in paths]
    depth = 0
    while split and all(len(folders) > depth for folders in split) and len({folders[depth] for folders in split}) == 1:
        depth += 1
    loose = [path for path, folders in zip(paths, split, strict=True) if len(folders) <= depth]
    if not loose:
        return [folders[depth] for folders in split]
    if len(loose) < len(paths):
        raise SourceError(
            f"{many(len(loose), 'picture')} beside class folders, such as {loose[0]!r}, and {len(paths) - len(loose)} "
            f"in them: exclude the former, or pack without classes (labels: none)"
        )
    return [None] * len(paths)


def in_order(names: Sequence[str], order: Order) -> list[str]:
    """Different class names by code point, or by number; `auto`: by number if all are whole numbers.

    >>> in_order(["10", "9", "10"], "auto"), in_order(["10", "9"], "name"), in_order(["10", "b"], "auto")
    (['9', '10'], ['10', '9'], ['10', 'b'])

    Raises:
        SourceError: order by number, and one is none.
    """
    different = sorted(set(names))
    words = [name for name in different if not (name.isascii() and name.isdigit())]
    if order == "number" and words:
        raise SourceError(f"the class {words[0]!r} is no whole number: choose class_order name or auto")
    return different if order == "name" or words else sorted(different, key=lambda name: (int(name), name))


def _settled(labels: Sequence[int | str | None], folders: Sequence[str]) -> str:
    """What numbers the classes already; empty: only their order can."""
    if all(label is None or label == -1 for label in labels):
        return "the pictures have no classes"
    if all(isinstance(label, int) for label in labels):
        return "the source itself numbers the classes"
    return "the lines of class_names number the folders" if folders else ""


def numbered(
    labels: Sequence[int | str | None], given: Sequence[str], order: Order = "auto", folders: Sequence[str] = ()
) -> tuple[list[int], tuple[str, ...]]:
    """Class numbers, and the name of each number.

    Args:
        labels: numbers, or names, or all None.
        given: names of the classes in order.
        order: of the class folders, unless `folders` does.
        folders: of `given`, if known, one for each: then labels that are names are numbered by their place among
            these, which may be more than occur.

    Raises:
        SourceError: `given` does not fit the labels, or nothing is left for `order` to say.
    """
    if order != "auto" and (settled := _settled(labels, folders)):
        raise SourceError(f"class_order is {order!r}, but {settled}: leave it out")
    if all(label is None or label == -1 for label in labels):
        if given:
            raise SourceError(f"{len(given)} class_names are given, the source has no classes")
        return [-1] * len(labels), ()
    if all(isinstance(label, int) for label in labels):
        numbers = [int(label) for label in labels if label is not None]
        if min(numbers) < -1:
            raise SourceError(f"a label is {min(numbers)}: expected 0 or more, or -1 for no class")
        if given and max(numbers) >= len(given):
            raise SourceError(f"labels run from {min(numbers)} to {max(numbers)}, class_names holds {len(given)}")
        return numbers, tuple(given)
    called = [str(label) for label in labels]
    if folders:
        place = {name: i for i, name in enumerate(folders)}
        if len(place) < len(folders):
            twice = next(name for name in folders if list(folders).count(name) > 1)
            raise SourceError(f"class_names has two lines for the folder {twice!r}")
        if unknown := sorted(set(called) - place.keys()):
            raise SourceError(
                f"class_names has no line for {len(unknown)} of {many(len(set(called)), 'class', 'classes')}, such as "
                f"{unknown[0]!r}; "
                f"its first line is for {folders[0]!r}"
            )
        return [place[name] for name in called], tuple(given)
    known = in_order(called, order)
    if given and len(given) != len(known):
        names, classes = many(len(given), "name"), many(len(known), "class", "classes")
        raise SourceError(
            f"class_names holds {names}, the source has {classes}. Give one name for each, in order, or lines "
            f"`folder<TAB>name`."
        )
    place = {name: i for i, name in enumerate(known)}
    # names of folders need not be UTF-8, a manifest is
    return [place[name] for name in called], tuple(
        given or (name.encode("utf-8", "backslashreplace").decode() for name in known)
    )
