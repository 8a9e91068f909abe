"""Tables from rows of results: on the terminal, as CSV, JSON and Markdown. Percent appear here and only here."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ood_lightning.data.files import atomic_write
from ood_lightning.errors import SourceError
from ood_lightning.metrics.results import MEAN, Result, means

MOST = 6  # detectors whose single sets a terminal of 100 columns can show side by side
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
    single = [result for result in results if result.ood_set != MEAN]
    if not single:
        raise SourceError(f"{file} holds no results of single sets: run `test` again")
    return single


def _cell(result: Result | None) -> str:
    if result is None:
        return "-"
    pairs = ((result.auroc, result.auroc_std), (result.fpr_ood_at_id_tpr95, result.fpr_ood_at_id_tpr95_std))
    return " / ".join(f"{100 * v:.2f}" + ("" if std is None else f" ± {100 * std:.2f}") for v, std in pairs)


def grid(results: Sequence[Result], id_set: str, most: int | None = None) -> list[list[str]]:
    """Lines of one ID set's table, the header first: detectors against OOD sets, means of groups, mean of all.

    The longer side goes down the page.

    Args:
        results: of single sets.
        id_set: whose table.
        most: detectors up to which single OOD sets are shown, and only means beyond; None: always.
    """
    mine = [result for result in results if result.id_set == id_set]
    averaged = means(mine)
    ood_sets = list(dict.fromkeys(result.ood_set for result in mine))
    groups = list(dict.fromkeys(result.group for result in mine if result.group))
    cells = {(r.detector, r.ood_set): r for r in mine}
    cells |= {(r.detector, f"mean {r.group}".strip()): r for r in averaged}
    given = {result.detector: ", ".join(result.supervision) or "nothing" for result in mine}
    singles = ood_sets if most is None or len(given) <= most else []
    columns = [*singles, *(f"mean {group}" for group in groups), "mean"]
    lines = [["detector", "given", *columns]]
    lines += [[name, given[name], *(_cell(cells.get((name, column))) for column in columns)] for name in given]
    return _upright(lines)


def shifts(results: Sequence[Result]) -> list[list[str]]:
    """Lines of the means of every ID set, the header first: how the detectors bear a shift of style."""
    averaged = {(r.detector, r.id_set): r for r in means(results) if not r.group}
    id_sets = list(dict.fromkeys(id_set for _, id_set in averaged))
    detectors = list(dict.fromkeys(detector for detector, _ in averaged))
    return _upright(
        [["detector", *id_sets], *([d, *(_cell(averaged.get((d, i))) for i in id_sets)] for d in detectors)]
    )


def _upright(lines: list[list[str]]) -> list[list[str]]:
    return lines if len(lines) >= len(lines[0]) else [list(column) for column in zip(*lines, strict=True)]


def _titled(
    results: Sequence[Result], most: int | None, how: str = "", spread: str = ""
) -> list[tuple[str, list[list[str]]]]:
    """Tables of results of one kind: one per ID set, then the means of all ID sets where there are several."""
    id_sets = list(dict.fromkeys(result.id_set for result in results))
    told = f"AUROC / FPR95 (%){how}"
    tables = [(f"ID set {id_set}: {told}{spread}", grid(results, id_set, most)) for id_set in id_sets]
    return tables + ([(f"Mean over the OOD sets, by ID set: {told}", shifts(results))] if id_sets[1:] else [])


def _kinds(results: Sequence[Result], most: int | None = None) -> list[list[tuple[str, list[list[str]]]]]:
    """Tables of detectors that score each picture by itself, then of those that learn from the test stream."""
    static, streams = [r for r in results if not r.stream], [r for r in results if r.stream]
    orders = " or ".join(str(n) for n in dict.fromkeys(r.orders or 1 for r in streams))
    how = f"; learns from the test stream; {orders} order{'s' * (orders != '1')}"
    return [
        tables
        for tables in (_titled(static, most), _titled(streams, most, how, ", mean ± standard deviation"))
        if tables
    ]


def print_results(results: Sequence[Result], not_run: Mapping[str, str] | None = None) -> None:
    """Print the first ID set's table and, where there are more ID sets, the means of each.

    Detectors that learn from the test stream have tables of their own.

    Args:
        results: of single sets.
        not_run: detectors that could not run, and what they need.
    """
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if Console().is_terminal else 160)
    shown = [table for tables in _kinds(results, MOST) for table in [tables[0], *tables[1:][-1:]]]
    for title, (header, *lines) in shown:
        table = Table(title=title, title_justify="left", box=SIMPLE)
        for i, name in enumerate(header):
            table.add_column(name, justify="right" if i else "left")
        for line in lines:
            table.add_row(*line)
        console.print(table)
    if len({result.detector for result in results if not result.stream}) > MOST:
        console.print(
            f"  More than {MOST} detectors: only means here. Single sets are in results.csv, and in `report --out`."
        )
    for name, reason in (not_run or {}).items():
        console.print(f"  {name}: not run, {reason}")
    console.print(CONVENTION, style="dim")


def markdown(results: Sequence[Result]) -> str:
    """Every table in Markdown."""
    return (
        "\n\n".join(
            [*(f"{title}\n\n{_pipes(lines)}" for tables in _kinds(results) for title, lines in tables), CONVENTION]
        )
        + "\n"
    )


def _pipes(lines: list[list[str]]) -> str:
    header, *rows = lines
    return "\n".join("| " + " | ".join(line) + " |" for line in [header, ["---"] * len(header), *rows])
