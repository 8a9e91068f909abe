"""Hops in WordNet: the published distances from ImageNet's synsets, and words and names as texts."""

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

import pytest
from system_wordnet import SYSTEM, needs_system

from ood_lightning.corpora.imagenet21k import ImageNet21K
from ood_lightning.corpora.wordnet import WordNet, clean
from ood_lightning.errors import CorpusError
from ood_lightning.functional.overlap import hops
from ood_lightning.wordnet import graph as noun_graph
from ood_lightning.wordnet.database_files import synsets
from ood_lightning.wordnet.graph import NounGraph, frozen_graph, read_wndb
from ood_lightning.wordnet.hops import noun_hops, senses

pytestmark = pytest.mark.slow  # whole commands, or whole WordNets

COUNTS = [997, 1699, 4582, 4514, 4098, 5185, 8335, 8957, 7869, 10013, 5225, 2631, 1878, 829, 303, 65, 6]
# The frozen graph has no offsets. 91 of ImageNet's synsets share their lemmas with others of WordNet, such as crane;
# these are their places among those, in the order of the classes.
WHICH = "1311110312111101111101102013010111031120011221110112022102110011111122031120411100000012002"


def imagenet() -> tuple[list[str], list[tuple[str, ...]]]:
    """Offsets and lemmas of the 1,000 classes, from timm's tables."""
    spec = find_spec("timm")
    assert spec is not None  # open_clip brings it
    assert spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0]) / "data" / "_info"
    lines = (folder / "imagenet_synset_to_lemma.txt").read_text(encoding="utf-8").splitlines()
    lemmas = dict(line.split("\t", 1) for line in lines)
    listed = (folder / "imagenet_synsets.txt").read_text(encoding="utf-8").split()
    return [synset[1:] for synset in listed], [tuple(lemmas[synset].split(", ")) for synset in listed]


def nearest(graph: NounGraph, steps: list[int | None], heads_only: bool) -> dict[str, int]:
    """Hops of every first lemma, by the synsets that it heads or by all of its senses."""
    distances: dict[str, int] = {clean(lemmas[0]): 99 for lemmas in graph.lemmas}
    for lemmas, n in zip(graph.lemmas, steps, strict=True):
        assert n is not None  # the graph is connected
        for word in {clean(lemma) for lemma in (lemmas[:1] if heads_only else lemmas)} & distances.keys():
            distances[word] = min(distances[word], n)
    return distances


def assert_published(graph: NounGraph, sources: Iterable[int]) -> None:
    steps = hops(graph.links, sources)
    by_heads = [*nearest(graph, steps, heads_only=True).values()]
    assert [by_heads.count(n) for n in range(max(by_heads) + 1)] == COUNTS
    assert sum(by_heads) / len(by_heads) == pytest.approx(6.732, abs=5e-4)
    of_any = [*nearest(graph, steps, heads_only=False).values()]
    assert (len(by_heads), of_any.count(0)) == (67_186, 1_125)
    assert sum(of_any) / len(of_any) == pytest.approx(6.624, abs=5e-4)


def test_hops_from_imagenets_synsets_are_the_published_ones():
    graph = frozen_graph()
    assert sum(map(len, graph.hypernyms)) == 75_850
    assert sum(map(len, graph.instance_of)) == 8_577
    rows_of: dict[tuple[str, ...], list[int]] = {}
    for row, lemmas in enumerate(graph.lemmas):
        rows_of.setdefault(tuple(lemma.replace("_", " ") for lemma in lemmas), []).append(row)

    which, sources = iter(WHICH), []
    for lemmas in imagenet()[1]:
        rows = rows_of[lemmas]
        sources.append(rows[0] if len(rows) == 1 else rows[int(next(which))])

    assert len(set(sources)) == 1000
    assert not [*which]
    assert_published(graph, sources)


@needs_system
def test_a_system_wordnet_gives_the_published_hops_by_offset():
    row = {synset.offset: i for i, synset in enumerate(synsets(SYSTEM, "noun"))}
    assert_published(read_wndb(SYSTEM), [row[offset] for offset in imagenet()[0]])


def test_imagenets_first_synonyms_are_words_of_the_noun_corpora():
    names = {lemmas[0].lower() for lemmas in imagenet()[1]}
    assert len(names) == 997
    for corpus, lacks in ((WordNet("noun"), 0), (WordNet("noun+adj"), 0), (ImageNet21K(), 1)):
        assert len(names - set(corpus.load().words)) == lacks


def test_a_text_stands_for_all_its_senses_and_adjectives_are_unreachable():
    distances = noun_hops(
        ["Crane", "wading bird", "lifting device", "heron", "red-hot", "crane"], ["crane", "CRANE", "x y"]
    )
    assert (distances.names, distances.known) == (2, 1)
    assert distances.bins == (2, 2, 1)  # bird and machine are both at 0; a heron is another wading bird
    assert distances.unreachable == 1
    assert distances.mean == pytest.approx((0 + 0 + 1 + 1 + 2) / 5)
    assert len(senses("crane")) == 5
    assert senses("water buffalo") == senses("Water_Buffalo") != ()


def test_names_that_wordnet_does_not_have_lead_nowhere():
    distances = noun_hops(["crane", "red-hot"], ["Audi A4 2010"])
    assert distances == (1, 0, (), 2)
    assert distances.mean is None


def test_a_changed_graph_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(noun_graph, "FROZEN_GRAPH_SHA256", "0" * 64)
    frozen_graph.cache_clear()
    with pytest.raises(CorpusError, match=r"it was changed\. Install ood-lightning again"):
        noun_hops(["crane"], ["crane"])
