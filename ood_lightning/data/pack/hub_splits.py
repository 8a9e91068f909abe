"""Which Parquet files of a data set are which split, by the names that `datasets` and the hub give them."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

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
    if folders and split not in SPLITS and (folders[-1] in SPLITS or not split):
        split = folders.pop()
    return Named("/".join(folders), split or "train", int(counted[2]) if counted else 0)  # `train` as `datasets` has it


def grouped(files: Sequence[F], path: Callable[[F], str]) -> Groups[F]:
    """Files by configuration and split, in the order of their paths."""
    groups: dict[tuple[str, str], list[tuple[Named, F]]] = {}
    for file in sorted(files, key=path):
        about = named(path(file))
        groups.setdefault((about.config, about.split), []).append((about, file))
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
    wanted = split.split("+") if split is not None else sorted({name for _, name in groups})
    known = _listing(groups, size)
    configs = sorted({config for config, name in groups if name in wanted})
    missing = [name for name in wanted if not any((config, name) in groups for config in configs)]
    if missing:
        raise SourceError(f"{source} has no split {missing[0]!r}; its files are named{known}")
    if len(configs) > 1:
        raise SourceError(
            f"{source} has {len(configs)} folders with such files: name one, as `{source}/{configs[0]}`:{known}"
        )
    if split is None and len(wanted) > 1:
        raise SourceError(
            f"{source} has {len(wanted)} splits: choose one by --split, or several as --split {'+'.join(wanted[:2])}:"
            f"{known}"
        )
    for name in wanted:
        files = groups[configs[0], name]
        promised = {about.of for about, _ in files}
        if len(promised) > 1 or promised - {0, len(files)}:
            told = " or ".join(map(str, sorted(promised)))
            raise SourceError(f"{source}: split {name!r} has {many(len(files), 'file')}, their names speak of {told}")
    return [file for name in dict.fromkeys(wanted) for _, file in groups[configs[0], name]]


def size_in_words(n: int) -> str:
    """`1.2 GB`; powers of 1,000, as the hub has it."""
    unit, name = next((pair for pair in ((1e9, "GB"), (1e6, "MB")) if n >= pair[0]), (1e3, "kB"))
    return f"{n / unit:.1f} {name}"


def _listing(groups: Groups[F], size: Callable[[F], int]) -> str:
    lines = []
    for (config, split), files in sorted(groups.items()):
        total = size_in_words(sum(size(file) for _, file in files))
        lines.append(f"\n  {config or 'top folder'}: {split} ({many(len(files), 'file')}, {total})")
    return "".join(lines)
