"""What tests of label sets share: a text bank over an encoder that makes features of its own, and a file of names."""

import pytest
from tagged_corpus import FakeEncoder, fake_bank, write_names

from ood_lightning.corpora.texts import TextBank


@pytest.fixture
def encoder() -> FakeEncoder:
    return FakeEncoder()


@pytest.fixture
def bank(encoder: FakeEncoder) -> TextBank:
    return fake_bank(encoder)


@pytest.fixture
def names() -> str:
    return write_names()
