"""The stand-in for a model: it knows WordNet and the question, and nothing else."""

from ood_lightning.growing.groups import Group
from ood_lightning.growing.questions import question
from ood_lightning.wordnet.graph import frozen_graph
from scripts.grow_pictograms import StandIn, animals


def test_it_answers_with_relatives_of_the_words_that_it_is_told():
    group = Group(0, 31, 0.4, 0.3, (("mule", 12), ("ass", 7), ("pony", 0)), (), "")
    with StandIn() as server:
        few = server.answer(question(group, 3, with_picture=False)).splitlines()
        many = server.answer(question(group, 50, with_picture=False)).splitlines()

    assert few == many[:3]
    assert "zebra" in many  # a sibling of the mule
    assert not {"mule", "ass", "pony"} & set(many)


def test_a_word_that_wordnet_does_not_have_leads_nowhere():
    group = Group(0, 31, 0.4, 0.3, (("xyzzy", 12),), (), "")
    with StandIn() as server:
        assert server.answer(question(group, 5, with_picture=False)) == ""


def test_animals_are_all_kinds_of_wordnets_animal():
    words = animals(frozen_graph())
    assert {"zebra", "ant", "whale", "tiger"} <= words
    assert not {"sofa", "rain", "oak"} & words
