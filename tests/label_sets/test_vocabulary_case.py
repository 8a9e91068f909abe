"""Words that differ in case alone are one text where the encoder's tokenizer folds case."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.words import Words
from ood_lightning.encoders.openclip import OpenClip
from ood_lightning.label_sets.vocabulary import one_text_each

WORDS = Words("w", ("Polish", "crane", "polish", "Crane"), "here", ("adj", "noun", "noun", "noun"), (1, 2, 1, 3))
BY_PART = Prompts(("{}",), adjectives=("a {} thing",))


def encoder(*, folds_case: bool) -> Any:
    return cast(Any, SimpleNamespace(name="some", folds_case=folds_case))


def test_the_first_stays_with_its_part_and_count():
    one = one_text_each(WORDS, Prompts(("{}",)), encoder(folds_case=True))
    assert (one.words, one.parts, one.counts) == (("Polish", "crane"), ("adj", "noun"), (1, 2))


def test_an_adjective_with_templates_of_its_own_is_another_text():
    assert one_text_each(WORDS, BY_PART, encoder(folds_case=True)).words == ("Polish", "crane", "polish")


def test_nothing_is_left_out_where_case_counts_or_no_word_comes_twice():
    assert one_text_each(WORDS, BY_PART, encoder(folds_case=False)) is WORDS
    lower = Words("w", ("crane", "polish"), "here")
    assert one_text_each(lower, BY_PART, cast(Any, None)) is lower


def test_clips_tokenizer_folds_case(tiny_model: Any):
    assert OpenClip(f"local-dir:{tiny_model}").folds_case


@pytest.mark.parametrize("name", ["supports_soft_tokens", "folds_case"])
def test_an_encoder_of_ones_own_need_not_say(name: str):
    from plain_encoder import PlainEncoder

    assert getattr(PlainEncoder(), name) is False
