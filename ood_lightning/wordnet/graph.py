"""WordNet's nouns as a graph: which synset is a kind, or an instance, of which other.

A frozen copy of release 3.0 comes with the package, as an outline: one synset a line, each below its first hypernym,
indented by a number instead of blanks. Fields are parted by tabs::

    DEPTH[i]  FURTHER HYPERNYMS[|FURTHER INSTANCE HYPERNYMS]  LEMMA[*] LEMMA[*] ...

``i`` says that the line is an instance of the one it stands below, numbers are lines counted from 0, and ``*`` marks
the most frequent of a lemma's several senses.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from ood_lightning.errors import CorpusError
from ood_lightning.wordnet.database_files import frozen_text, read_lines, synsets, wndb_version

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
        neighbours: list[list[int]] = [[] for _ in self.lemmas]
        for synset, (kinds, instances) in enumerate(zip(self.hypernyms, self.instance_of, strict=True)):
            for above in (*kinds, *instances):
                neighbours[synset].append(above)
                neighbours[above].append(synset)

        return tuple(map(tuple, neighbours))


def read_wndb(folder: Path) -> NounGraph:
    """The graph in `data.noun` and `index.noun` of a WNDB folder: a system's, or nltk's `corpora/wordnet`.

    Raises:
        CorpusError: if a file is missing or damaged.
    """
    nouns = list(synsets(folder, "noun"))
    row = {synset.offset: i for i, synset in enumerate(nouns)}

    def targets(symbol: str) -> tuple[tuple[int, ...], ...]:
        pointers = [[offset for pointer, offset in synset.pointers if pointer == symbol] for synset in nouns]
        return tuple(tuple(row[offset] for offset in offsets) for offsets in pointers)

    index = [line.split() for _, line in read_lines(folder / "index.noun")]
    try:  # the third field says how many offsets end the line
        senses = {fields[0]: tuple(row[offset] for offset in fields[-int(fields[2]) :]) for fields in index}
        hypernyms, instance_of = targets("@"), targets("@i")
    except (KeyError, ValueError, IndexError) as error:
        raise CorpusError(
            f"{folder}: index.noun and data.noun do not fit each other ({error}). Install WordNet again."
        ) from error

    lemmas = tuple(synset.lemmas for synset in nouns)
    if missing := {lemma.lower() for of_synset in lemmas for lemma in of_synset} - set(senses):
        raise CorpusError(f"{folder}: index.noun lacks {min(missing)!r} of data.noun. Install WordNet again.")
    return NounGraph(wndb_version(folder), lemmas, hypernyms, instance_of, senses)


def parse_outline(text: str, version: str) -> NounGraph:
    """The graph of such an outline; of a lemma's senses only the first keeps its place."""
    path: list[int] = []  # the synset of this line and those above it, from the root on
    lemmas, hypernyms, instance_of = [], [], []
    senses: dict[str, list[int]] = {}

    for synset, line in enumerate(text.splitlines()):
        depth, further, listed = line.split("\t")
        is_instance = depth.endswith("i")
        del path[int(depth.rstrip("i")) :]
        above = tuple(path[-1:])
        path.append(synset)

        kinds, _, instances = further.partition("|")
        hypernyms.append((() if is_instance else above) + tuple(map(int, kinds.split())))
        instance_of.append((above if is_instance else ()) + tuple(map(int, instances.split())))

        marked = listed.split(" ")
        lemmas.append(tuple(lemma.rstrip("*") for lemma in marked))
        for lemma in marked:
            known = senses.setdefault(lemma.rstrip("*").lower(), [])
            if synset not in known:  # `ma` and `MA` may be lemmas of one synset
                known.insert(0 if lemma.endswith("*") else len(known), synset)

    return NounGraph(
        version,
        tuple(lemmas),
        tuple(hypernyms),
        tuple(instance_of),
        senses={lemma: tuple(known) for lemma, known in senses.items()},
    )


@lru_cache(maxsize=1)
def frozen_graph() -> NounGraph:
    """WordNet 3.0's graph from the package.

    Raises:
        CorpusError: if the file is missing or was changed.
    """
    return parse_outline(frozen_text(FROZEN_GRAPH, FROZEN_GRAPH_SHA256), "3.0")
