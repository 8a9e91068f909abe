"""What `data check` found, on the terminal and as JSON. Needs no torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from ood_lightning.data.check.content import Problem, SetContent
from ood_lightning.plurals import many

FORMAT = "ood_lightning/check/1"
FEW = 10  # problems of one kind and set on the terminal


def print_check(contents: Sequence[SetContent], problems: Sequence[Problem]) -> None:
    """A row for each set, then the problems, of each kind the first few."""
    from ood_lightning.report.labels import console, table

    kinds = Counter((problem.set, problem.kind) for problem in problems)
    rows = [_row(of_set, kinds) for of_set in contents]
    columns = ("set", "role", "shards", "pictures", "promised", "classes", "class names", "counts of", "problems")
    shown = console()
    shown.print(table("Sets", columns, rows))
    for (name, kind), n in kinds.items():
        shown.print(f"{name}, {kind}: {n:,}")
        for problem in [p for p in problems if (p.set, p.kind) == (name, kind)][:FEW]:
            shown.print(f"  {problem.where}: {problem.what}", soft_wrap=True)
        if n > FEW:
            shown.print(f"  and {n - FEW:,} more")
    shown.print(many(len(problems), "problem") if problems else "no problems found")


def _row(of_set: SetContent, kinds: Counter[tuple[str, str]]) -> tuple[str, ...]:
    name = of_set.manifest.name
    return (
        name,
        of_set.role,
        f"{len(of_set.shards):,}",
        f"{of_set.n_samples:,}",
        f"{of_set.manifest.n_samples:,}",
        f"{_classes(of_set):,}",
        f"{len(of_set.manifest.class_names):,}",
        ", ".join(of_set.matches) or "-",
        f"{sum(n for (of, _), n in kinds.items() if of == name):,}",
    )


def as_json(contents: Sequence[SetContent], problems: Sequence[Problem]) -> dict[str, Any]:
    """The same for other programs."""
    sets = [
        {
            "name": of_set.manifest.name,
            "role": of_set.role,
            "fingerprint": of_set.manifest.fingerprint,
            "shards": len(of_set.shards),
            "samples": of_set.n_samples,
            "promised": of_set.manifest.n_samples,
            "classes": _classes(of_set),
            "class_names": len(of_set.manifest.class_names),
            "counts_of": of_set.matches,
        }
        for of_set in contents
    ]
    listed = [{"set": p.set, "kind": p.kind, "where": p.where, "what": p.what} for p in problems]
    return {"format": FORMAT, "sets": sets, "problems": listed}


def _classes(of_set: SetContent) -> int:
    return len([label for label in of_set.labels if label >= 0])
