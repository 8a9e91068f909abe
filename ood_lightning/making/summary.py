"""What a run leaves for people: `summary.md`, `decisions.csv` and the results' tables."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ood_lightning.data.artifacts.files import atomic_write
from ood_lightning.data.rows.formats import as_bytes, header
from ood_lightning.metrics.results import Result
from ood_lightning.report.console import console, table
from ood_lightning.report.stored import write_results
from ood_lightning.report.tables import literal, percent

DECISIONS, SUMMARY = "decisions.csv", "summary.md"


def write_summary(
    folder: Path, lines: Sequence[str], rows: Sequence[Mapping[str, Any]], results: Sequence[Result], encoder: str
) -> None:
    """Write the files, and print how many of each set are accepted.

    Args:
        folder: of the run.
        lines: what the steps said.
        rows: of all scored images, with `set`, `accepted` and what else a row has.
        results: of the OOD sets, with their mean; none where no OOD set was given.
        encoder: its name.
    """
    sets = {name: [row for row in rows if row["set"] == name] for name in dict.fromkeys(row["set"] for row in rows)}
    of_set = {result.ood_set: result for result in results}
    cells = [_cells(name, of_rows, of_set.get(name)) for name, of_rows in sets.items()]
    columns = ("set", "images", "accepted", *(("AUROC", "fpr_ood@id_tpr95") if results else ()))
    cells = [row[: len(columns)] for row in cells]
    console().print(table("decisions (%)", columns, cells))

    decisions = header(".csv", list(rows[0])) + as_bytes(".csv", rows)
    atomic_write(folder / DECISIONS, decisions)
    if results:
        write_results(folder, list(results), {"encoder": encoder})

    markdown = ["# What this run did", "", *(f"- {literal(line)}" for line in lines), ""]
    markdown += ["| " + " | ".join(columns) + " |", "| --- |" + " ---: |" * (len(columns) - 1)]
    markdown += ["| " + " | ".join(map(literal, row)) + " |" for row in cells]
    atomic_write(folder / SUMMARY, ("\n".join(markdown) + "\n").encode("utf-8", "backslashreplace"))
    print(f"decisions: {folder / DECISIONS}, in words: {folder / SUMMARY}")


def _cells(name: str, rows: Sequence[Mapping[str, Any]], result: Result | None) -> list[str]:
    accepted = sum(bool(row["accepted"]) for row in rows)
    metrics = ("auroc", "fpr_ood@id_tpr95")
    measures = ["" if result is None else percent(result, metric, interval=True) for metric in metrics]
    return [name, f"{len(rows):,}", f"{accepted:,} ({100 * accepted / len(rows):.1f})", *measures]
