"""The questions as a language model reads them, and what its replies mean."""

import pytest

from ood_lightning.filtering.judges.base import Question, wording, yes_or_no


def test_the_words_of_the_questions():
    assert wording(Question("oslo"), False) == (
        "Is 'oslo' a proper noun, like the name of a city, country, mountain, river, or any unique place or entity?"
    )
    assert wording(Question("pug", "dog"), False) == "Is 'pug' a subcategory of 'dog'?"
    assert wording(Question("pug", "dog"), True) == "Is 'pug' a subcatgeory of 'dog'?"


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("Yes", True),
        ("yes.", True),
        ("**No**", False),
        ("NO, it", False),
        ("Not sure", None),
        ("", None),
        ("I say yes", None),
        ("<think>\n\n</think>\n\nYes", True),
        ("<think>No, wait.</think>\n\nYes.", True),
        ("<thinking>yes</thinking>**No**", False),
        ("Oslo is a city, so yes.\n</think>\n\nNo", False),  # the template had opened the thoughts
        ("<think>Yes, since Oslo", None),  # cut while it thought
        ("<think>Yes</think>", None),
        ("Answer: Yes", True),
        ("The final answer is: **no**", False),
        ("No-one can tell.", None),
        ("No one knows.", None),
        ("No idea", None),
        ("Yes/No", None),
        ("Yes and no.", None),
        ("no or yes?", None),
        ("No doubt, it is one", None),
        ("No comment", None),
        ("Yes|No", None),
        ("Yes - or no", None),
        ("No, it is not one", False),
        ("No \u2014 a dog", False),
        ("Yes-man", None),
    ],
)
def test_a_reply_is_what_it_begins_with(reply: str, expected: bool | None):
    assert yes_or_no(reply) is expected
