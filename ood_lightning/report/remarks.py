"""What must be known beside a run's rows: a model that the gate did not pass, and images that were left out."""

from collections.abc import Mapping, Sequence
from typing import Any

from ood_lightning.metrics.columns import ROW_COLUMNS
from ood_lightning.metrics.results import Result, single
from ood_lightning.plain_output import one_line
from ood_lightning.plurals import many
from ood_lightning.report.tables import literal

FEW = 5  # images of a set that were left out, on the terminal

Run = tuple[str, Sequence[Result], Mapping[str, Any]]  # its name, its rows, and `about` of its results.json


def remarks(metadata: Mapping[str, Any]) -> list[str]:
    """A line each: of the model gate, and those that a joined table brings along.

    Args:
        metadata: `about` of `results.json`, as in all functions here.
    """
    failed = [
        f"of {top1['set']} is {top1['percent']:.2f} %, published {top1['published']:.2f} %"
        for top1 in metadata.get("top1", ())
        if top1["passes"] is False  # None where nothing was published
    ]
    gate = f"the model gate was not passed (gate: warn): zero-shot top-1 {'; '.join(failed)}"
    return [*([gate] if failed else []), *metadata.get("remarks", ())]


def metric_lines(metadata: Mapping[str, Any]) -> list[str]:
    """A line for each metric beyond the standard ones: what it measures, and its direction."""
    return [
        f"{name}: {metric['title']}; {'higher' if metric['higher_is_better'] else 'lower'} is better."
        for name, metric in metadata.get("metrics", {}).items()
        if name not in ROW_COLUMNS
    ]


def lost_pictures(metadata: Mapping[str, Any], max_images: int | None = None) -> list[str]:
    """A line with the count of each set's images that cannot be read, then one for each of these images.

    Args:
        metadata: its `bad_samples` are `shard key: reason` by set.
        max_images: how many images of a set are listed; all if None.
    """
    lines = []
    for name, reasons in metadata.get("bad_samples", {}).items():
        listed = reasons[:max_images]
        are = "is" if len(reasons) == 1 else "are"
        lines.append(f"{name}: {many(len(reasons), 'picture')} cannot be read and {are} left out")
        lines += [f"- {one_line(reason)}" for reason in listed]
        if len(listed) < len(reasons):
            lines.append(f"- and {len(reasons) - len(listed):,} more")
    return lines


def around(tables: str, metadata: Mapping[str, Any]) -> str:
    """Tables in Markdown under a title, between the remarks and the images that were left out.

    Args:
        tables: Markdown with a line break at the end.
        metadata: names the runs or the encoder in the title.
    """
    source = many(len(metadata["runs"]), "run") if metadata.get("runs") else metadata.get("encoder")
    title = f"# Results of {literal(source)}" if source else "# Results"

    before = "\n\n".join([title, *map(literal, remarks(metadata))]) + "\n"
    parts = (metric_lines(metadata), lost_pictures(metadata))
    after = ["\n".join(map(literal, lines)) + "\n" for lines in parts if lines]
    run = [f"Run {metadata['run']}.\n"] if metadata.get("run") else []
    return "\n".join([before, tables, *after, *run])


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
        # shard and key alone tell images apart: the reason may read otherwise on another machine
        if len({frozenset(reason.partition(": ")[0] for reason in reasons) for reasons in by_run.values()}) == 1:
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
    return {
        run: metadata.get("bad_samples", {}).get(set_name, [])
        for run, rows, metadata in runs
        if set_name in metadata.get("bad_samples", {})
        or any(set_name in (row.id_set, row.ood_set) for row in single(rows))
    }
