"""Checked stores: read again as they were written, or refused with the file's name."""

import logging
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import torch
from damaged_stores import forget_checksums, metadata_of, rewrite
from torch import Tensor

from ood_lightning.data.artifacts.store import ENTRY, is_stored, opened, write_store
from ood_lightning.errors import FeatureError, SettingsError

FILE = Path("encoder/set/x.safetensors")
PROVENANCE = {"encoder": "e", "words": ["é", "b"]}
TENSORS = {
    "half": torch.arange(6).reshape(2, 3).half(),
    "whole": torch.tensor([-1, 5]),
    "empty": torch.empty(0, 1),
    "one": torch.tensor(2.5, dtype=torch.bfloat16),
    "slanted": torch.arange(6.0).reshape(2, 3).T,
}


def read() -> dict[str, Tensor]:
    with opened(FILE, PROVENANCE, "remove it") as store:
        return {name: store.tensor(name) for name in TENSORS}


@pytest.fixture
def stored() -> bytes:
    write_store(FILE, TENSORS, PROVENANCE)
    return FILE.read_bytes()


def test_tensors_of_any_shape_and_dtype_come_back(stored: bytes):
    for name, tensor in read().items():
        assert tensor.dtype == TENSORS[name].dtype
        assert torch.equal(tensor, TENSORS[name])


def test_the_same_content_gives_the_same_bytes_and_names_its_hash(stored: bytes):
    write_store(FILE, dict(reversed(TENSORS.items())), dict(reversed(PROVENANCE.items())))
    assert FILE.read_bytes() == stored
    assert metadata_of(FILE).keys() == {ENTRY}
    assert '"hash": "xxh3_128"' in metadata_of(FILE)[ENTRY]


def test_every_bit_counts_but_those_between_header_and_tensors(stored: bytes):
    """Each flipped bit is refused by name, leaves the file as good as none, or changes nothing that is read."""
    harmless = 0
    for position in range(len(stored)):
        content = bytearray(stored)
        content[position] ^= 1 << position % 8
        FILE.write_bytes(content)
        try:
            held = read()
        except FeatureError as error:
            assert str(error).startswith(f"{FILE} "), error  # noqa: PT017
            assert str(error).endswith(": remove it"), error  # noqa: PT017
        else:
            harmless += 1
            assert all(torch.equal(held[name], TENSORS[name]) for name in TENSORS), position
    assert harmless < 12  # blanks that fill the header up to 8 bytes, and blanks between its words


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 100, -1])
def test_a_cut_file_is_refused(stored: bytes, length: int):
    FILE.write_bytes(stored[:length])
    assert is_stored(FILE)  # by whoever reads it
    with pytest.raises(FeatureError, match=r"x\.safetensors is missing or damaged \(.+\): remove it"):
        read()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("half", lambda tensor: tensor.flip(0)),
        ("half", lambda tensor: tensor.view(torch.bfloat16)),
        ("half", lambda tensor: tensor.reshape(3, 2)),
        ("half", lambda tensor: tensor[:1]),
        ("whole", Tensor.double),
        ("whole", torch.zeros_like),
        ("empty", lambda tensor: tensor.reshape(1, 0)),
    ],
    ids=["permuted", "same bytes of another dtype", "reshaped", "short", "another dtype", "zeros", "empty"],
)
def test_a_tensor_that_was_changed_afterwards_is_refused(stored: bytes, name: str, change: Callable[[Tensor], Tensor]):
    rewrite(FILE, name, change, sums_fit=False)
    with pytest.raises(FeatureError, match=rf"damaged \({name} is not what was written, by its xxh3_128 checksum\)"):
        read()


def test_a_tensor_that_is_gone_is_told(stored: bytes):
    rewrite(FILE, "one", lambda tensor: None, sums_fit=False)
    with pytest.raises(FeatureError, match=r"its metadata is not what was written"):
        read()


def test_a_file_of_something_else_says_of_what(stored: bytes):
    words = r"x\.safetensors belongs to another encoder, 'e' instead of 'f': mine again"
    with pytest.raises(SettingsError, match=words), opened(FILE, {"encoder": "f"}, "mine again", SettingsError):
        pass


def test_another_shape_or_dtype_than_a_reader_expects_is_told(stored: bytes):
    with opened(FILE, {}, "") as store:
        assert store.tensor("half", (None, 3), torch.float16, torch.float32).shape == (2, 3)
    for shape, dtype, words in (
        ((2, 2), torch.float16, r"half is float16 \[2, 3\], expected float16 \[2, 2\]"),
        ((None,), torch.float16, r"expected float16 \['any'\]"),
        ((2, 3), torch.float32, r"expected float32 \[2, 3\]"),
    ):
        with pytest.raises(FeatureError, match=words), opened(FILE, {}, "") as store:
            store.tensor("half", shape, dtype)


def test_files_without_checksums_are_made_again_and_that_is_said_once(
    stored: bytes, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    assert is_stored(FILE)
    assert not is_stored(FILE.with_name("none"))
    forget_checksums(FILE)
    second = FILE.parent.with_name("text") / FILE.name
    second.parent.mkdir()
    second.write_bytes(FILE.read_bytes())

    with caplog.at_level(logging.WARNING):
        monkeypatch.setenv("LOCAL_RANK", "1")
        assert not is_stored(second.parent.parent.with_name("other") / FILE.name)
        monkeypatch.setenv("LOCAL_RANK", "0")
        assert [is_stored(FILE), is_stored(second), is_stored(FILE)] == [False] * 3
    (said,) = [record.message for record in caplog.records]
    assert (
        said
        == f"{Path('encoder').absolute()}: stored features without checksums, of an earlier version, are made again"
    )
    with pytest.raises(FeatureError, match="it has no checksums: it is of an earlier version"):
        read()


@contextmanager
def files_left(n: int) -> Iterator[None]:
    """No more than n files can be opened."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, limits[1]))
    held = []
    try:
        with suppress(OSError):
            while True:
                held.append(Path("/dev/null").open())  # noqa: SIM115
        for file in held[len(held) - n :]:
            file.close()
        yield
    finally:
        for file in held:
            file.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.parametrize("n", [0, 1])
def test_a_file_that_cannot_be_opened_is_not_called_damaged(stored: bytes, n: int):
    with files_left(n), suppress(FeatureError):
        try:
            read()
        except OSError as error:
            assert "Too many open files" in str(error)  # noqa: PT017
            assert error.filename == str(FILE)  # noqa: PT017
    FILE.unlink()
    with pytest.raises(FeatureError, match="is missing or damaged"):
        read()
