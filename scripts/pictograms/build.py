"""Build the benchmark "Pictograms" from its sources: drawings, shards and the small model that goes with them.

    python scripts/pictograms/build.py --work DIR                       # everything, in order
    python scripts/pictograms/build.py --work DIR --stage shards        # one stage

Each stage reads what the earlier ones wrote under DIR; README.md beside this file says what each one takes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import torch

ASSETS = Path(__file__).resolve().parents[2] / "assets" / "pictograms"


def fetch(work: Path, options: argparse.Namespace) -> None:
    """Pack, check and unpack the npm packages."""
    import sources

    sources.fetch(work / "packages")


def table(work: Path, options: argparse.Namespace) -> None:
    """Write the table of concepts."""
    import concepts

    rows = concepts.build(work / "packages")
    concepts.save(rows, work / "concepts.json")
    print(f"{len(rows)} concepts, {len({concept.name for concept in rows})} names")


def render(work: Path, options: argparse.Namespace) -> None:
    """Render the drawings."""
    import concepts
    import render

    render.render(concepts.load(work / "concepts.json"), work / "packages", work)


def shards(work: Path, options: argparse.Namespace) -> None:
    """Write the tars and manifests."""
    import concepts
    import shards

    shards.write_all(concepts.load(work / "concepts.json"), work, options.assets)


def teach(work: Path, options: argparse.Namespace) -> None:
    """Let the teacher read every text."""
    import concepts
    import teacher
    import text_tower
    import wordnet

    words = wordnet.corpus(options.wordnet)
    names = text_tower.concept_texts(concepts.load(work / "concepts.json"), words)
    teacher.save(words, work / "teacher_words.npz")
    teacher.save(names, work / "teacher_names.npz")
    teacher.save(teacher.token_texts(), work / "teacher_tokens.npz")


def text(work: Path, options: argparse.Namespace) -> None:
    """Train the text tower."""
    import concepts
    import train_text

    train_text.train(concepts.load(work / "concepts.json"), work, train_text.Plan(seed=options.seed))


def image(work: Path, options: argparse.Namespace) -> None:
    """Train the image tower."""
    import concepts
    import train_image

    train_image.train(concepts.load(work / "concepts.json"), work, train_image.Plan(seed=options.seed))


def export(work: Path, options: argparse.Namespace) -> None:
    """Write the model's folder."""
    import export

    export.export(work, options.assets / "model")


STAGES: dict[str, Callable[[Path, argparse.Namespace], None]] = {
    "fetch": fetch,
    "concepts": table,
    "render": render,
    "shards": shards,
    "teacher": teach,
    "text": text,
    "image": image,
    "export": export,
}


def main() -> None:
    """Parse the command line and run the stages."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="scratch folder, about 1 GB")
    parser.add_argument("--assets", type=Path, default=ASSETS, help="where shards/ and model/ go")
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet"), help="data.noun and data.adj")
    parser.add_argument("--stage", choices=STAGES, action="append", help="only this one; may be given several times")
    parser.add_argument("--seed", type=int, default=0, help="of both towers")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(options.threads)
    for stage in options.stage or STAGES:
        print(f"== {stage}", flush=True)
        STAGES[stage](options.work, options)


if __name__ == "__main__":
    main()
