"""How a judge's answers fit decisions that another one made, question by question.

python -m benchmarks.judges FILE [FILE ...] [--cousins 0]

The files are those that `ReplayJudge` reads: `decisions.jsonl` of a run, or NegRefine's released `llm_decisions_*`. The
judge that is compared is WordNet.
"""

import argparse
from time import perf_counter

from ood_lightning.filtering.asking import JudgeSession, agreement
from ood_lightning.filtering.judges.replay import ReplayJudge
from ood_lightning.filtering.judges.wordnet import WordNetJudge


def main() -> None:
    """Print the table of docs/filter.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--cousins", type=int, default=0)
    options = parser.parse_args()

    said, judge = ReplayJudge(options.files), WordNetJudge(cousins=options.cousins)
    first, second = JudgeSession(said, None), JudgeSession(judge, None)
    questions = list(said.decisions)
    first(questions)

    start = perf_counter()
    second(questions)

    print(f"{judge.identity}: {len(questions):,} questions in {perf_counter() - start:.1f} s, against {said.identity}")
    print("| question | asked | both yes | only LLM | only WordNet | both no | agreement | precision | recall |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for row in agreement(first.answers, second.answers):
        counts = [row[key] for key in ("asked", "both_yes", "only_first_yes", "only_second_yes", "both_no")]
        shares = [row[key] for key in ("agreement", "precision", "recall")]
        cells = [f"{n:,}" for n in counts] + ["-" if share is None else f"{100 * share:.1f} %" for share in shares]
        print(f"| {row['question']} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
