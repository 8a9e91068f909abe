"""What a filter did: the filtered set, and files beside it with dropped words, counts, cost, a second judge's view."""

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from ood_lightning.data.artifacts.files import atomic_write, write_json
from ood_lightning.data.artifacts.label_set import LabelSet
from ood_lightning.data.artifacts.sheets import csv_bytes
from ood_lightning.filtering.asking import JudgeSession, agreement
from ood_lightning.filtering.rules import Rules, Verdict


def filtered_set(
    label_set: LabelSet,
    verdicts: Sequence[Verdict],
    rules: Rules,
    session: JudgeSession,
    adjectives: Collection[str] | None = None,
) -> LabelSet:
    """The label set with the negatives that were kept, in their order; without negatives if none was.

    Args:
        label_set: before filtering.
        verdicts: on its negatives.
        rules: that were followed.
        session: of the judge.
        adjectives: those of its negatives that take the templates for adjectives; None where the prompts have none.
    """
    added = ["llm"] if session.judge.llm and "llm" not in label_set.supervision else []

    recipe = {
        **label_set.recipe,
        "method": f"{label_set.recipe.get('method', 'label set')} + NegFilter",
        "filter": {
            "of": label_set.sha256,
            "judge": session.judge.identity,
            "rules": vars(rules),
            "counts": counts(verdicts),
        },
        "supervision": [*label_set.supervision, *added],
    }

    kept = [verdict for verdict in verdicts if verdict.reason == "kept"]
    negatives = tuple(verdict.word if rules.cleaned else verdict.original for verdict in kept)
    if adjectives is not None:
        marked = [word for word, verdict in zip(negatives, kept, strict=True) if verdict.original in adjectives]
        recipe["adjectives"] = {"positives": [], **label_set.recipe.get("adjectives", {}), "negatives": marked}

    return LabelSet(label_set.positives, negatives, recipe)


def counts(verdicts: Sequence[Verdict]) -> dict[str, int]:
    """Number of words that were to be filtered, and how many of them each reason has, by its name."""
    return {"given": len(verdicts), **Counter[str](sorted(verdict.reason for verdict in verdicts))}


def write_report(
    folder: Path, verdicts: Sequence[Verdict], session: JudgeSession, second: JudgeSession | None
) -> dict[str, Any]:
    """Write `dropped.csv`, `report.json` and, with a second judge, `disagreements.csv`.

    Args:
        folder: to write to.
        verdicts: on every word, those that cleaning dropped included.
        session: of the judge that decided.
        second: session of a second judge that has answered the same questions.

    Returns:
        The content of `report.json`.
    """
    dropped = [verdict for verdict in verdicts if verdict.reason != "kept"]
    atomic_write(folder / "dropped.csv", csv_bytes([Verdict._fields, *dropped]))

    report: dict[str, Any] = {
        "counts": counts(verdicts),
        "cost": session.cost(),
        "renamed": {v.word: v.original for v in verdicts if v.reason == "kept" and v.word != v.original},
    }
    if second is not None:
        report["second"] = {"cost": second.cost(), "agreement": agreement(session.answers, second.answers)}
        disagreements = [
            (question.word, question.name or "", "yes" if answer.yes else "no", "no" if answer.yes else "yes")
            for question, answer in session.answers.items()
            if bool(answer.yes) != bool(second.answers[question].yes)
        ]
        header = ("word", "name", "first", "second")
        atomic_write(folder / "disagreements.csv", csv_bytes([header, *disagreements]))

    write_json(folder / "report.json", report)
    return report
