"""WordNet's nouns as a graph: the frozen copy, and the database files that it is made from."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
from source_files import ROOT
from system_wordnet import SYSTEM, needs_system

from ood_lightning.errors import CorpusError
from ood_lightning.wordnet import graph as noun_graph
from ood_lightning.wordnet.graph import frozen_graph, parse_outline, read_wndb

DATA = (
    "  1 WordNet 3.0 Copyright 2006\n"
    "00000001 03 n 01 entity 0 002 ~ 00000002 n 0000 ~ 00000003 n 0000 | all\n"
    "00000002 05 n 02 bird 0 Fowl 1 001 @ 00000001 n 0000 | flies\n"
    "00000003 05 n 01 bird 1 001 @ 00000001 n 0000 | a person\n"
    "00000004 05 n 02 Java 0 java 1 002 @i 00000002 n 0000 @i 00000003 n 0000 | one of its kind\n"
    "00000005 05 n 01 duck 0 002 @ 00000003 n 0000 @ 00000002 n 0000 | of two kinds\n"
)
INDEX = (
    "  1 licence\nbird n 2 1 @ 2 1 00000003 00000002  \nduck n 1 1 @ 1 0 00000005  \nentity n 1 1 ~ 1 0 00000001  \n"
    "fowl n 1 1 @ 1 0 00000002  \njava n 1 1 @i 1 0 00000004  \n"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data.noun").write_text(DATA)
    (tmp_path / "index.noun").write_text(INDEX)
    return tmp_path


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """What freezes the graph."""
    spec = spec_from_file_location("make_wordnet_lists", ROOT / "scripts" / "make_wordnet_lists.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_graph_by_hand(folder: Path):
    graph = read_wndb(folder)
    assert graph.version == "3.0"
    assert graph.lemmas[3] == ("Java", "java")
    assert graph.hypernyms == ((), (0,), (0,), (), (2, 1))
    assert graph.instance_of == ((), (), (), (1, 2), ())
    assert graph.senses == {"bird": (2, 1), "duck": (4,), "entity": (0,), "fowl": (1,), "java": (3,)}


def test_the_outline_holds_the_same_graph_under_other_numbers(folder: Path, script: ModuleType):
    graph = read_wndb(folder)
    assert script.outline(graph) == "0\t\tentity\n1\t\tbird Fowl\n2i\t|3\tJava java\n1\t\tbird*\n2\t1\tduck\n"
    again = parse_outline(script.outline(graph), "3.0")
    assert again.senses["bird"] == (3, 1)
    assert again.hypernyms == ((), (0,), (), (0,), (3, 1))
    assert again.instance_of[2] == (1, 3)
    assert script.outline(again) == script.outline(graph)


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        ("data.noun", "0000 @ 00000002 n 0000 | of two", "0000 | of two", r"data\.noun, line 6: no synset"),
        ("index.noun", "00000004", "00000009", "do not fit each other"),
        ("index.noun", "java n 1 1 @i 1 0 00000004  \n", "", "index.noun lacks 'java'"),
    ],
)
def test_damaged_files_are_named(folder: Path, name: str, old: str, new: str, words: str):
    (folder / name).write_text((folder / name).read_text().replace(old, new))
    with pytest.raises(CorpusError, match=words):
        read_wndb(folder)


def test_a_missing_wordnet_says_where_to_get_one(tmp_path: Path):
    with pytest.raises(CorpusError, match="apt-get install wordnet-base"):
        read_wndb(tmp_path)


def test_the_frozen_graph_is_all_of_wordnets_nouns():
    graph = frozen_graph()
    assert len(graph.lemmas) == 82_115
    assert sum(map(len, graph.lemmas)) == 146_347
    assert len(graph.senses) == 117_798
    assert sum(bool(kinds) for kinds in graph.instance_of) == 7_730
    (bird, *_) = (graph.lemmas[i] for i in graph.senses["turkey"])
    assert "Meleagris_gallopavo" in bird


def test_a_changed_frozen_graph_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(noun_graph, "FROZEN_GRAPH_SHA256", "0" * 64)
    frozen_graph.cache_clear()
    with pytest.raises(CorpusError, match=r"has SHA-256 .* expected 000000000000"):
        frozen_graph()


@needs_system
@pytest.mark.slow
def test_a_system_wordnet_gives_the_frozen_graph(script: ModuleType):
    frozen = frozen_graph()
    assert script.outline(read_wndb(SYSTEM)) == script.outline(frozen)
