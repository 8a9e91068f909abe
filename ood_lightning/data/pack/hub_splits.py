"""Which Parquet files of a data set are which split, by the names that `datasets` and the hub give them."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from tqdm import tqdm

from ood_lightning.errors import SourceError
from ood_lightning.plurals import many

F = TypeVar("F")
# names that a folder has for a split and not for a configuration, whatever its files are called
SPLITS = frozenset("train training validation valid val dev test testing eval evaluation".split())  # noqa: SIM905


class Named(NamedTuple):
    """What a file's name says: its configuration (a folder), its split, and how many files that has (0: unsaid)."""

    config: str
    split: str
    of: int


Groups = Mapping[tuple[str, str], Sequence[tuple[Named, F]]]


def named(path: str) -> Named:
    """What the path of a Parquet file says.

    Example:
        >>> named("data/test-00000-of-00003.parquet")
        Named(config='data', split='test', of=3)
        >>> named("default/partial-train/0000.parquet")  # as the hub converts what is too large to convert all of it
        Named(config='default', split='partial-train', of=0)
        >>> named("clean/validation/part-1.parquet"), named("0000.parquet")
        (Named(config='clean', split='validation', of=0), Named(config='', split='train', of=0))
    """
    *folders, stem = path.removesuffix(".parquet").split("/")
    counted = re.fullmatch(r"(.+)-\d+-of-(\d+)(?:-[0-9a-f]+)?", stem)
    split = counted[1] if counted else re.sub(r"(?:(?:^|[-_.])\d+)+$", "", stem)
    n_files = int(counted[2]) if counted else 0

    if folders and split not in SPLITS and (folders[-1] in SPLITS or not split):
        split = folders.pop()
    return Named("/".join(folders), split or "train", n_files)  # `train` as `datasets` has it


def grouped(files: Sequence[F], path: Callable[[F], str]) -> Groups[F]:
    """Files by configuration and split, in the order of their paths."""
    groups: dict[tuple[str, str], list[tuple[Named, F]]] = {}
    for file in sorted(files, key=path):
        name = named(path(file))
        groups.setdefault((name.config, name.split), []).append((name, file))
    return groups


def chosen(groups: Groups[F], split: str | None, source: str, size: Callable[[F], int]) -> list[F]:
    """The files of the splits that are meant, split by split.

    Args:
        groups: of :func:`grouped`.
        split: names joined by `+`; None: the only one there is.
        source: data set in messages, to which a folder can be added.
        size: bytes of a file.

    Raises:
        SourceError: it is not clear which files are meant, or some are missing.
    """
    splits = split.split("+") if split is not None else sorted({name for _, name in groups})
    configs = sorted({config for config, name in groups if name in splits})
    overview = _overview(groups, size)

    if missing := [name for name in splits if not any((config, name) in groups for config in configs)]:
        raise SourceError(f"{source} has no split {missing[0]!r}; its files are named{overview}")
    if len(configs) > 1:
        raise SourceError(
            f"{source} has {len(configs)} folders with such files: name one, as `{source}/{configs[0]}`:{overview}"
        )
    if split is None and len(splits) > 1:
        raise SourceError(
            f"{source} has {len(splits)} splits: choose one by --split, or several as --split {'+'.join(splits[:2])}:"
            f"{overview}"
        )

    files: list[F] = []
    for name in dict.fromkeys(splits):
        of_split = groups[configs[0], name]
        promised = {file_name.of for file_name, _ in of_split}
        if len(promised) > 1 or promised - {0, len(of_split)}:
            counts = " or ".join(map(str, sorted(promised)))
            raise SourceError(
                f"{source}: split {name!r} has {many(len(of_split), 'file')}, their names speak of {counts}"
            )
        files += [file for _, file in of_split]
    return files


def _overview(groups: Groups[F], size: Callable[[F], int]) -> str:
    """A line for each split that there is."""
    lines = []
    for (config, split), files in sorted(groups.items()):
        total = tqdm.format_sizeof(sum(size(file) for _, file in files), "B")
        lines.append(f"\n  {config or 'top folder'}: {split} ({many(len(files), 'file')}, {total})")
    return "".join(lines)
