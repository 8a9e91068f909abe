"""WordNet's nouns as a graph: which synset is a kind, or an instance, of which other.

A frozen copy of release 3.0 comes with the package, as an outline: one synset a line, each below its first hypernym,
indented by a number instead of blanks. Fields are parted by tabs::

    DEPTH[i]  FURTHER HYPERNYMS[|FURTHER INSTANCE HYPERNYMS]  LEMMA[*] LEMMA[*] ...

``i`` says that the line is an instance of the one it stands below, numbers are lines counted from 0, and ``*`` marks
the most frequent of a lemma's several senses.
"""

import hashlib
import lzma
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.resources import files
from pathlib import Path

from ood_lightning.errors import CorpusError
from ood_lightning.wordnet.database_files import read_lines, synsets, wndb_version

FROZEN_GRAPH = "wordnet30_noun_graph.txt.xz"
FROZEN_GRAPH_SHA256 = "009d207675df7120ba13e93a404d3657a066b380e57bbe880c122d2d5b9c136e"  # of the text inside


@dataclass(frozen=True)
class NounGraph:
    """Noun synsets, numbered from 0.

    Args:
        version: WordNet's release.
        lemmas: of each synset, as stored: underscores, case kept.
        hypernyms: what each synset is a kind of.
        instance_of: what each synset is one instance of, as a city is.
        senses: synsets of each lemma in lower case, the most frequent first.
    """

    version: str
    lemmas: tuple[tuple[str, ...], ...]
    hypernyms: tuple[tuple[int, ...], ...]
    instance_of: tuple[tuple[int, ...], ...]
    senses: Mapping[str, tuple[int, ...]]

    @cached_property
    def links(self) -> tuple[tuple[int, ...], ...]:
        """Synsets one step up or down from each, over hypernyms and instance hypernyms."""
        near: list[list[int]] = [[] for _ in self.lemmas]
        for at, above in enumerate(zip(self.hypernyms, self.instance_of, strict=True)):
            for other in (*above[0], *above[1]):
                near[at].append(other)
                near[other].append(at)
        return tuple(map(tuple, near))


def read_wndb(folder: Path) -> NounGraph:
    """The graph in `data.noun` and `index.noun` of a WNDB folder: a system's, or nltk's `corpora/wordnet`.

    Raises:
        CorpusError: if a file is missing or damaged.
    """
    found = list(synsets(folder, "noun"))
    row = {synset.offset: i for i, synset in enumerate(found)}
    try:
        listed = [line.split() for line in read_lines(folder / "index.noun") if line and not line.startswith("  ")]
        senses = {fields[0]: tuple(row[offset] for offset in fields[-int(fields[2]) :]) for fields in listed}
        kinds, instances = (
            tuple(tuple(row[to] for symbol, to in synset.pointers if symbol == wanted) for synset in found)
            for wanted in ("@", "@i")
        )
    except (KeyError, ValueError, IndexError) as error:
        raise CorpusError(
            f"{folder}: index.noun and data.noun do not fit each other ({error}). Install WordNet again."
        ) from error
    lemmas = tuple(synset.lemmas for synset in found)
    if missing := {lemma.lower() for some in lemmas for lemma in some} - set(senses):
        raise CorpusError(f"{folder}: index.noun lacks {min(missing)!r} of data.noun. Install WordNet again.")
    return NounGraph(wndb_version(folder), lemmas, kinds, instances, senses)


def outline(graph: NounGraph) -> str:
    """The graph as the frozen file has it; synsets are numbered anew."""
    below: dict[int, list[int]] = {}
    for i in range(len(graph.lemmas)):
        below.setdefault(next(iter(graph.hypernyms[i] + graph.instance_of[i]), -1), []).append(i)
    order, todo = [], [(-1, -1)]
    while todo:
        at, depth = todo.pop()
        order.append((at, depth))
        children = sorted(below.get(at, ()), key=lambda i: (graph.lemmas[i][0].lower(), i), reverse=True)
        todo += [(i, depth + 1) for i in children]
    line = {at: number for number, (at, _) in enumerate(order[1:])}
    lines = []
    for at, depth in order[1:]:
        kinds, instances = graph.hypernyms[at], graph.instance_of[at]
        mark = "" if kinds or not instances else "i"
        more = " ".join(str(line[i]) for i in kinds[1:])
        if more_instances := instances[1:] if mark else instances:
            more += "|" + " ".join(str(line[i]) for i in more_instances)
        lemmas = " ".join(
            lemma + "*" * (len(graph.senses[lemma.lower()]) > 1 and graph.senses[lemma.lower()][0] == at)
            for lemma in graph.lemmas[at]
        )
        lines.append(f"{depth}{mark}\t{more}\t{lemmas}\n")
    return "".join(lines)


def parse_outline(text: str, version: str) -> NounGraph:
    """The inverse of :func:`outline`; of a lemma's senses only the first keeps its place."""
    path: list[int] = []
    lemmas, hypernyms, instance_of = [], [], []
    senses: dict[str, list[int]] = {}
    for at, line in enumerate(text.splitlines()):
        depth, more, listed = line.split("\t")
        mark = depth.endswith("i")
        del path[int(depth.rstrip("i")) :]
        kinds, _, instances = more.partition("|")
        above = tuple(path[-1:])
        hypernyms.append((() if mark else above) + tuple(map(int, kinds.split())))
        instance_of.append((above if mark else ()) + tuple(map(int, instances.split())))
        path.append(at)
        lemmas.append(tuple(lemma.rstrip("*") for lemma in listed.split(" ")))
        for lemma in listed.split(" "):
            known = senses.setdefault(lemma.rstrip("*").lower(), [])
            if at not in known:  # `ma` and `MA` may be lemmas of one synset
                known.insert(0 if lemma.endswith("*") else len(known), at)
    return NounGraph(
        version,
        tuple(lemmas),
        tuple(hypernyms),
        tuple(instance_of),
        {lemma: tuple(some) for lemma, some in senses.items()},
    )


@lru_cache(maxsize=1)
def frozen_graph() -> NounGraph:
    """WordNet 3.0's graph from the package.

    Raises:
        CorpusError: if the file is missing or was changed.
    """
    file = files("ood_lightning") / "corpora" / "frozen" / FROZEN_GRAPH
    try:
        text = lzma.decompress(file.read_bytes())
    except (OSError, lzma.LZMAError) as error:
        raise CorpusError(f"cannot read the noun graph {file}: {error}. Install ood-lightning again.") from error
    if (found := hashlib.sha256(text).hexdigest()) != FROZEN_GRAPH_SHA256:
        raise CorpusError(
            f"the noun graph {file} has SHA-256 {found[:12]}..., expected {FROZEN_GRAPH_SHA256[:12]}...: it was "
            f"changed. Install ood-lightning again."
        )
    return parse_outline(text.decode(), "3.0")
