"""Numbers with the noun they count."""

from collections.abc import Mapping


def many(n: int, noun: str, plural: str = "") -> str:
    """`1 shard`, `1,000 shards`.

    Example:
        >>> many(1, "shard"), many(0, "class", "classes"), many(1200, "picture")
        ('1 shard', '0 classes', '1,200 pictures')
    """
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


# kinds of files beside their endings, as they are counted, and what one of them is called
_ONE = {
    "hidden files": "hidden file",
    "hidden folders": "hidden folder",
    "resource forks of macOS": "resource fork of macOS",
}
_SEVERAL = {"no plain file": "no plain files"}


def listed(counts: Mapping[str, int]) -> str:
    """Kinds of files with their numbers, in the order of their names.

    Example:
        >>> listed({"hidden files": 2, ".txt": 1200}), listed({"hidden files": 1, "no plain file": 2})
        ('1,200 .txt, 2 hidden files', '1 hidden file, 2 no plain files')
    """
    named = [(n, (_ONE if n == 1 else _SEVERAL).get(kind, kind)) for kind, n in sorted(counts.items())]
    return ", ".join(f"{n:,} {kind}" for n, kind in named)
