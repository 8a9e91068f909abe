"""Which Parquet files are which split, by their names."""

import pytest

from ood_lightning.data.pack.hub_splits import Named, chosen, grouped, named
from ood_lightning.errors import SourceError


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("data/train-00000-of-00001-a09b74b3ef9c3b56.parquet", Named("data", "train", 1)),
        ("plain/validation-00003-of-00014.parquet", Named("plain", "validation", 14)),
        ("default/test/0000.parquet", Named("default", "test", 0)),
        ("test/part-00000.parquet", Named("", "test", 0)),
        ("test/cats-00000-of-00002.parquet", Named("", "test", 2)),
        ("test.parquet", Named("", "test", 0)),
        ("a/b/open_val_2.parquet", Named("a/b", "open_val", 0)),
        ("cifar10.parquet", Named("", "cifar10", 0)),
        ("0000.parquet", Named("", "train", 0)),
    ],
)
def test_names_of_splits(path: str, expected: Named):
    assert named(path) == expected


def test_two_numberings_in_one_split_are_refused():
    paths = [f"data/test-00000-of-00001{end}.parquet" for end in ("-0123456789abcdef", "-fedcba9876543210")]
    with pytest.raises(SourceError, match="split 'test' has 2 files, their names speak of 1"):
        chosen(grouped(paths, str), "test", "hf:me/set", len)
