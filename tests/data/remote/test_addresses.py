"""Addresses of remote files: their parts, and what messages may print of them."""

import pytest

from ood_lightning.data.remote.addresses import ON_HUB, below, beside, file_name, redacted


@pytest.mark.parametrize(
    ("source", "printed", "name"),
    [
        ("https://me:geheim@host:8/a/b%20c.tar?signature=geheim", "https://host:8/a/b%20c.tar", "b c.tar"),
        ("https://host/a/", "https://host/a/", "a"),
        ("hf:me/set@v1/deep/a.tar", "hf:me/set@v1/deep/a.tar", "a.tar"),
        ("s3://bucket/s/a.tar", "s3://bucket/s/a.tar", "a.tar"),
        ("pipe:curl -H geheim 'https://host/a.tar?x=1' | zstd -d", "pipe:curl ...", "a.tar"),
        ("pipe:cat /x/a.tar /x/b.tar", "pipe:cat ...", "b.tar"),
        ("pipe:", "pipe: ...", "pipe.tar"),
    ],
)
def test_what_messages_print_of_an_address_and_what_its_file_is_called(source: str, printed: str, name: str):
    assert redacted(source) == printed
    assert file_name(source) == name


@pytest.mark.parametrize(
    ("folder", "file"),
    [
        ("https://host/s?signature=x", "https://host/s/a%20b.tar?signature=x"),
        ("https://host/s/", "https://host/s/a%20b.tar"),
        ("s3://bucket/s", "s3://bucket/s/a b.tar"),
        ("hf:me/set/", "hf:me/set/a b.tar"),
    ],
)
def test_a_file_of_a_folder_and_its_neighbour(folder: str, file: str):
    assert below(folder, "a b.tar") == file
    assert beside(below(folder, "manifest.json"), "a b.tar") == file


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ("hf:me/set", ("me/set", None, None)),
        ("hf:me/set@v1/deep/a.tar/", ("me/set", "v1", "deep/a.tar")),
        ("hf:me/set@refs/convert/parquet/a", ("me/set", "refs/convert/parquet", "a")),
        ("hf:me/set@refs/pr/3", ("me/set", "refs/pr/3", None)),
    ],
)
def test_addresses_on_the_hub(source: str, parts: tuple[str | None, ...]):
    match = ON_HUB.fullmatch(source)
    assert match is not None
    assert match.groups() == parts
