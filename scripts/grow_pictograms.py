"""How many names that were taken out of a corpus come back by `corpus grow`: the table of docs/growing.md.

    python scripts/grow_pictograms.py OUT

Half of the animals' names, drawn at random, are taken out of a corpus, which is then grown on the unlabelled pictures
of `id_train`. **The model is a stand-in**: a server on this machine that knows WordNet and nothing of the pictures or
of what was taken out. It answers with hyponyms, siblings and hypernyms of the nearest words that it is told, those
first that several of them lead to. The person is a stand-in too, and accepts every proposal.

Two corpora: `names`, WordNet without these names alone; of it the stand-in can hardly propose anything but them, since
all else that it knows is in the corpus. `animals`, WordNet without all its animals but the other half of the names;
there it has thousands of words to choose from, and only those count that were taken out by name. A last row for each
has the names themselves added by hand: as well as any model could do.
"""

import json
import random
import re
import sys
import threading
from collections import Counter
from collections.abc import Collection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from ood_lightning.cli.main import main as command
from ood_lightning.corpora.wordnet import WordNet, clean
from ood_lightning.data.class_names import read_names
from ood_lightning.spelling import folded
from ood_lightning.wordnet.graph import NounGraph, frozen_graph

PICTURES = "builtin:pictograms/shards/id_train"
SEED = 0
ASKED_FOR = (5, 20)  # words of an answer at most


def relatives(word: str, graph: NounGraph, below: dict[int, list[int]]) -> list[str]:
    """Hyponyms, siblings and hypernyms of a word's first noun sense, by their first lemmas."""
    synset = next(iter(graph.senses.get(word.replace(" ", "_"), ())), None)
    if synset is None:
        return []

    above = graph.hypernyms[synset]
    siblings = [sibling for kind in above for sibling in below.get(kind, []) if sibling != synset]
    return [clean(graph.lemmas[one][0]) for one in (*below.get(synset, []), *siblings, *above)]


class StandIn(ThreadingHTTPServer):
    """A chat completions server that knows WordNet's nouns, and what it is asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.graph = frozen_graph()
        self.below: dict[int, list[int]] = {}
        for synset, kinds in enumerate(self.graph.hypernyms):
            for kind in kinds:
                self.below.setdefault(kind, []).append(synset)

    def answer(self, text: str) -> str:
        """Words for a question, one a line."""
        listed, n_words = re.search(r"of the list are: (.*)\. Propose up to (\d+) ", text).groups()  # type: ignore[union-attr]
        nearest = [re.sub(r" \(\d+ pictures\)$", "", part) for part in listed.split(", ")]

        times: Counter[str] = Counter()
        for word in nearest:
            times.update(set(relatives(word, self.graph, self.below)))
        for word in nearest:  # it is told that these are in the list
            del times[word]
        ranked = sorted(times, key=lambda word: (-times[word], len(word), word))
        return "\n".join(ranked[: int(n_words)])


class _Handler(BaseHTTPRequestHandler):
    server: StandIn

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        content = {"choices": [{"message": {"content": self.server.answer(body["messages"][1]["content"])}}]}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, *_: Any) -> None:
        pass


def animals(graph: NounGraph) -> set[str]:
    """First lemmas of all kinds of WordNet's animal."""
    waiting, seen = [graph.senses["animal"][0]], set[int]()
    below: dict[int, list[int]] = {}
    for synset, kinds in enumerate(graph.hypernyms):
        for kind in kinds:
            below.setdefault(kind, []).append(synset)

    while waiting:
        synset = waiting.pop()
        if synset not in seen:
            seen.add(synset)
            waiting += below.get(synset, [])
    return {clean(graph.lemmas[synset][0]) for synset in seen}


def grown(out: Path, corpus: dict[str, Any], n_words: int, url: str, by_hand: Collection[str] = ()) -> dict[str, Any]:
    """Both steps of `corpus grow`; what `grown.json` says.

    Args:
        out: folder.
        corpus: to grow, as a config.
        n_words: of an answer.
        url: of the server.
        by_hand: words that a person writes in place of all proposals; none: they accept all.
    """
    out.mkdir(parents=True, exist_ok=True)
    config = {
        "encoder": "encoders/pictograms.yaml",
        "id_shards": PICTURES,
        "corpus": corpus,
        "prompts": "prompts/bare.yaml",
        "server": {
            "class_path": "ood_lightning.filtering.judges.openai_compatible.OpenAICompatibleJudge",
            "init_args": {"url": url, "model": "stand-in"},
        },
        "words": n_words,
        "seed": SEED,
        "out": str(out),
    }
    settings = [f"--{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in config.items()]
    if not (out / "proposal.txt").exists() and command(["corpus", "grow", *settings]):
        raise SystemExit("corpus grow failed")

    text = out / "proposal.txt"
    edited = re.sub("^[?] ", "- " if by_hand else "+ ", text.read_text("utf-8"), flags=re.MULTILINE)
    text.write_text(edited + "".join(f"+ {word}\n" for word in sorted(by_hand)), "utf-8")
    if command(["corpus", "grow", *settings, "--apply"]):
        raise SystemExit("corpus grow --apply failed")
    return dict(json.loads((out / "grown.json").read_text("utf-8")))


def main(out: Path) -> None:
    """Print a row for each corpus and length of an answer."""
    whole, names = set(WordNet().load().words), sorted({folded(name) for name in read_names(PICTURES)})
    known = [name for name in names if name in whole]
    removed = set(random.Random(SEED).sample(known, len(known) // 2))
    all_animals = animals(frozen_graph())
    stops = {"names": removed, "animals": (all_animals & whole) - (set(known) - removed) | removed}

    rows = []
    with StandIn() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        for kind, stop in stops.items():
            (out / kind).mkdir(parents=True, exist_ok=True)
            path = out / kind / "taken_out.txt"
            path.write_text("".join(f"{word}\n" for word in sorted(stop)), "utf-8")
            without = "ood_lightning.corpora.without.Without"
            corpus = {"class_path": without, "init_args": {"corpus": "corpora/wordnet_na.yaml", "path": str(path)}}

            for n_words in ASKED_FOR:
                file = grown(out / kind / str(n_words), corpus, n_words, url)
                accepted = {one["word"] for one in file["accepted"]}
                rows.append((kind, str(n_words), len(stop), accepted, file["judgement"]))
            file = grown(out / kind / "by_hand", corpus, ASKED_FOR[0], url, removed)
            rows.append((kind, "by hand", len(stop), removed, file["judgement"]))
        server.shutdown()

    print(f"{len(names)} names, {len(known)} of them words of WordNet, {len(removed)} of these taken out")
    print(
        "| corpus | taken out | words asked for | accepted | names back in the corpus | back as positives | ID mass |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: | --- |")
    for kind, n_words, n_out, accepted, judgement in rows:
        elected = removed & set(judgement["elected"])
        mass = f"{judgement['id_mass_before']:.4f} to {judgement['id_mass_after']:.4f}"
        interval = f"{judgement['gain']:+.4f} [{judgement['low']:+.4f}, {judgement['high']:+.4f}]"
        cells = (
            *(kind, f"{n_out:,}", n_words, f"{len(accepted):,}", f"{len(accepted & removed)} of {len(removed)}"),
            *(f"{len(elected)} of {len(judgement['elected'])} elected", f"{mass}, {interval}"),
        )
        print("| " + " | ".join(map(str, cells)) + " |")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]))
