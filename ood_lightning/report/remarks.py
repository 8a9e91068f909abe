"""What must be known beside a run's rows: a model that the gate did not pass, and images that were left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ood_lightning.metrics.columns import ROW_COLUMNS
from ood_lightning.metrics.results import Result, single
from ood_lightning.plurals import many
from ood_lightning.report.lost import lost_pictures

Run = tuple[str, Sequence[Result], Mapping[str, Any]]  # its name, its rows, and `about` of its results.json


def remarks(metadata: Mapping[str, Any]) -> list[str]:
    """A line each: of the model gate, and those that a joined table brings along.

    Args:
        metadata: `about` of `results.json`, as in all functions here.
    """
    lines = []
    failed = [
        f"of {top1['set']} is {top1['percent']:.2f} %, published {top1['published']:.2f} %"
        for top1 in metadata.get("top1", ())
        if top1["passes"] is False  # None where nothing was published
    ]
    if failed:
        lines.append(f"the model gate was not passed (gate: warn): zero-shot top-1 {'; '.join(failed)}")
    return [*lines, *metadata.get("remarks", ())]


def metric_lines(metadata: Mapping[str, Any]) -> list[str]:
    """A line for each metric beyond the standard ones: what it measures, and its direction."""
    lines = []
    for name, metric in metadata.get("metrics", {}).items():
        if name not in ROW_COLUMNS:
            direction = "higher" if metric["higher_is_better"] else "lower"
            lines.append(f"{name}: {metric['title']}; {direction} is better.")
    return lines


def around(tables: str, metadata: Mapping[str, Any]) -> str:
    """Tables in Markdown under a title, between the remarks and the images that were left out.

    Args:
        tables: Markdown with a line break at the end.
        metadata: names the runs or the encoder in the title.
    """
    title = "# Results"
    if metadata.get("runs"):
        title += f" of {many(len(metadata['runs']), 'run')}"
    elif metadata.get("encoder"):
        title += f" of {metadata['encoder']}"

    parts = ["\n\n".join([title, *remarks(metadata)]) + "\n", tables]
    for lines in (metric_lines(metadata), lost_pictures(metadata.get("bad_samples", {}))):
        if lines:
            parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def joined(runs: Sequence[Run]) -> dict[str, Any]:
    """Remarks, metrics and images that were left out of several runs, as the metadata of their joined table."""
    lines = [f"{run}: {line}" for run, _, metadata in runs for line in remarks(metadata)]

    metrics: dict[str, Any] = {}
    for run, _, metadata in runs:
        for name, metric in metadata.get("metrics", {}).items():
            if metrics.setdefault(name, metric) != metric:
                lines.append(f"{name} is another metric in {run}: {metric['title']}")

    lost: dict[str, list[str]] = {}
    for name in dict.fromkeys(name for _, _, metadata in runs for name in metadata.get("bad_samples", ())):
        by_run = _lost_by_run(name, runs)
        if len({frozenset(map(_image, reasons)) for reasons in by_run.values()}) == 1:
            lost[name] = next(iter(by_run.values()))
        else:
            lost |= {f"{name} in {run}": reasons for run, reasons in by_run.items() if reasons}
            lines.append(
                f"{name}: {' and '.join(by_run)} left out different pictures, so their rows are not about the same "
                f"pictures"
            )

    return {"remarks": list(dict.fromkeys(lines)), "metrics": metrics, "bad_samples": lost}


def _lost_by_run(set_name: str, runs: Sequence[Run]) -> dict[str, list[str]]:
    """What each run left out of a set, of the runs that read it; nothing, where the run has its rows alone."""
    lost = {}
    for run, rows, metadata in runs:
        bad_samples = metadata.get("bad_samples", {})
        if set_name in bad_samples or any(set_name in (row.id_set, row.ood_set) for row in single(rows)):
            lost[run] = bad_samples.get(set_name, [])
    return lost


def _image(line: str) -> str:
    """Shard and key of a line of `bad_samples`; the reason may read otherwise on another machine."""
    return line.partition(": ")[0]
