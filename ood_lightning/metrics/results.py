"""One row per detector, ID set and OOD set: what tables and plots are made of. Reading rows needs no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from statistics import fmean
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

MEAN = "mean"  # the ood_set of a row that averages over sets
METRICS = ("auroc", "fpr_ood_at_id_tpr95", "fpr_id_at_ood_tpr95", "aupr_in", "aupr_out")
WITH_INTERVAL = METRICS[:3]
_BOUNDS = tuple(f"{metric}_{side}" for metric in WITH_INTERVAL for side in ("low", "high"))
# of a mean, these cannot be told from those of the single sets
_UNTOLD = dict.fromkeys(("auroc_std", "fpr_ood_at_id_tpr95_std", *_BOUNDS, "resamples"))
# None where they do not apply; files written without them are read
_OPTIONAL = ("auroc_std", "fpr_ood_at_id_tpr95_std", "orders", *_BOUNDS, "resamples")


@dataclass(frozen=True)
class Result:
    """How well one detector tells one ID set from one OOD set. Metrics are fractions in [0, 1].

    Args:
        detector: its name in the config.
        id_set: name of the ID (or covariate-shifted ID) set.
        ood_set: name of the OOD set, or ``"mean"``.
        auroc: higher is better; 0.5 is chance.
        fpr_ood_at_id_tpr95: OOD images accepted while 95 % of ID are kept; lower is better.
        fpr_id_at_ood_tpr95: ID images rejected while 95 % of OOD are caught; lower is better.
        aupr_in: step rule, ID positive; higher is better.
        aupr_out: step rule, OOD positive; higher is better.
        n_id: ID images scored; in a mean over streams of thinned sets, of the smallest stream.
        n_ood: OOD images scored; in a mean, of all its sets together.
        supervision: what the detector was given, such as ``("id_names", "llm")``.
        stream: whether it learned from the test stream.
        group: the sets it is averaged with, such as ``"near"``; empty if none.
        recipe: hash of the label set or settings that the scores were made with.
        auroc_std: sample standard deviation over the orders of a test stream; None without a stream, in a mean over
            sets, and for one order.
        fpr_ood_at_id_tpr95_std: as above.
        orders: random orders of the test stream that the metrics are means over; None without a stream.
        auroc_low: lower end of the 95 % bootstrap interval; None with a stream, whose scores hang together, and where
            no intervals were asked for. As the five below.
        auroc_high: upper end.
        fpr_ood_at_id_tpr95_low: lower end.
        fpr_ood_at_id_tpr95_high: upper end.
        fpr_id_at_ood_tpr95_low: lower end.
        fpr_id_at_ood_tpr95_high: upper end.
        resamples: bootstrap resamples behind the intervals; None without.
    """

    detector: str
    id_set: str
    ood_set: str
    auroc: float
    fpr_ood_at_id_tpr95: float
    fpr_id_at_ood_tpr95: float
    aupr_in: float
    aupr_out: float
    n_id: int
    n_ood: int
    supervision: tuple[str, ...] = ()
    stream: bool = False
    group: str = ""
    recipe: str = ""
    auroc_std: float | None = None
    fpr_ood_at_id_tpr95_std: float | None = None
    orders: int | None = None
    auroc_low: float | None = None
    auroc_high: float | None = None
    fpr_ood_at_id_tpr95_low: float | None = None
    fpr_ood_at_id_tpr95_high: float | None = None
    fpr_id_at_ood_tpr95_low: float | None = None
    fpr_id_at_ood_tpr95_high: float | None = None
    resamples: int | None = None

    @property
    def kind(self) -> tuple[str, str, str, tuple[str, ...], bool]:
        """Rows of one kind differ in their OOD set alone, and have a mean."""
        return self.detector, self.id_set, self.recipe, self.supervision, self.stream

    def interval(self, metric: str) -> tuple[float, float] | None:
        """Bounds of the 95 % interval of a metric; None without."""
        low, high = getattr(self, f"{metric}_low", None), getattr(self, f"{metric}_high", None)
        return None if low is None or high is None else (low, high)

    def to_row(self) -> dict[str, str | float | int | bool | None]:
        """As JSON and CSV hold it: FPRs under their full names, supervision joined by ``+``."""
        row = {_column(field.name): getattr(self, field.name) for field in fields(self)}
        return row | {"supervision": "+".join(self.supervision)}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Result:
        """Read what :meth:`to_row` wrote, also after CSV has made everything text.

        Raises:
            ValueError: if a column is missing, unknown, or does not hold what it should.
        """
        names = {_column(field.name): field.name for field in fields(cls)}
        optional = {_column(name) for name in _OPTIONAL}
        unknown, missing = sorted(set(row) - set(names)), sorted(set(names) - set(row) - optional)
        if unknown or missing:
            raise ValueError(f"a result row has unknown columns {unknown} and lacks {missing}: expected {list(names)}")
        values: dict[str, Any] = {name: row.get(column) for column, name in names.items()}
        for name in METRICS:
            values[name] = float(values[name])
        for name in _OPTIONAL:
            kind = int if name in ("orders", "resamples") else float
            values[name] = None if values[name] in (None, "") else kind(values[name])
        values["n_id"], values["n_ood"] = int(values["n_id"]), int(values["n_ood"])
        if str(values["stream"]).lower() not in ("true", "false"):
            raise ValueError(f"column stream holds {values['stream']!r}, expected true or false")
        values["stream"] = str(values["stream"]).lower() == "true"
        values["supervision"] = tuple(part for part in values["supervision"].split("+") if part)
        return cls(**values)


def _column(name: str) -> str:
    """As files say it: `fpr_ood@id_tpr95_low`."""
    return name.replace("_at_", "@")


def evaluate(
    detector: str,
    id_set: str,
    ood_set: str,
    id_scores: Tensor,
    ood_scores: Tensor,
    *,
    supervision: Sequence[str] = (),
    stream: bool = False,
    group: str = "",
    recipe: str = "",
) -> Result:
    """Every metric of one pair of sets.

    Args:
        detector: its name.
        id_set: name of the ID set.
        ood_set: name of the OOD set.
        id_scores: raw, finite, shape ``(n_id,)``; higher = more in-distribution.
        ood_scores: same scale, shape ``(n_ood,)``.
        supervision: see :class:`Result`, as the three below.
        stream: learned from the test stream.
        group: sets averaged together.
        recipe: hash.

    Returns:
        One row.

    Raises:
        EmptySideError: if either side holds no scores.
        NotFiniteScoresError: if a score is NaN or infinite.
    """
    from ood_lightning.functional import roc

    return Result(
        detector=detector,
        id_set=id_set,
        ood_set=ood_set,
        auroc=float(roc.auroc(id_scores, ood_scores)),
        fpr_ood_at_id_tpr95=float(roc.fpr_ood_at_id_tpr(id_scores, ood_scores, 0.95)),
        fpr_id_at_ood_tpr95=float(roc.fpr_id_at_ood_tpr(id_scores, ood_scores, 0.95)),
        aupr_in=float(roc.aupr_in(id_scores, ood_scores)),
        aupr_out=float(roc.aupr_out(id_scores, ood_scores)),
        n_id=len(id_scores),
        n_ood=len(ood_scores),
        supervision=tuple(supervision),
        stream=stream,
        group=group,
        recipe=recipe,
    )


def means(results: Iterable[Result]) -> list[Result]:
    """Unweighted means over OOD sets; sets are never pooled, so a large one counts as much as a small one.

    Per detector and ID set (and recipe, supervision, stream): one row for each named group, then one over all sets,
    whose ``group`` is empty. A set listed in two groups counts once in the latter.

    Args:
        results: rows of single OOD sets. Earlier means may be among them: they are not averaged again, but one that
            still holds lends the interval that cannot be told from those of the single sets.

    Returns:
        Rows with ``ood_set`` ``"mean"``, in order of first appearance; ``n_ood`` is the sum.

    Raises:
        ValueError: if one set comes with two different results, or the ID counts differ.
    """
    tables: dict[tuple[object, ...], list[Result]] = {}
    earlier: dict[Result, Result] = {}
    for result in results:
        if result.ood_set == MEAN:
            earlier[replace(result, **_UNTOLD)] = result  # type: ignore[arg-type]
        else:
            tables.setdefault(result.kind, []).append(result)
    rows: list[Result] = []
    for table in tables.values():
        for group in dict.fromkeys(result.group for result in table if result.group):
            rows.append(_mean([result for result in table if result.group == group], group))
        rows.append(_mean(table, ""))
    return [earlier.get(row, row) for row in rows]


def single(results: Iterable[Result]) -> list[Result]:
    """Rows of single OOD sets, without means."""
    return [result for result in results if result.ood_set != MEAN]


def _mean(table: list[Result], group: str) -> Result:
    sets: dict[str, Result] = {}
    for result in table:
        result = replace(result, group=group)
        where = f"{result.detector!r} on {result.id_set!r}"
        if sets.setdefault(result.ood_set, result) != result:
            raise ValueError(f"{where} has two different results for {result.ood_set!r}: keep one")
        if result.n_id != table[0].n_id and not result.stream:  # a stream may leave images out to keep its mixture
            raise ValueError(f"{where} counts {table[0].n_id} ID images in one row and {result.n_id} in another")
    values: dict[str, float] = {name: fmean(getattr(result, name) for result in sets.values()) for name in METRICS}
    n_ood = sum(result.n_ood for result in sets.values())
    n_id = min(result.n_id for result in table)
    return replace(table[0], ood_set=MEAN, group=group, n_id=n_id, n_ood=n_ood, **values, **_UNTOLD)  # type: ignore[arg-type]
