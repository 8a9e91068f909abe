"""What `data check` found, on the terminal and as JSON. Needs no torch."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ood_lightning.data.check.content import Problem, SetContent
from ood_lightning.plurals import many
from ood_lightning.report.console import console, table

FORMAT = "ood_lightning/check/1"
FEW = 10  # problems of one kind and set on the terminal
COLUMNS = ("set", "role", "shards", "pictures", "promised", "classes", "class names", "counts of", "problems")


def print_check(contents: Sequence[SetContent], problems: Sequence[Problem]) -> None:
    """A row for each set, then the problems, of each kind the first few."""
    out = console()
    n_problems = Counter(problem.set for problem in problems)
    out.print(table("Sets", COLUMNS, [_row(content, n_problems) for content in contents]))

    for (name, kind), n in Counter((problem.set, problem.kind) for problem in problems).items():
        out.print(f"{name}, {kind}: {n:,}")
        for problem in [p for p in problems if (p.set, p.kind) == (name, kind)][:FEW]:
            out.print(f"  {problem.where}: {problem.what}", soft_wrap=True)
        if n > FEW:
            out.print(f"  and {n - FEW:,} more")
    out.print(many(len(problems), "problem") if problems else "no problems found")


def _row(content: SetContent, n_problems: Counter[str]) -> tuple[str, ...]:
    manifest = content.manifest
    return (
        manifest.name,
        content.role,
        f"{len(content.shards):,}",
        f"{content.n_samples:,}",
        f"{manifest.n_samples:,}",
        f"{_classes(content):,}",
        f"{len(manifest.class_names):,}",
        ", ".join(content.matches) or "-",
        f"{n_problems[manifest.name]:,}",
    )


def as_json(contents: Sequence[SetContent], problems: Sequence[Problem]) -> dict[str, Any]:
    """The same for other programs."""
    sets = [
        {
            "name": content.manifest.name,
            "role": content.role,
            "fingerprint": content.manifest.fingerprint,
            "shards": len(content.shards),
            "samples": content.n_samples,
            "promised": content.manifest.n_samples,
            "classes": _classes(content),
            "class_names": len(content.manifest.class_names),
            "counts_of": content.matches,
        }
        for content in contents
    ]

    return {"format": FORMAT, "sets": sets, "problems": [asdict(problem) for problem in problems]}


def _classes(content: SetContent) -> int:
    """Classes that have images; -1 stands for none."""
    return sum(label >= 0 for label in content.labels)
