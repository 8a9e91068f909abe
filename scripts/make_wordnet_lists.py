"""Freeze WordNet 3.0 into ood_lightning/corpora/frozen: lists of words, of lemmas and of files, and the noun graph.

    apt-get install wordnet-base
    python scripts/make_wordnet_lists.py          # writes the files and prints their SHA-256
    python scripts/make_wordnet_lists.py --check  # writes nothing; exit 1 if the files say something else

Each list of words is complete for its part of speech, distinct, one word a line; the union is taken when it is read.
Line n of a list of files holds the numbers of the lexicographer files of the synsets that word n heads. Line n of the
adjectives' lemmas says how many synsets word n heads and how often it is a lemma; further lines add the words that head
none. The graph holds every noun synset with its lemmas, hypernyms and instance hypernyms, as
`ood_lightning.wordnet.graph` reads it.
"""

import argparse
import hashlib
import lzma
import sys
from collections.abc import Iterable
from pathlib import Path

import ood_lightning.corpora as corpora
from ood_lightning.corpora.lexicographer import FILES_SHA256
from ood_lightning.corpora.wordnet import ADJ_LEMMAS, ADJ_LEMMAS_SHA256, FROZEN_SHA256, counted, first_lemmas
from ood_lightning.corpora.words import Part
from ood_lightning.wordnet.database_files import SYSTEM_FOLDER, synsets, wndb_version
from ood_lightning.wordnet.graph import FROZEN_GRAPH, FROZEN_GRAPH_SHA256, NounGraph, read_wndb

FROZEN = Path(corpora.__file__).parent / "frozen"


def compress(text: bytes) -> bytes:
    """With settings that are written out, since a preset may change; nothing in the file depends on time or place."""
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": 1 << 22, "lc": 4, "lp": 0, "pb": 0, "nice_len": 273}]
    return lzma.compress(text, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC64, filters=filters)


def main() -> int:
    """Write or check the files; 1 if a check fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wordnet", type=Path, default=Path(SYSTEM_FOLDER), help="folder with data.noun and data.adj")
    parser.add_argument("--check", action="store_true", help="compare with the files that are there")
    args = parser.parse_args()

    if (version := wndb_version(args.wordnet)) != "3.0":
        sys.exit(f"{args.wordnet} holds WordNet {version}; the lists are of 3.0")

    failed = False
    parts: tuple[Part, ...] = ("noun", "adj")
    for part in parts:
        files: dict[str, dict[int, None]] = {}
        for lemma, file in first_lemmas(args.wordnet, part):
            files.setdefault(lemma, {})[file] = None
        failed |= not _freeze(args, f"wordnet30_{part}.txt.xz", _lines(files), FROZEN_SHA256[part])
        numbers = _lines(" ".join(map(str, file_numbers)) for file_numbers in files.values())
        failed |= not _freeze(args, f"wordnet30_{part}_files.txt.xz", numbers, FILES_SHA256[part])

    adjectives = counted(synset.lemmas for synset in synsets(args.wordnet, "adj"))
    lemmas = _lines(f"{heads} {n}" + f" {word}" * (not heads) for word, (heads, n) in adjectives.items())
    failed |= not _freeze(args, ADJ_LEMMAS, lemmas, ADJ_LEMMAS_SHA256)
    failed |= not _freeze(args, FROZEN_GRAPH, outline(read_wndb(args.wordnet)), FROZEN_GRAPH_SHA256)
    return int(failed)


def outline(graph: NounGraph) -> str:
    """The graph as the frozen file has it; synsets are numbered anew."""
    order = _depth_first(graph)
    line_of = {synset: number for number, (synset, _) in enumerate(order)}

    lines = []
    for synset, depth in order:
        kinds, instances = graph.hypernyms[synset], graph.instance_of[synset]
        mark = "" if kinds or not instances else "i"
        further = " ".join(str(line_of[above]) for above in kinds[1:])

        if further_instances := instances[1:] if mark else instances:
            further += "|" + " ".join(str(line_of[above]) for above in further_instances)

        lemmas = " ".join(_marked(lemma, synset, graph) for lemma in graph.lemmas[synset])
        lines.append(f"{depth}{mark}\t{further}\t{lemmas}\n")

    return "".join(lines)


def _depth_first(graph: NounGraph) -> list[tuple[int, int]]:
    """Synsets with their depths in the outline, each below its first hypernym, siblings by the alphabet."""
    roots = -1  # parent of those that have no hypernym
    below: dict[int, list[int]] = {}
    for synset, (kinds, instances) in enumerate(zip(graph.hypernyms, graph.instance_of, strict=True)):
        parent = (*kinds, *instances, roots)[0]
        below.setdefault(parent, []).append(synset)

    order, stack = [], [(roots, -1)]
    while stack:
        parent, depth = stack.pop()
        order.append((parent, depth))
        children = sorted(below.get(parent, ()), key=lambda i: (graph.lemmas[i][0].lower(), i), reverse=True)
        stack += [(child, depth + 1) for child in children]

    return order[1:]


def _marked(lemma: str, synset: int, graph: NounGraph) -> str:
    """The lemma, with a star where this synset is the most frequent of its several senses."""
    senses = graph.senses[lemma.lower()]
    return f"{lemma}*" if len(senses) > 1 and senses[0] == synset else lemma


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _freeze(args: argparse.Namespace, name: str, text: str, expected: str) -> bool:
    """Write one file, or say whether the one that is there and its expected hash are as made."""
    content = text.encode()
    path, digest = FROZEN / name, hashlib.sha256(content).hexdigest()
    if args.check:
        same = path.exists() and lzma.decompress(path.read_bytes()) == content and digest == expected
        print(f"{name}: {'as made from' if same else 'DIFFERS from'} {args.wordnet}")
        return same
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(compress(content))
    print(f"{name}: {text.count(chr(10))} lines, {path.stat().st_size} bytes, SHA-256 {digest}")
    return True


if __name__ == "__main__":
    sys.exit(main())
