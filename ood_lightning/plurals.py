"""Numbers with the noun they count."""

from collections.abc import Mapping


def many(n: int, noun: str, plural: str = "") -> str:
    """`1 shard`, `1,000 shards`.

    >>> many(1, "shard"), many(0, "class", "classes"), many(1200, "picture")
    ('1 shard', '0 classes', '1,200 pictures')
    """
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def listed(counts: Mapping[str, int]) -> str:
    """Kinds of files with their numbers, in the order of their names.

    >>> listed({"hidden files": 2, ".txt": 1200})
    '1,200 .txt, 2 hidden files'
    """
    return ", ".join(f"{n:,} {kind}" for kind, n in sorted(counts.items()))
