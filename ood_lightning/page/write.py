"""One HTML file of one or several runs, which opens offline and asks nobody for anything."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ood_lightning import __version__
from ood_lightning.data.artifacts.files import atomic_write
from ood_lightning.errors import SettingsError
from ood_lightning.metrics.results import Result
from ood_lightning.page.runs import PageRun, names_of, read_run
from ood_lightning.page.safe import packed, policy, scripts, style
from ood_lightning.page.scored import MAX_ROWS, scores_of
from ood_lightning.page.sensitivity import sensitivity
from ood_lightning.page.tables import by_conventions, grid_of, metrics_of, printed_tables
from ood_lightning.page.verdict import verdict
from ood_lightning.places import expanded
from ood_lightning.report.remarks import joined
from ood_lightning.report.tables import CONVENTION

PAGE = "report.html"
MAX_THUMBNAILS = 300  # of all runs together
CHOSEN_HERE = (
    "Settings are compared on the very sets that the numbers are of. The best of them looks better here than it will "
    "be on other pictures: choose settings elsewhere."
)


def write_page(runs: Sequence[str | Path], out: Path, names: Sequence[str] | None = None) -> None:
    """Write the page of some runs.

    Args:
        runs: folders of finished runs.
        out: the file.
        names: of the runs.

    Raises:
        SourceError: a run holds nothing to show, or a file is damaged.
        UnwritableError: the disk is full, or the folder may not be written to.
    """
    paths = [str(run) for run in runs]
    read = [read_run(expanded(path), name) for path, name in zip(paths, names_of(paths, names), strict=True)]
    atomic_write(out, rendered(read, paths, names).encode("utf-8", "backslashreplace"))


def rendered(runs: Sequence[PageRun], paths: Sequence[str], names: Sequence[str] | None = None) -> str:
    """The page of some runs.

    Args:
        runs: as they were read.
        paths: as a person named them, for the command that makes the page again.
        names: that a person chose, for the same.
    """
    prefixes = _prefixes(runs)
    both = [run.prefixed(prefix) for run, prefix in zip(runs, prefixes, strict=True)]
    results = list(dict.fromkeys(row for rows, _ in both for row in rows))
    comparisons = list(dict.fromkeys(pair for _, pairs in both for pair in pairs))
    metadata = _about(runs)
    reasons = [run.reasons for run in runs if run.reasons is not None]

    fprs, remarks = by_conventions(runs, prefixes)
    try:
        tables, grids = printed_tables(results, comparisons), grid_of(results, fprs)
    except ValueError as error:  # rows of one detector and set that contradict one another
        raise SettingsError(f"these runs do not fit on one page: {error}. Give each a name with --names.") from error

    said = verdict(results, comparisons, metadata, reasons)
    varied = sensitivity(runs)
    remarks = [*said.remarks, *([CHOSEN_HERE] if varied else []), *_of_runs(runs), *remarks]
    plain = _runs(runs)
    data = {
        "grids": grids,
        "metrics": metrics_of(results, fprs, metadata.get("metrics", {})),
        "runs": plain,
        "sensitivity": varied,
    }

    inlined = scripts()
    page: str = _template().render(
        title=f"Report of {', '.join(run.name for run in runs)}",
        runs=runs,
        verdict=said,
        remarks=remarks,
        tables=tables,
        convention=CONVENTION,
        has_grid=bool(grids),
        has_scores=any(run["scores"]["detectors"] for run in plain),
        reasons=reasons,
        sensitivity=varied,
        command=_command(paths, names or ()),
        version=__version__,
        policy=policy(inlined),
        style=style(),
        plotly=inlined[0],
        script=inlined[1],
        payload=packed(data),
    )
    return page


def _of_runs(runs: Sequence[PageRun]) -> list[str]:
    """What is missing of the runs; what is said of several names them all in one line."""
    concerned: dict[str, list[str]] = {}
    for run in runs:
        for remark in run.remarks:
            concerned.setdefault(remark, []).append(run.name)
    return [f"{', '.join(names)} {remark}" for remark, names in concerned.items()]


def _prefixes(runs: Sequence[PageRun]) -> list[str]:
    """What stands before detectors' names: nothing where no name comes twice, else the run's name."""
    names = [name for run in runs for name in dict.fromkeys(row.detector for row in run.results)]
    clash = len(set(names)) < len(names)
    return [f"{run.name}: " if clash else "" for run in runs]


def _about(runs: Sequence[PageRun]) -> dict[str, Any]:
    """`about` of one run, or of several joined."""
    if len(runs) == 1:
        return dict(runs[0].metadata)
    of_runs: list[tuple[str, Sequence[Result], Any]] = [(run.name, run.results, run.metadata) for run in runs]
    encoders = list(dict.fromkeys(str(run.metadata["encoder"]) for run in runs if run.metadata.get("encoder")))
    return {**joined(of_runs), "encoder": " and ".join(encoders)}


def _runs(runs: Sequence[PageRun]) -> list[dict[str, Any]]:
    """Scores, words and pictures of each run, as plain data; rows and small pictures share the page's room."""
    from dataclasses import asdict

    room, small = MAX_ROWS // len(runs), MAX_THUMBNAILS // len(runs)
    plain = []
    for run in runs:
        reasons = None
        if run.reasons is not None:
            reasons = asdict(run.reasons)
            kept = list(reasons["thumbnails"].items())[:small]
            reasons["thumbnails"] = dict(kept)
        plain.append({"name": run.name, "scores": scores_of(run, room), "reasons": reasons})
    return plain


def _command(paths: Sequence[str], names: Sequence[str]) -> str:
    chosen = ["--names", json.dumps(names, ensure_ascii=False)] if names else []
    return shlex.join(["ood-lightning", "report", *paths, *chosen, "--html", PAGE])


def _template() -> Any:
    """The page's template; whatever it is given is text, unless the template itself says otherwise."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("ood_lightning.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2")
