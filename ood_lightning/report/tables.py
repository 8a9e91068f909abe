"""Tables from rows of results, as lines of cells and in Markdown. Percent appear in this room and only here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ood_lightning.metrics.columns import parts_of
from ood_lightning.metrics.intervals import Comparison
from ood_lightning.metrics.results import MEAN, Result, means, single

OURS, OTHER = "fpr_ood@id_tpr95", "fpr_id@ood_tpr95"
IN_FILES_ALONE = ("aupr_in", "aupr_out")  # no table shows them: chance depends on the sizes of the two sets
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


def grid(results: Sequence[Result], id_set: str, cell: Callable[[Result], str] = auroc_and_fpr) -> list[list[str]]:
    """Lines of one ID set: detectors against OOD sets, means of groups, mean of all; the longer side down the page.

    Args:
        results: of single sets, and means that lend their intervals.
        id_set: whose table.
        cell: what to say of a row.
    """
    averaged = means(result for result in results if result.id_set == id_set)
    mine = single(result for result in results if result.id_set == id_set)
    ood_sets = list(dict.fromkeys(result.ood_set for result in mine))
    groups = list(dict.fromkeys(result.group for result in mine if result.group))
    cells = {(r.detector, r.ood_set): cell(r) for r in mine}
    cells |= {(r.detector, f"{MEAN} {r.group}".strip()): cell(r) for r in averaged}
    columns = [*ood_sets, *(f"{MEAN} {group}" for group in groups), MEAN]
    lines = [["detector", "given", *columns]]
    for name, given in {result.detector: _given(result) for result in mine}.items():
        lines.append([name, given, *(cells.get((name, column), "-") for column in columns)])
    return _upright(lines)


def summary(results: Sequence[Result], id_set: str) -> list[list[str]]:
    """Lines of one ID set's means over all OOD sets: a detector a line, AUROC and both FPR95s with their intervals."""
    averaged = [r for r in means(result for result in results if result.id_set == id_set) if not r.group]
    metrics = shown_metrics(averaged)
    lines = [["detector", "given", *metrics.values()]]
    for r in averaged:
        lines.append([r.detector, _given(r), *(percent(r, metric, interval=True) for metric in metrics)])
    return lines


def shifts(results: Sequence[Result]) -> list[list[str]]:
    """Lines of the means of every ID set, the header first: how the detectors bear a shift of style."""
    averaged = {(r.detector, r.id_set): auroc_and_fpr(r) for r in means(results) if not r.group}
    id_sets = list(dict.fromkeys(id_set for _, id_set in averaged))
    detectors = list(dict.fromkeys(detector for detector, _ in averaged))
    return _upright([["detector", *id_sets], *([d, *(averaged.get((d, i), "-") for i in id_sets)] for d in detectors)])


def matrix(comparisons: Sequence[Comparison], id_set: str) -> list[list[str]]:
    """Lines of one ID set: differences in points with their p-values, label-free detectors against names-based ones."""
    cells = {
        (c.label_free, c.names_based): f"{100 * c.difference:+.2f}, p = {c.p_value:.3f}"
        for c in comparisons
        if c.id_set == id_set
    }
    free, told = (list(dict.fromkeys(names)) for names in zip(*cells, strict=True))
    return _upright([["difference to", *free], *([t, *(cells.get((f, t), "-") for f in free)] for t in told)])


def _given(result: Result) -> str:
    return ", ".join(result.supervision) or "nothing"


def _upright(lines: list[list[str]]) -> list[list[str]]:
    return lines if len(lines) >= len(lines[0]) else [list(column) for column in zip(*lines, strict=True)]


def kinds(results: Sequence[Result]) -> list[tuple[list[Result], str]]:
    """Rows of detectors that score each picture alone, then of those that learn from the test stream; and a title."""
    static, streams = [r for r in results if not r.stream], [r for r in results if r.stream]
    orders = " or ".join(str(n) for n in dict.fromkeys(r.orders or 1 for r in streams))
    how = f"; learns from the test stream; {orders} order{'s' * (orders != '1')}"
    return [kind for kind in ((static, ""), (streams, how)) if kind[0]]


def over_orders(how: str, metric: str) -> str:
    """What a title says of the single sets of streams; only AUROC and our FPR95 have a deviation."""
    return how + ", mean ± standard deviation" * bool(how and "std" in parts_of(metric))


def summary_table(results: Sequence[Result], id_set: str, how: str) -> Table:
    """The main table of an ID set."""
    n = len({result.ood_set for result in single(results) if result.id_set == id_set})
    behind = {result.resamples for result in means(results) if result.id_set == id_set and result.resamples}
    interval = f", 95 % bootstrap interval of {' or '.join(map(str, sorted(behind)))} resamples" if behind else ""
    return Table(f"ID set {id_set}: mean over {n} OOD set{'s' * (n > 1)} (%){interval}{how}", summary(results, id_set))


def shift_table(results: Sequence[Result], how: str) -> list[Table]:
    """The means of all ID sets where there are several."""
    if len({result.id_set for result in results}) == 1:
        return []
    return [Table(f"Mean over the OOD sets, by ID set: AUROC / {OURS} (%){how}", shifts(results))]


def comparison_table(comparisons: Sequence[Comparison], id_set: str) -> list[Table]:
    """The p-values of an ID set, if it has any, with their convention in the title."""
    mine = [comparison for comparison in comparisons if comparison.id_set == id_set]
    if not mine:
        return []
    title = f"ID set {id_set}: mean AUROC of label-free minus names-based detectors, in points"
    least = max(2 / (comparison.resamples + 1) for comparison in mine)
    note = (
        f"p: two-sided, by paired bootstrap: twice the smaller share of resamples in which one of the two is not "
        f"better. Least possible: {least:.3f}. Comparisons made: {len(mine)}; p is not corrected for their number."
    )
    return [Table(title, matrix(mine, id_set), note)]


def markdown(results: Sequence[Result], comparisons: Sequence[Comparison] = ()) -> str:
    """Every table in Markdown, single sets with their intervals."""
    tables: list[Table] = []
    for some, how in kinds(results):
        for id_set in dict.fromkeys(result.id_set for result in some):
            tables.append(summary_table(some, id_set, how))
            tables += comparison_table(comparisons, id_set) if not how else []
            tables += [
                Table(
                    f"ID set {id_set}: {name} (%){over_orders(how, metric)}",
                    grid(some, id_set, lambda r, m=metric: percent(r, m, interval=True)),  # type: ignore[misc]
                )
                for metric, name in shown_metrics(some).items()
            ]
        tables += shift_table(some, how)
    return "\n\n".join([*(paragraphs(table) for table in tables), CONVENTION]) + "\n"


def paragraphs(table: Table) -> str:
    """A table in Markdown, between its title and its note."""
    header, *rows = table.lines
    pipes = ["| " + " | ".join(line) + " |" for line in [header, ["---"] * len(header), *rows]]
    return "\n\n".join(part for part in (table.title, "\n".join(pipes), table.note) if part)
