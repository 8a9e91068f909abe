"""Names of the ID set, and given ones that are another world's."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tagged_corpus import PLAIN, Tagged, single

from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.texts import TextBank
from ood_lightning.corpora.with_names import WithNames
from ood_lightning.corpora.words import WordFile
from ood_lightning.data.artifacts.label_set import LabelSet, Positive
from ood_lightning.data.shards.manifest import Manifest
from ood_lightning.detectors.evidence import Inputs, needed
from ood_lightning.errors import SettingsError
from ood_lightning.label_sets.base import LabelSource
from ood_lightning.label_sets.id_names import IDSetNames, NamesCheck, foreign_names, with_id_names
from ood_lightning.label_sets.interneg import InterNegNegatives
from ood_lightning.label_sets.official_negatives import AugmentedNames, CSPNegatives, NegLabelNegatives
from ood_lightning.label_sets.ready import lacking, make_label_set, remarks_on_names
from ood_lightning.label_sets.sources import (
    CandidateNames,
    CLIPScopeNegatives,
    IDNames,
    MinedNegatives,
    Stored,
    WithCorpus,
)

ANIMALS, FISH = ("ant", "ape", "bat", "bee"), ("Tench, Tinca tinca", "goldfish", "great_white_shark", "ray")


def remarks_on(sources: Mapping[str, LabelSource], available: Inputs) -> dict[str, str]:
    """What is said of sources on a corpus without names."""
    return remarks_on_names(sources, WordFile("words.txt"), Prompts(), available)


def world(*names: tuple[str, ...], check: NamesCheck = "refuse") -> Inputs:
    """Inputs of a run whose ID sets have these names."""
    return with_id_names(Inputs(), [Manifest(f"set{i}", "id", (), of_set) for i, of_set in enumerate(names)], check)


def listed(*names: str) -> str:
    Path("listed.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
    return "listed.txt"


def test_names_are_those_of_the_id_set_where_none_are_given(bank: TextBank):
    source = IDNames()
    assert source.required_inputs == {IDSetNames}
    assert make_label_set(source, Tagged(), PLAIN, bank, world(ANIMALS)).label_set.words == list(ANIMALS)
    assert IDNames(listed("x")).required_inputs == frozenset()


@pytest.mark.parametrize("names", [(), ("n01440764", "n01443537"), ("0", "1")])
def test_without_names_anywhere_a_source_says_what_it_needs(names: tuple[str, ...]):
    available = world(names) if names else Inputs()
    assert lacking({"names": IDNames()}, available) == {"names": needed([IDSetNames])}
    assert needed([IDSetNames]).startswith("needs names of the ID classes (class_names in")


SOURCES: tuple[Any, ...] = (
    IDNames,
    MinedNegatives,
    CLIPScopeNegatives,
    NegLabelNegatives,
    CSPNegatives,
    AugmentedNames,
    InterNegNegatives,
    lambda names: CandidateNames(names, ["other.txt"]),
    lambda names: WithCorpus(IDNames(names), prompts=PLAIN),
)


@pytest.mark.parametrize("source", SOURCES)
def test_names_of_another_world_are_refused_for_every_source(source: Any):
    with pytest.raises(
        SettingsError, match="label set 'x' has 0 of the 4 class names of ID set 'set0', fewer than half"
    ):
        remarks_on({"x": source(listed(*ANIMALS))}, world(FISH))
    assert remarks_on({"x": source(listed(*FISH))}, world(FISH)) == {}
    assert remarks_on({"x": source(None)}, world(FISH)) == {}


def test_the_refusal_shows_both_lists_and_says_how_to_go_on():
    with pytest.raises(SettingsError) as refused:
        remarks_on({"names": IDNames(listed(*ANIMALS))}, world(FISH))
    said = str(refused.value)
    assert "it begins with 'ant', 'ape', 'bat', ..., the set's own with 'Tench, Tinca tinca', 'goldfish'" in said
    assert said.endswith("--names_check warn goes on all the same")


@pytest.mark.parametrize(
    ("names", "enough"),
    [
        (("TINCA TINCA", "Goldfish"), True),
        (("tench", "great white shark", "ant", "ape", "bat", "bee"), True),
        (("goldfish", "ant"), False),
    ],
)
def test_half_of_the_names_in_any_spelling_are_enough(names: tuple[str, ...], enough: bool):
    assert bool(foreign_names({"x": names}, "list of names", world(FISH, check="warn"))) != enough


@pytest.mark.parametrize(("n_shared", "enough"), [(2, False), (3, True)])
def test_two_of_five_names_are_fewer_than_half(n_shared: int, enough: bool):
    letters = ("a", "b", "c", "d", "e")
    assert bool(foreign_names({"x": letters[:n_shared]}, "list of names", world(letters, check="warn"))) != enough


def test_every_id_set_of_the_run_is_compared():
    remarks = remarks_on({"names": IDNames()}, world(FISH, ANIMALS, check="warn"))
    assert list(remarks) == ["names"]
    assert "ID set 'set1'" in remarks["names"]


def test_a_warning_goes_into_the_label_set_that_is_written(bank: TextBank):
    made = make_label_set(IDNames(listed(*ANIMALS)), Tagged(), PLAIN, bank, world(FISH, check="warn"))
    assert "fewer than half" in made.remark
    assert made.declared.recipe["names_check"] == made.remark
    sound = make_label_set(IDNames(listed(*FISH)), Tagged(), PLAIN, bank, world(FISH, check="warn"))
    assert sound.declared is sound.label_set


@pytest.mark.parametrize(("supervision", "compared"), [(["id_names"], True), (["id_images"], False)])
@pytest.mark.parametrize("source", [Stored, MinedNegatives])
def test_a_stored_set_is_compared_where_it_holds_true_names(
    source: Any, supervision: list[str], compared: bool, bank: TextBank
):
    recipe = {"method": "x", "supervision": supervision}
    LabelSet(tuple(map(Positive, ANIMALS)), (), recipe).write("run/labels.json")
    for path in ("run/labels.json", "run"):  # or the folder of the run that wrote it
        remarks = remarks_on({"x": source(path)}, world(FISH, check="warn"))
        assert bool(remarks) == compared


def test_a_runs_folder_stands_for_its_label_set_in_the_place_of_names(bank: TextBank):
    LabelSet((Positive("cat"), Positive("pansy")), (), {"method": "x", "supervision": ["id_images"]}).write(
        "run/labels.json"
    )
    sources = (AugmentedNames("run", 2), AugmentedNames("run/labels.json", 2))
    of_folder, of_file = (source.make(single(source, bank), Inputs()) for source in sources)
    assert of_folder == of_file
    assert of_folder.supervision == ("id_images",)


def test_names_that_a_corpus_adds_are_compared_too(bank: TextBank):
    corpus = WithNames(Tagged(), listed(*ANIMALS))
    with pytest.raises(SettingsError, match="the corpus of label set 'IDNames' has 0 of the 4 class names"):
        make_label_set(IDNames(), corpus, PLAIN, bank, world(FISH))
    assert not make_label_set(IDNames(), corpus, PLAIN, bank, world(ANIMALS)).remark


def test_a_source_of_ones_own_without_names_is_not_compared():
    class Own(LabelSource):
        def make(self, vocabulary: Any, available: Any) -> Any: ...

    assert remarks_on({"x": Own()}, world(FISH)) == {}
