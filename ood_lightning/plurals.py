"""Numbers with the noun they count."""


def many(n: int, noun: str, plural: str = "") -> str:
    """`1 shard`, `1,000 shards`.

    >>> many(1, "shard"), many(0, "class", "classes"), many(1200, "picture")
    ('1 shard', '0 classes', '1,200 pictures')
    """
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"
