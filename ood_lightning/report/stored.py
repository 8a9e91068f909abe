"""Results on disk: JSON with what the run was, CSV, and every table in Markdown."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ood_lightning.data.artifacts.files import atomic_write, write_json
from ood_lightning.errors import SourceError
from ood_lightning.metrics.intervals import Comparison
from ood_lightning.metrics.results import Result, means, single
from ood_lightning.report.remarks import around
from ood_lightning.report.tables import markdown


def write_results(
    folder: Path, results: Sequence[Result], about: dict[str, Any], comparisons: Sequence[Comparison] = ()
) -> None:
    """Write `results.json` (with what the run was), `results.csv` (rows alone) and `results.md`.

    Args:
        folder: where to.
        results: of single sets, and means that lend their intervals; means come last in the files.
        about: plain data; remarks on it and its `bad_samples` stand in `results.md` too.
        comparisons: of label-free with names-based detectors.
    """
    rows = [result.to_row() for result in [*single(results), *means(results)]]
    content = {"about": about, "results": rows, "comparisons": [asdict(comparison) for comparison in comparisons]}
    write_json(folder / "results.json", content)
    sheet = io.StringIO()
    writer = csv.DictWriter(sheet, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    atomic_write(folder / "results.csv", sheet.getvalue().encode())
    atomic_write(folder / "results.md", around(markdown(results, comparisons), about).encode())


def read_results(path: Path) -> tuple[list[Result], list[Comparison]]:
    """Rows of single sets and of means, and comparisons, from a run's folder, its `results.json` or `results.csv`.

    A CSV, or a file from before there were any, holds no comparisons.

    Raises:
        SourceError: there is nothing to read, or it holds no results.
    """
    file = path / "results.json" if path.is_dir() else path
    try:
        text = file.read_text(encoding="utf-8")
        content = {"results": list(csv.DictReader(io.StringIO(text)))} if file.suffix == ".csv" else json.loads(text)
        results = [Result.from_row(row) for row in content["results"]]
        comparisons = [Comparison.from_row(row) for row in content.get("comparisons", ())]
    except FileNotFoundError:
        raise SourceError(f"there is no {file}: run `test` first, or name the folder of a finished run") from None
    except (ValueError, KeyError, TypeError) as error:
        raise SourceError(f"{file} holds no results: {error}") from error
    if not single(results):
        raise SourceError(f"{file} holds no results of single sets: run `test` again")
    return results, comparisons


def read_about(path: Path) -> dict[str, Any]:
    """What a run was, from its folder, its `results.json`, or the one beside its `results.csv`; else nothing.

    Raises:
        SourceError: the file is damaged.
    """
    file = path if path.suffix == ".json" else (path if path.is_dir() else path.parent) / "results.json"
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")).get("about", {}))
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, AttributeError) as error:
        raise SourceError(f"{file} holds no results: {error}") from error
