"""Class numbers from folders or names. The order is what makes two sets' numbers mean the same."""

from collections.abc import Mapping, Sequence
from typing import Literal

from ood_lightning.data.shards.tars import MAX_CLASS
from ood_lightning.errors import SourceError
from ood_lightning.plurals import many

Order = Literal["auto", "name", "number"]


def class_folders(paths: Sequence[str]) -> list[str | None]:
    """The folder that stands for the class of each path; all None where folders say nothing.

    Leading folders that all paths share are passed over. Images in one folder have no classes.

    Raises:
        SourceError: images lie both beside class folders and in them.

    Example:
        >>> class_folders(["val/cat/1.jpg", "val/dog/left/1.jpg"])
        ['cat', 'dog']
        >>> class_folders(["val/1.jpg", "val/2.jpg"])
        [None, None]
    """
    folders_of = [path.split("/")[:-1] for path in paths]

    depth = 0  # of the first folders that differ
    while folders_of and all(len(folders) > depth for folders in folders_of):
        if len({folders[depth] for folders in folders_of}) > 1:
            return [folders[depth] for folders in folders_of]
        depth += 1

    loose = [path for path, folders in zip(paths, folders_of, strict=True) if len(folders) <= depth]
    if len(loose) < len(paths):
        raise SourceError(
            f"{many(len(loose), 'picture')} beside class folders, such as {loose[0]!r}, and {len(paths) - len(loose)} "
            f"in them: exclude the former, or pack without classes (labels: none)"
        )
    return [None] * len(paths)


def in_order(names: Sequence[str], order: Order) -> list[str]:
    """Different class names by code point, or by number; `auto`: by number if all are whole numbers.

    Example:
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


def numbered(
    labels: Sequence[int | str | None], names: Sequence[str], order: Order = "auto", folders: Sequence[str] = ()
) -> tuple[list[int], tuple[str, ...]]:
    """Class numbers, and the name of each number.

    Args:
        labels: numbers, or names, or all None.
        names: of the classes in order; empty: unknown.
        order: of the class folders, unless `folders` says it.
        folders: of the classes in order, if known, one for each of `names`: labels that are names are then numbered by
            their positions among these, which may be more than occur.

    Raises:
        SourceError: `names` does not fit the labels, or nothing is left for `order` to say.
    """
    if all(label is None or label == -1 for label in labels):
        _refuse_order(order, "the pictures have no classes")
        if names:
            raise SourceError(f"{len(names)} class_names are given, the source has no classes")
        return [-1] * len(labels), ()

    numbers = [label for label in labels if isinstance(label, int)]
    if len(numbers) == len(labels):
        _refuse_order(order, "the source itself numbers the classes")
        if min(numbers) < -1:
            raise SourceError(f"a label is {min(numbers)}: expected 0 or more, or -1 for no class")
        if max(numbers) > MAX_CLASS:
            raise SourceError(f"a label is {max(numbers)}: expected {MAX_CLASS} at most")
        if names and max(numbers) >= len(names):
            raise SourceError(f"labels run from {min(numbers)} to {max(numbers)}, class_names holds {len(names)}")
        return numbers, tuple(names)

    classes = [str(label) for label in labels]
    if folders:
        _refuse_order(order, "the lines of class_names number the folders")
        number_of = _positions_of_folders(folders, set(classes))
    else:
        number_of = {name: number for number, name in enumerate(in_order(classes, order))}
        if names and len(names) != len(number_of):
            raise SourceError(
                f"class_names holds {many(len(names), 'name')}, the source has "
                f"{many(len(number_of), 'class', 'classes')}. Give one name for each, in order, or lines "
                f"`folder<TAB>name`."
            )
    # names of folders need not be UTF-8, a manifest is
    readable = [name.encode("utf-8", "backslashreplace").decode() for name in number_of]
    return [number_of[name] for name in classes], tuple(names or readable)


def _refuse_order(order: Order, reason: str) -> None:
    """Refuse an order of classes where it would change nothing."""
    if order != "auto":
        raise SourceError(f"class_order is {order!r}, but {reason}: leave it out")


def _positions_of_folders(folders: Sequence[str], occurring: set[str]) -> Mapping[str, int]:
    """Class numbers by the lines of class_names, each of which names a folder."""
    position_of = {name: position for position, name in enumerate(folders)}

    if len(position_of) < len(folders):
        repeated = next(name for name in folders if list(folders).count(name) > 1)
        raise SourceError(f"class_names has two lines for the folder {repeated!r}")

    if unknown := sorted(occurring - position_of.keys()):
        raise SourceError(
            f"class_names has no line for {len(unknown)} of {many(len(occurring), 'class', 'classes')}, such as "
            f"{unknown[0]!r}; its first line is for {folders[0]!r}"
        )
    return position_of
