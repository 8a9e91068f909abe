"""The first thing on the page: what was compared, what came out, how sure it is, and what it does not say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ood_lightning.metrics.intervals import NAME_SUPERVISION
from ood_lightning.metrics.results import means, single
from ood_lightning.plurals import many
from ood_lightning.report.remarks import remarks
from ood_lightning.report.tables import OURS, percent

if TYPE_CHECKING:
    from ood_lightning.metrics.intervals import Comparison
    from ood_lightning.metrics.results import Result
    from ood_lightning.reasons.stored import Reasons


@dataclass(frozen=True)
class Verdict:
    """The verdict in words.

    Args:
        sentences: three, or fewer where there is less to say.
        cautions: what the numbers do not say.
        promises: what the runs say of their thresholds.
        remarks: what is to be known of the runs.
    """

    sentences: tuple[str, ...]
    cautions: tuple[str, ...]
    promises: tuple[str, ...]
    remarks: tuple[str, ...]


def verdict(
    results: Sequence[Result],
    comparisons: Sequence[Comparison],
    metadata: Mapping[str, Any],
    reasons: Sequence[Reasons],
) -> Verdict:
    """The verdict on all runs of a page.

    Args:
        results: of all runs.
        comparisons: of all runs.
        metadata: of the runs joined.
        reasons: of the runs that kept some.
    """
    promises = tuple(statement for one in reasons for statement in one.statements)
    of_runs = tuple(dict.fromkeys([*remarks(metadata), *(remark for one in reasons for remark in one.remarks)]))
    if not results:
        id_sets = _named(list(dict.fromkeys(one.id_set for one in reasons)))
        alone = f"No out-of-distribution set was scored, so nothing is compared: the page shows scores of {id_sets}."
        return Verdict((alone,), _cautions(results), promises, of_runs)

    id_set = results[0].id_set
    of_id_set = [row for row in results if row.id_set == id_set]
    best = sorted((row for row in means(of_id_set) if not row.group), key=lambda row: -row.metrics["auroc"].value)
    label_free = [row for row in best if not NAME_SUPERVISION & set(row.supervision)]
    named = [row for row in best if NAME_SUPERVISION & set(row.supervision)]

    sentences = (
        _compared(of_id_set, results, metadata),
        _came_out(label_free, named),
        _how_sure(of_id_set, comparisons),
    )
    return Verdict(tuple(one for one in sentences if one), _cautions(results), promises, of_runs)


def _compared(of_id_set: Sequence[Result], results: Sequence[Result], metadata: Mapping[str, Any]) -> str:
    """What was compared, on what."""
    detectors = dict.fromkeys(row.detector for row in of_id_set)
    sets = {row.ood_set: row.n_ood for row in single(of_id_set)}
    others = [name for name in dict.fromkeys(row.id_set for row in results) if name != of_id_set[0].id_set]

    encoder = f" with {metadata['encoder']}" if metadata.get("encoder") else ""
    shifted = f"; {_named(others)} {'is' if len(others) == 1 else 'are'} in the tables too" if others else ""
    n_id = max(row.n_id for row in of_id_set)
    n_ood = sum(sets.values())
    return (
        f"{many(len(detectors), 'detector')}{encoder} told {of_id_set[0].id_set} ({many(n_id, 'picture')}) from "
        f"{many(len(sets), 'out-of-distribution set')} ({many(n_ood, 'picture')}){shifted}."
    )


def _came_out(label_free: Sequence[Result], named: Sequence[Result]) -> str:
    """What came out: the best detector without names, and the best with names; AUROC decides."""
    if len(label_free) + len(named) == 1:
        [row] = [*label_free, *named]
        return f"{_with_supervision(row)} reaches {_measured(row)}."

    parts = [
        f"{which} class names {_with_supervision(rows[0])} is best, with {_measured(rows[0])}"
        for which, rows in (("Without", label_free), ("With", named))
        if rows
    ]
    if len(parts) == 2:
        parts[1] = f"with class names it is {_with_supervision(named[0])}, with {_measured(named[0], short=True)}"
    return "; ".join(parts) + "."


def _with_supervision(row: Result) -> str:
    return f"{row.detector} (given {', '.join(row.supervision) or 'nothing'})"


def _measured(row: Result, short: bool = False) -> str:
    """AUROC and `fpr_ood@id_tpr95` with their intervals, in words.

    Args:
        row: a mean.
        short: the words were said before.
    """
    auroc, fpr = percent(row, "auroc", interval=True), percent(row, OURS, interval=True)
    if short:
        return f"{auroc} % and {fpr} %"
    return f"a mean AUROC of {auroc} %, and {fpr} % of the OOD pictures accepted while 95 % of the ID pictures are kept"


def _how_sure(of_id_set: Sequence[Result], comparisons: Sequence[Comparison]) -> str:
    """How sure the order is, or else which set is hardest."""
    id_set = of_id_set[0].id_set
    pairs = [pair for pair in comparisons if pair.id_set == id_set]
    best = {row.detector: row.metrics["auroc"].value for row in means(of_id_set) if not row.group}
    if pairs:
        top = max(best.get(pair.label_free, 0.0) for pair in pairs)
        rival = max(best.get(pair.names_based, 0.0) for pair in pairs)
        pair = min(pairs, key=lambda p: (top - best.get(p.label_free, 0.0)) + (rival - best.get(p.names_based, 0.0)))
        low, high = 100 * pair.difference_low, 100 * pair.difference_high
        answer = "can" if low <= 0 <= high else "does not"
        return (
            f"{pair.label_free} minus {pair.names_based} is {100 * pair.difference:+.2f} points of AUROC [{low:+.2f}, "
            f"{high:+.2f}], which chance among the pictures alone {answer} explain (p = {pair.p_value:.3f}, two-sided "
            f"paired bootstrap, not corrected for {many(len(pairs), 'comparison')})."
        )

    leader = max(best, key=lambda name: best[name])
    rows = sorted(
        (row for row in single(of_id_set) if row.detector == leader), key=lambda row: row.metrics["auroc"].value
    )
    if len(rows) < 2:
        [row] = rows
        low, high = row.metrics["auroc"].interval or (0.0, 1.0)
        return (
            f"How sure this is: {many(row.n_id, 'ID picture')} and {many(row.n_ood, 'OOD picture')} leave the AUROC "
            f"within {100 * (high - low):.1f} points."
        )
    return (
        f"Hardest for {leader} is {rows[0].ood_set} with an AUROC of {percent(rows[0], 'auroc', True)} %, easiest "
        f"{rows[-1].ood_set} with {percent(rows[-1], 'auroc', True)} %."
    )


def _cautions(results: Sequence[Result]) -> tuple[str, ...]:
    """What the numbers do not say."""
    lines = []
    if any(row.resamples for row in results):
        lines.append(
            "Intervals are 95 % bootstrap intervals over the pictures. They say nothing of another seed, other "
            "prompts, another encoder or other sets."
        )
    if results:
        lines += [
            f"FPR95 here is {OURS}: OOD pictures accepted while 95 % of the ID pictures are kept. Other papers count "
            f"otherwise; the switch of the large table shows their numbers. The two directions never share a column.",
            "Means are over sets, unweighted. Whether pictures of an OOD set show ID objects after all is not checked "
            "here, and such pictures make every number worse than it is.",
        ]

    lines.append(
        "A threshold that was set on these ID pictures keeps its promise only on pictures of the same kind; and a word "
        "beside a picture says what decided the score, not what the picture shows."
    )
    if any(row.stream for row in results):
        lines.append("Detectors that learn from the test stream saw the test pictures; they are listed apart.")
    return tuple(lines)


def _named(names: Sequence[str]) -> str:
    """`a, b and c`."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
