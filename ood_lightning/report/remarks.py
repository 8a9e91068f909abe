"""What must be known beside a run's rows: a model that the gate did not pass, and pictures that were left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ood_lightning.metrics.columns import ROW_COLUMNS
from ood_lightning.metrics.results import Result, single
from ood_lightning.report.lost import lost_pictures


def remarks(about: Mapping[str, Any]) -> list[str]:
    """A line each: of the model gate, and those that a joined table brings along.

    Args:
        about: of `results.json`.
    """
    failed = [one for one in about.get("top1", ()) if one["passes"] is False]
    of_sets = (f"of {one['set']} is {one['percent']:.2f} %, published {one['published']:.2f} %" for one in failed)
    gate = [f"the model gate was not passed (gate: warn): zero-shot top-1 {'; '.join(of_sets)}"]
    return [*(gate if failed else []), *about.get("remarks", ())]


def metric_lines(about: Mapping[str, Any]) -> list[str]:
    """A line for each metric beyond the standard ones: what it measures, and its direction.

    Args:
        about: of `results.json`.
    """
    lines = []
    for name, metric in about.get("metrics", {}).items():
        if name not in ROW_COLUMNS:
            direction = "higher" if metric["higher_is_better"] else "lower"
            lines.append(f"{name}: {metric['title']}; {direction} is better.")
    return lines


def around(text: str, about: Mapping[str, Any]) -> str:
    """Tables in Markdown under a title, between the remarks and the pictures that were left out.

    Args:
        text: the tables, with a line break at the end.
        about: of `results.json`.
    """
    n_runs, encoder = len(about.get("runs", ())), about.get("encoder")
    of = f" of {n_runs} run{'s' * (n_runs > 1)}" if n_runs else f" of {encoder}" if encoder else ""
    before = [f"# Results{of}", *remarks(about)]
    after = ["\n".join(metric_lines(about)), "\n".join(lost_pictures(about.get("bad_samples", {})))]
    return "".join(f"{line}\n\n" for line in before) + text + "".join(f"\n{lines}\n" for lines in after if lines)


def joined(runs: Sequence[tuple[str, Sequence[Result], Mapping[str, Any]]]) -> dict[str, Any]:
    """The same of several runs as one `about`.

    Args:
        runs: name, rows and `about` of each.
    """
    lines = [f"{run}: {line}" for run, _, about in runs for line in remarks(about)]
    metrics: dict[str, Any] = {}
    for run, _, about in runs:
        for name, metric in about.get("metrics", {}).items():
            if metrics.setdefault(name, metric) != metric:
                lines.append(f"{name} is another metric in {run}: {metric['title']}")
    lost: dict[str, list[str]] = {}
    for name in dict.fromkeys(name for _, _, about in runs for name in about.get("bad_samples", ())):
        found = [
            (run, about.get("bad_samples", {}).get(name, []))
            for run, rows, about in runs
            if name in about.get("bad_samples", ()) or any(name in (r.id_set, r.ood_set) for r in single(rows))
        ]
        if len({frozenset(map(_picture, reasons)) for _, reasons in found}) == 1:
            lost[name] = found[0][1]
            continue
        lost |= {f"{name} in {run}": reasons for run, reasons in found if reasons}
        lines.append(
            f"{name}: {' and '.join(run for run, _ in found)} left out different pictures, so their rows are not about "
            f"the same pictures"
        )
    return {"remarks": list(dict.fromkeys(lines)), "metrics": metrics, "bad_samples": lost}


def _picture(line: str) -> str:
    """Shard and key of a line of `bad_samples`; the reason may read otherwise on another machine."""
    return line.partition(": ")[0]
