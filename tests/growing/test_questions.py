"""What is sent, and what of an answer is taken for words."""

import pytest

from ood_lightning.growing.groups import Group
from ood_lightning.growing.questions import question, words_in

GROUP = Group(3, 31, 0.4, 0.3, (("okapi", 12), ("horse", 7), ("mule", 0)), (), "")


def test_the_question_tells_the_nearest_words_with_their_pictures():
    text = question(GROUP, 5, with_picture=False)
    assert "a group of 31 similar pictures." in text
    assert "The nearest words of the list are: okapi (12 pictures), horse (7 pictures), mule." in text
    assert "up to 5 other English nouns" in text
    assert "The picture shows some of them" in question(GROUP, 5, with_picture=True)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("zebra\nmule", ["zebra", "mule"]),
        ("1. Zebra\n2) Plains  Zebra\n- mule\n* `donkey`", ["zebra", "plains zebra", "mule", "donkey"]),
        ("zebra, mule, donkey", ["zebra", "mule", "donkey"]),
        ("<think>horse? no</think>\n**zebra**", ["zebra"]),
        ("Here is what these pictures most likely show:\nzebra\nI hope that this helps you with your list!", ["zebra"]),
        ('["zebra", "mule"]', ["zebra", "mule"]),
        ("<think>The pictures show\nhorses,\nor mules", []),
        ("zebra\nZebra.\n\nzebra", ["zebra"]),
        ("\x1b[31mzebra\nmu\u200ble\nox", ["ox"]),
        ("", []),
        ("x" * 100 + "\n???\n12", []),
        ("none\u2028of them", ["none of them"]),
    ],
)
def test_words_of_an_answer(answer: str, words: list[str]):
    assert list(words_in(answer, set(), 5).new) == words


def test_what_the_corpus_has_is_no_news_and_takes_no_place():
    proposed = words_in("Horse\nzebra\nmule\nokapi", {"horse", "okapi"}, 1)
    assert proposed.new == ("zebra",)
    assert proposed.known == ("horse", "okapi")
