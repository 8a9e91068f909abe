"""Look-alikes of WordNet: other kinds of the same, in turn for each sense, and nothing on images."""

from ood_lightning.detectors.image_texts import StreamImage
from ood_lightning.detectors.wordnet_texts import WordNetTexts


def test_look_alikes_are_other_kinds_of_the_same():
    lion, guitar, nothing = WordNetTexts().look_alikes(["lion", "Electric Guitar", "xyzzy"])
    assert {"cheetah", "jaguar"} <= set(lion)
    assert "acoustic guitar" in guitar
    assert nothing == []
    assert max(map(len, (lion, guitar))) <= 5
    assert "lion" not in lion


def test_it_sees_no_image_and_is_no_language_model():
    assert WordNetTexts().describe([StreamImage("a", "b", bytes)]) == [""]
    assert not WordNetTexts.llm
