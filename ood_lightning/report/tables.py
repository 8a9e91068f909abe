"""Tables from rows of results: on the terminal, as CSV, JSON and Markdown. Percent appear here and only here."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ood_lightning.data.files import atomic_write
from ood_lightning.errors import SourceError
from ood_lightning.metrics.results import MEAN, Result, means

if TYPE_CHECKING:
    from rich.table import Table

CONVENTION = (
    "AUROC / FPR95 in percent. Higher score = more ID. FPR95 is fpr_ood@id_tpr95: the share of OOD pictures accepted "
    "by the strictest threshold that keeps at least 95 % of the ID pictures. Means are over sets, unweighted."
)


def write_results(folder: Path, results: Sequence[Result], about: dict[str, Any]) -> None:
    """Write `results.json` (with what the run was) and `results.csv` (rows alone), means after the single sets."""
    rows = [result.to_row() for result in [*results, *means(results)]]
    text = json.dumps({"about": about, "results": rows}, indent=1, ensure_ascii=False)
    atomic_write(folder / "results.json", (text + "\n").encode())
    sheet = io.StringIO()
    writer = csv.DictWriter(sheet, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    atomic_write(folder / "results.csv", sheet.getvalue().encode())


def read_results(path: Path) -> list[Result]:
    """Rows of single sets from a run's folder, its `results.json` or `results.csv`; means are left out.

    Raises:
        SourceError: there is nothing to read, or it holds no results.
    """
    file = path / "results.json" if path.is_dir() else path
    try:
        text = file.read_text(encoding="utf-8")
        rows = list(csv.DictReader(io.StringIO(text))) if file.suffix == ".csv" else json.loads(text)["results"]
        results = [Result.from_row(row) for row in rows]
    except FileNotFoundError:
        raise SourceError(f"there is no {file}: run `test` first, or name the folder of a finished run") from None
    except (ValueError, KeyError, TypeError) as error:
        raise SourceError(f"{file} holds no results: {error}") from error
    return [result for result in results if result.ood_set != MEAN]


def _cell(result: Result | None) -> str:
    return f"{100 * result.auroc:.2f} / {100 * result.fpr_ood_at_id_tpr95:.2f}" if result else "-"


def grid(results: Sequence[Result], id_set: str) -> tuple[list[str], list[list[str]]]:
    """Header and rows of one ID set: a row per detector, a column per OOD set, then means of groups and of all."""
    mine = [result for result in results if result.id_set == id_set]
    averaged = means(mine)
    ood_sets = list(dict.fromkeys(result.ood_set for result in mine))
    groups = list(dict.fromkeys(result.group for result in mine if result.group))
    cells = {(r.detector, r.ood_set): r for r in mine}
    cells |= {(r.detector, f"mean {r.group}".strip()): r for r in averaged}
    columns = [*ood_sets, *(f"mean {group}" for group in groups), "mean"]
    given = {result.detector: ", ".join(result.supervision) or "nothing" for result in mine}
    rows = [[name, given[name], *(_cell(cells.get((name, column))) for column in columns)] for name in given]
    return ["detector", "given", *columns], rows


def _shifts(results: Sequence[Result]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the means of every ID set: how the detectors bear a shift of style."""
    averaged = {(r.detector, r.id_set): r for r in means(results) if not r.group}
    id_sets = list(dict.fromkeys(id_set for _, id_set in averaged))
    detectors = list(dict.fromkeys(detector for detector, _ in averaged))
    return ["detector", *id_sets], [[d, *(_cell(averaged.get((d, i))) for i in id_sets)] for d in detectors]


def print_results(results: Sequence[Result]) -> None:
    """Print the first ID set's grid and, where there are more ID sets, the means of each."""
    from rich.console import Console

    console = Console(width=None if Console().is_terminal else 200)
    first = results[0].id_set
    console.print(_table(f"ID set {first}: AUROC / FPR95 (%)", *grid(results, first)))
    if len({result.id_set for result in results}) > 1:
        console.print(_table("Mean over the OOD sets, by ID set: AUROC / FPR95 (%)", *_shifts(results)))
    console.print(CONVENTION, style="dim")


def _table(title: str, header: list[str], rows: list[list[str]]) -> Table:
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for i, name in enumerate(header):
        table.add_column(name, justify="left" if i == 0 or name == "given" else "right")
    for row in rows:
        table.add_row(*row)
    return table


def markdown(results: Sequence[Result]) -> str:
    """The same tables in Markdown."""
    parts = []
    id_sets = list(dict.fromkeys(result.id_set for result in results))
    for id_set in id_sets:
        parts.append(f"ID set `{id_set}`, AUROC / FPR95 (%)\n\n{_pipes(*grid(results, id_set))}")
    if len(id_sets) > 1:
        parts.append(f"Mean over the OOD sets, by ID set, AUROC / FPR95 (%)\n\n{_pipes(*_shifts(results))}")
    return "\n\n".join([*parts, CONVENTION]) + "\n"


def _pipes(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
