"""Prompts and first tokens of a chat model, with a tokenizer whose tokens are letters."""

from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from ood_lightning.filtering.judges.base import JudgeError
from ood_lightning.filtering.judges.chat_tokens import ChatTokens
from ood_lightning.filtering.judges.transformers import Loaded, TransformersJudge

pytest.importorskip("jinja2")


class Letters:
    """Every letter is a token; the template ends in a colon.

    Args:
        joined: what the end of a prompt and the first letter of a reply may become one token of.
    """

    pad_token_id = None
    eos_token_id = 7

    def __init__(self, joined: str = "") -> None:
        self.joined = joined

    def __call__(self, texts: list[str], add_special_tokens: bool) -> dict[str, list[list[int]]]:
        assert not add_special_tokens
        texts = [text.replace(":" + self.joined, "*") if self.joined else text for text in texts]
        return {"input_ids": [[ord(letter) for letter in text] for text in texts]}

    def apply_chat_template(self, messages: list[dict[str, str]], **options: object) -> str:
        return "|".join(message["content"] for message in messages) + ":"


def letters(tokens: list[int]) -> str:
    return "".join(map(chr, tokens))


def test_a_token_with_which_both_replies_may_begin_says_nothing():
    """' Yes' and ' No' both begin with the blank."""
    first = ChatTokens(Letters(), "m").first_tokens
    assert (letters(first[True]), letters(first[False])) == ("Yy", "Nn")


def test_a_reply_that_grows_together_with_the_prompt_is_left_out():
    first = ChatTokens(Letters(joined="Y"), "m").first_tokens
    assert (letters(first[True]), letters(first[False])) == ("y", "Nn")


def test_a_tokenizer_that_does_not_tell_yes_from_no_is_refused():
    class Same(Letters):
        def __call__(self, texts: list[str], add_special_tokens: bool) -> dict[str, list[list[int]]]:
            return {"input_ids": [[1] * len(text) for text in texts]}

    with pytest.raises(
        JudgeError, match=r"m: its tokenizer has no first token that tells yes from no.*`mode: generate`"
    ):
        _ = ChatTokens(Same(), "m").first_tokens


def test_rows_are_padded_on_the_left_with_a_token_that_the_mask_hides():
    ids, mask = ChatTokens(Letters(), "m").padded([[1, 2, 3], [4]])
    assert ids.tolist() == [[1, 2, 3], [7, 7, 4]]
    assert mask.tolist() == [[1, 1, 1], [0, 0, 1]]


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [([[1, 2, 3], [1, 2, 4], [1, 2]], 1), ([[1], [2]], 0), ([[5, 5]], 1), ([[3, 1, 4], [3, 1, 5], [3, 2, 6]], 1)],
)
def test_what_all_questions_begin_with_is_read_once_and_leaves_each_a_token(tokens: list[list[int]], expected: int):
    judge = TransformersJudge("m")
    model = Mock(device="cpu", return_value=SimpleNamespace(past_key_values="kept"))
    judge.__dict__["_loaded"] = Loaded(model, ChatTokens(Letters(), "m"))
    assert judge._shared_prefix(tokens) == (expected, "kept" if expected else None)
