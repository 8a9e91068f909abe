"""Results on disk: JSON with what the run was, CSV, and every table in Markdown."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NotRequired

from typing_extensions import TypedDict  # pydantic takes typing's own only from Python 3.12 on

from ood_lightning.data.artifacts.files import atomic_write, write_json
from ood_lightning.data.artifacts.sheets import csv_bytes, csv_rows
from ood_lightning.data.artifacts.typed import STRICT, Share, decode_json, decode_plain
from ood_lightning.errors import SourceError
from ood_lightning.metrics.columns import ROW_COLUMNS
from ood_lightning.metrics.intervals import Comparison
from ood_lightning.metrics.results import MEAN, Result, means, single
from ood_lightning.metrics.rows import from_row, further_metrics, to_row
from ood_lightning.report.remarks import around
from ood_lightning.report.tables import markdown

RUN = "run"  # the run's hash: a column of `results.csv`, a key of `about`
SETTINGS = "log/version_*/config.yaml"  # below a run's folder; the highest number is the last run's


def write_results(
    folder: Path, results: Sequence[Result], metadata: Mapping[str, Any], comparisons: Sequence[Comparison] = ()
) -> None:
    """Write `results.json` (with what the run was), `results.csv` (rows, and the run's hash) and `results.md`.

    Args:
        folder: where to.
        results: of single sets, and means that have intervals of their own; means come last in the files.
        metadata: plain data; remarks on it, its `bad_samples` and `run`, the run's hash, stand in `results.md` too.
        comparisons: of label-free with names-based detectors.
    """
    rows = [to_row(result) for result in [*single(results), *means(results)]]
    pairs = [asdict(comparison) for comparison in comparisons]
    write_json(folder / "results.json", {"about": metadata, "results": rows, "comparisons": pairs})

    if run := metadata.get("run"):
        rows = [{**row, RUN: run} for row in rows]
    columns = dict.fromkeys(column for row in rows for column in row)  # one run may have a metric that another lacks
    cells = [[row.get(column) for column in columns] for row in rows]
    atomic_write(folder / "results.csv", csv_bytes([columns, *cells], "\n"))

    atomic_write(folder / "results.md", around(markdown(results, comparisons), metadata).encode())


@dataclass(frozen=True)
class _Content:
    """What `results.json` holds beside its `about`; older files have no comparisons."""

    results: list[dict[str, Any]]
    comparisons: list[Comparison] = field(default_factory=list)


class _ModelTop1(TypedDict):
    """Zero-shot accuracy of one set; the last two are None where no card says what was published."""

    set: str
    percent: float
    published: float | None
    passes: bool | None


class _Metric(TypedDict):
    title: str
    higher_is_better: bool


class _Metadata(TypedDict, total=False):
    """`about` of `results.json`: what tables print of it. The rest is a record for people."""

    run: str
    encoder: str
    runs: list[str]
    metrics: dict[str, _Metric]
    top1: list[_ModelTop1]
    not_run: dict[str, str]
    remarks: list[str]
    edited_from: str
    bad_samples: dict[str, list[str]]


def read_results(path: Path) -> tuple[list[Result], list[Comparison]]:
    """Rows of single sets and of means, and comparisons, from a run's folder, its `results.json` or `results.csv`.

    A CSV, or a file from before there were any, holds no comparisons.

    Raises:
        SourceError: there is nothing to read, it holds no results, or the end of a CSV is missing; names the file and
            the field.
    """
    file = path / "results.json" if path.is_dir() else path
    if not file.is_file():
        raise SourceError(f"there is no {file}: run `test` first, or name the folder of a finished run")

    if file.suffix.lower() == ".csv":
        sheet = read_sheet(file)
        content = _Content([_plain({k: cell for k, cell in row.items() if k != RUN}) for row in sheet])
    else:
        sheet = []
        content = decode_json(_text(file), _Content, str(file), SourceError)
    results = [from_row(row) for row in _valid_rows(content.results, file)]

    if not single(results):
        raise SourceError(f"{file} holds no results of single sets: run `test` again")
    if sheet and RUN in sheet[0]:
        _check_means(results, file)
    return results, content.comparisons


def _check_means(results: Sequence[Result], file: Path) -> None:
    """Refuse rows whose means are missing: they stand last, so that a file that was cut lacks some."""
    try:
        expected = {(mean.kind, mean.group): mean.n_ood for mean in means(single(results))}
    except ValueError as error:
        raise SourceError(f"{file}: {error}") from None
    if {(row.kind, row.group): row.n_ood for row in results if row.ood_set == MEAN} != expected:
        raise SourceError(f"{file} lacks rows, since its means are not those of its sets: it was cut. Copy it again")


def read_about(path: Path) -> dict[str, Any]:
    """What tables print of `about`, from a run's folder, its `results.json`, or the one beside its `results.csv`.

    Empty where there is no `results.json`.

    Raises:
        SourceError: the file is damaged; names the file and the field.
    """
    file = path if path.suffix == ".json" else (path if path.is_dir() else path.parent) / "results.json"
    if not file.is_file():
        return {}

    content = decode_json(_text(file), dict[str, Any], str(file), SourceError)
    metadata = decode_plain({"about": content.get("about", {})}, dict[str, _Metadata], str(file), SourceError)
    return dict(metadata["about"])


def latest_settings(run: Path) -> Path | None:
    """Where the settings of a run's last `test` lie; None where there are none.

    Args:
        run: its folder; a person's own folders among its logs are passed over.
    """
    numbered = {file.parent.name.removeprefix("version_"): file for file in run.glob(SETTINGS)}
    files = {int(number): file for number, file in numbered.items() if number.isdecimal()}
    return files[max(files)] if files else None


def _text(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceError(f"{file} holds no results: {error}") from None


def read_sheet(file: Path) -> list[dict[Any, Any]]:
    """Rows of a `results.csv` as texts.

    Raises:
        SourceError: it is no CSV, or its last line has no end.
    """
    try:
        text = _text(file)
        if text and not text.endswith("\n"):
            raise ValueError("its last line has no end: it was cut. Copy it again")
        return csv_rows(text)
    except ValueError as error:
        raise SourceError(f"{file} holds no results: {error}") from None


def _plain(row: Mapping[str, object]) -> dict[str, object]:
    """A row of a CSV, in which everything is text, with the numbers and truth values that JSON would hold.

    What is neither stays as it came, so that the check that follows names it.
    """
    plain = dict(row)
    for column, cell in row.items():
        if isinstance(cell, str) and ROW_COLUMNS.get(column) is not str:
            with suppress(ValueError):
                plain[column] = json.loads(cell.lower()) if cell else None

    return plain


def _valid_rows(rows: list[dict[str, Any]], file: Path) -> list[dict[str, Any]]:
    """The same rows, if every column is known and holds what it should; those that may be None may be missing too."""
    further = further_metrics(column for row in rows for column in row)
    shares: dict[str, Any] = {column: Share for column, kind in ROW_COLUMNS.items() if kind is float}
    shares |= {column: Share | None for column, kind in ROW_COLUMNS.items() if kind == float | None}
    kinds = ROW_COLUMNS | shares | {column: float | None for columns in further.values() for column in columns}
    optional = {column: NotRequired[kind] for column, kind in kinds.items() if kind == kind | None}

    typed_dict: Any = TypedDict  # type checkers want the columns written out; here the file says which there are
    row_type = typed_dict("row_type", kinds | optional)
    row_type.__pydantic_config__ = STRICT
    kind: Any = dict[str, list[row_type]]  # type: ignore[valid-type]
    return list(decode_plain({"results": rows}, kind, str(file), SourceError)["results"])
