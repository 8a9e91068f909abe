"""A tokenizer fits a text tower if it tells words apart and the tower has a vector for each of its tokens."""

import pytest

from ood_lightning.encoders.tokens import check_words
from ood_lightning.errors import EncoderError

TOKENS = [[0, 5, 9], [0, 6, 9], [0, 7, 9], [0, 8, 9]]


@pytest.mark.parametrize("vectors", [None, 10, 11])
def test_token_numbers_begin_at_0(vectors: int | None):
    check_words(TOKENS, vectors, "x")
    with pytest.raises(EncoderError, match="gives token 9, its text tower has 9 vectors"):
        check_words(TOKENS, 9, "x")


def test_words_that_are_all_the_same_are_refused():
    with pytest.raises(EncoderError, match="it knows no words"):
        check_words([[0, 3, 9]] * 4, None, "x")
