"""Tables from rows of results, as lines of cells and in Markdown. Percent appear in this room and only here."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from ood_lightning.metrics.columns import parts_of
from ood_lightning.metrics.intervals import Comparison
from ood_lightning.metrics.results import MEAN, Result, means, single
from ood_lightning.plain_output import one_line
from ood_lightning.plurals import many

OURS, OTHER = "fpr_ood@id_tpr95", "fpr_id@ood_tpr95"
IN_FILES_ALONE = ("aupr_in", "aupr_out")  # no table shows them: their chance level depends on the sizes of the sets
CONVENTION = (
    f"In percent. Higher score = more ID. {OURS}: the share of OOD pictures accepted by the strictest threshold that "
    f"keeps at least 95 % of the ID pictures. {OTHER}: the share of ID pictures rejected by the mildest threshold that "
    f"catches at least 95 % of the OOD pictures. Means are over sets, unweighted."
)


class Table(NamedTuple):
    """Lines of cells under a title, the header first, with a note below."""

    title: str
    lines: list[list[str]]
    note: str = ""


def kinds(results: Sequence[Result]) -> list[tuple[list[Result], str]]:
    """Rows that share their tables, with the end of these tables' titles; none is empty.

    Rows of detectors that score each image alone, whose titles have no such end, then of those that learn from the test
    stream.
    """
    static = [result for result in results if not result.stream]
    streams = [result for result in results if result.stream]

    orders = " or ".join(str(n) for n in dict.fromkeys(result.orders or 1 for result in streams))
    plural = "" if orders == "1" else "s"
    of_streams = f"; learns from the test stream; {orders} order{plural}"
    return [(rows, title_end) for rows, title_end in ((static, ""), (streams, of_streams)) if rows]


def shown_metrics(results: Sequence[Result]) -> dict[str, str]:
    """Headings of the metrics that tables show, by name; further ones stand last."""
    names = dict.fromkeys(name for result in results for name in result.metrics if name not in IN_FILES_ALONE)
    return {name: "AUROC" if name == "auroc" else name for name in names}


def percent(result: Result, metric: str, interval: bool = False) -> str:
    """`95.72`, for a stream `95.72 ± 0.10` over its orders, on demand `95.72 [94.90, 96.50]`; `-` where missing."""
    if metric not in result.metrics:
        return "-"

    estimate = result.metrics[metric]
    value = f"{100 * estimate.value:.2f}"
    if interval and estimate.interval:
        low, high = estimate.interval
        return f"{value} [{100 * low:.2f}, {100 * high:.2f}]"
    return value if estimate.std is None else f"{value} ± {100 * estimate.std:.2f}"


def auroc_and_fpr(result: Result) -> str:
    """`95.72 / 34.03`: AUROC and `fpr_ood@id_tpr95`."""
    return f"{percent(result, 'auroc')} / {percent(result, OURS)}"


def metric_table(results: Sequence[Result], id_set: str, metric: str, title_end: str, interval: bool = False) -> Table:
    """One metric of every detector on every single set of an ID set, and its means."""
    title = title_of_sets(id_set, metric, shown_metrics(results)[metric], title_end)
    return Table(title, grid(results, id_set, lambda r: percent(r, metric, interval)))


def grid(results: Sequence[Result], id_set: str, cell: Callable[[Result], str] = auroc_and_fpr) -> list[list[str]]:
    """Lines of one ID set: detectors and OOD sets, means of groups, mean of all; the longer side down the page.

    Args:
        results: of single sets, and means that have intervals of their own.
        id_set: whose table.
        cell: text of one row.
    """
    of_id_set = [result for result in results if result.id_set == id_set]
    of_single_sets = single(of_id_set)

    cells = {(r.detector, r.ood_set): cell(r) for r in of_single_sets}
    cells |= {(r.detector, f"{MEAN} {r.group}".strip()): cell(r) for r in means(of_id_set)}

    groups = dict.fromkeys(f"{MEAN} {r.group}" for r in of_single_sets if r.group)
    columns = [*dict.fromkeys(r.ood_set for r in of_single_sets), *groups, MEAN]
    starts = {r.detector: [r.detector, _supervision(r)] for r in of_single_sets}
    return _upright(["detector", "supervision"], starts, columns, cells)


def _supervision(result: Result) -> str:
    return ", ".join(result.supervision) or "nothing"


def _upright(
    head: list[str], starts: Mapping[str, list[str]], columns: list[str], cells: Mapping[tuple[str, str], str]
) -> list[list[str]]:
    """Cells by line and column, `-` where there is none; the longer side down the page.

    Args:
        head: what the header begins with.
        starts: what each line begins with, by its name.
        columns: names of the others.
        cells: by names of line and column.
    """
    lines = [head + columns]
    lines += [[*start, *(cells.get((name, column), "-") for column in columns)] for name, start in starts.items()]
    return lines if len(lines) >= len(lines[0]) else [list(column) for column in zip(*lines, strict=True)]


def title_of_sets(id_set: str, metric: str, heading: str, title_end: str) -> str:
    """The title of a table of single sets, which says whether streams have a deviation behind their means."""
    with_deviation = title_end and "std" in parts_of(metric)
    return f"ID set {id_set}: {heading} (%){title_end}{', mean ± standard deviation' if with_deviation else ''}"


def summary_table(results: Sequence[Result], id_set: str, title_end: str) -> Table:
    """The main table of an ID set: its means over all OOD sets, one detector in a line, metrics with intervals."""
    of_id_set = [result for result in results if result.id_set == id_set]
    title = f"ID set {id_set}: mean over {many(len({r.ood_set for r in single(of_id_set)}), 'OOD set')} (%)"
    resamples = {mean.resamples for mean in means(of_id_set) if mean.resamples}
    if resamples:
        title += f", 95 % bootstrap interval of {' or '.join(map(str, sorted(resamples)))} resamples"

    over_all_sets = [mean for mean in means(of_id_set) if not mean.group]
    metrics = shown_metrics(over_all_sets)
    lines = [["detector", "supervision", *metrics.values()]]
    lines += [
        [mean.detector, _supervision(mean), *(percent(mean, metric, interval=True) for metric in metrics)]
        for mean in over_all_sets
    ]
    return Table(title + title_end, lines)


def shift_table(results: Sequence[Result], title_end: str) -> list[Table]:
    """The means of all ID sets where there are several: how much a shift of style costs each detector."""
    cells = {(mean.detector, mean.id_set): auroc_and_fpr(mean) for mean in means(results) if not mean.group}
    id_sets = list(dict.fromkeys(id_set for _, id_set in cells))
    lines = _upright(["detector"], {detector: [detector] for detector, _ in cells}, id_sets, cells)
    title = f"Mean over the OOD sets, by ID set: AUROC / {OURS} (%){title_end}"
    return [Table(title, lines)] if len(id_sets) > 1 else []


def comparison_table(comparisons: Sequence[Comparison], id_set: str) -> list[Table]:
    """Differences of label-free from names-based detectors of an ID set, if it has any; the note explains p-values."""
    of_id_set = [comparison for comparison in comparisons if comparison.id_set == id_set]
    if not of_id_set:
        return []

    title = f"ID set {id_set}: mean AUROC of label-free minus names-based detectors, in points"
    smallest = max(2 / (comparison.resamples + 1) for comparison in of_id_set)
    note = (
        f"p: two-sided, by paired bootstrap: twice the smaller share of resamples in which one of the two is not "
        f"better. Least possible: {smallest:.3f}. Comparisons made: {len(of_id_set)}; p is not corrected for their "
        f"number."
    )
    cells = {(c.names_based, c.label_free): f"{100 * c.difference:+.2f}, p = {c.p_value:.3f}" for c in of_id_set}
    label_free = list(dict.fromkeys(c.label_free for c in of_id_set))
    lines = _upright(["difference to"], {named: [named] for named, _ in cells}, label_free, cells)
    return [Table(title, lines, note)]


def markdown(results: Sequence[Result], comparisons: Sequence[Comparison] = ()) -> str:
    """Every table in Markdown, single sets with their intervals."""
    tables: list[Table] = []
    for rows, title_end in kinds(results):
        for id_set in dict.fromkeys(result.id_set for result in rows):
            tables.append(summary_table(rows, id_set, title_end))
            if not title_end:
                tables += comparison_table(comparisons, id_set)

            tables += [metric_table(rows, id_set, metric, title_end, interval=True) for metric in shown_metrics(rows)]
        tables += shift_table(rows, title_end)

    return "\n\n".join([*(paragraphs(table) for table in tables), CONVENTION]) + "\n"


def paragraphs(table: Table) -> str:
    """A table in Markdown, between its title and its note."""
    header, *rows = [[literal(cell) for cell in line] for line in table.lines]
    pipes = ["| " + " | ".join(line) + " |" for line in [header, ["---"] * len(header), *rows]]
    return "\n\n".join(part for part in (literal(table.title), "\n".join(pipes), table.note) if part)


def literal(text: str) -> str:
    r"""One line of Markdown in which a name is a name: no column, emphasis, code, link or HTML.

    Example:
        >>> literal("a|b <b>*c*</b>")
        'a\\|b \\<b>\\*c\\*\\</b>'
    """
    return re.sub(r"[\\|<*`]|\[(?=[^\]]*\]\()", r"\\\g<0>", one_line(text))
