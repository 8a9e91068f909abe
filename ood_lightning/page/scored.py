"""Scores of a run as the page needs them: a distribution for each set and detector, and a row for each picture."""

from __future__ import annotations

import csv
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ood_lightning.data.artifacts.sheets import from_cell
from ood_lightning.data.rows.formats import BETWEEN
from ood_lightning.errors import SourceError
from ood_lightning.functional.plane import band_half_width
from ood_lightning.page.runs import DECISIONS, SCORES, PageRun
from ood_lightning.plain_output import one_line

if TYPE_CHECKING:
    from torch import Tensor

MAX_ROWS = 50_000  # pictures that a page lists, of all its runs together
MAX_POINTS = 2001  # scores of a set and detector; of more, evenly spaced order statistics: rates are off by 1/2000


class Row(NamedTuple):
    """A picture.

    Attributes:
        key: in its set, or its path.
        set: its set.
        is_id: whether that is one of in-distribution pictures.
        score: by the detector that the page explains.
        positive: its nearest positive; "" where there is none.
        negative: its nearest negative; "" where there is none.
    """

    key: str
    set: str
    is_id: bool
    score: float
    positive: str
    negative: str


def scores_of(run: PageRun, room: int) -> dict[str, Any]:
    """The scores of a run as plain data: sets, detectors with their distributions, and rows.

    One detector's scores are in memory at a time.

    Args:
        run: its folder has scores, or decisions, or neither.
        room: rows that the page may still hold.
    """
    if (run.folder / SCORES).is_file():
        return _of_scores(run, room)
    if (run.folder / DECISIONS).is_file():
        return _of_decisions(run, room)
    return {"sets": [], "detectors": [], "rows": None}


def _of_scores(run: PageRun, room: int) -> dict[str, Any]:
    from ood_lightning.data.artifacts.scores import StoredScores

    stored = StoredScores(run.folder / SCORES)
    explained = run.reasons.detector if run.reasons else ""
    if explained not in stored.detectors:
        explained = stored.detectors[0] if stored.detectors else ""

    roles: dict[str, bool] = {}
    for batch in stored.images():
        roles |= {name: role != "ood" for name, role in zip(batch["dataset"], batch["role"], strict=True)}

    detectors, rows = [], None
    sizes: dict[str, int] = {}
    for detector in stored.detectors:
        by_set = stored.column(detector)
        sizes = {name: len(scores) for name, scores in by_set.items()}
        detectors.append(_detector(detector, by_set, roles, run))
        if detector == explained:
            rows = _packed_rows(_rows(stored.images(), by_set), detectors[-1]["threshold"], room, sum(sizes.values()))

    return {"sets": _sets(sizes, roles, run), "detectors": detectors, "rows": rows, "explained": explained}


def _rows(batches: Iterator[Mapping[str, list[str]]], by_set: Mapping[str, Tensor]) -> Iterator[Row]:
    """Rows of all pictures; a set's scores come in the order of its rows."""
    at = dict.fromkeys(by_set, 0)
    columns = {name: scores.tolist() for name, scores in by_set.items()}
    for batch in batches:
        for key, name, role, positive, negative in zip(
            batch["key"], batch["dataset"], batch["role"], batch["top_positive"], batch["top_negative"], strict=True
        ):
            yield Row(key, name, role != "ood", columns[name][at[name]], positive, negative)
            at[name] += 1


def _of_decisions(run: PageRun, room: int) -> dict[str, Any]:
    """Of a `run`, whose rows stand in a CSV; the first set is the one that was held out."""
    import torch

    path = run.folder / DECISIONS
    id_set = run.reasons.id_set if run.reasons else ""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = list(csv.DictReader(file))
        id_set = id_set or lines[0]["set"]
        rows = [
            Row(
                from_cell(line["path"]),
                from_cell(line["set"]),
                from_cell(line["set"]) == id_set,
                float(line["score"]),
                from_cell(line["concepts"]).partition(BETWEEN)[0],
                "",
            )
            for line in lines
        ]
    except (KeyError, ValueError, IndexError, OSError, csv.Error) as error:
        raise SourceError(f"{path} is no whole file of decisions ({error}): give the same `run` again") from None

    name = run.reasons.detector if run.reasons else "detector"
    roles = {row.set: row.is_id for row in rows}
    by_set = {one: torch.tensor([row.score for row in rows if row.set == one], dtype=torch.float64) for one in roles}
    detector = _detector(name, by_set, roles, run)
    sizes = {one: len(scores) for one, scores in by_set.items()}
    packed = _packed_rows(iter(rows), detector["threshold"], room, len(rows))
    return {"sets": _sets(sizes, roles, run), "detectors": [detector], "rows": packed, "explained": name}


def _sets(sizes: Mapping[str, int], roles: Mapping[str, bool], run: PageRun) -> list[dict[str, Any]]:
    groups = {row.ood_set: row.group for row in run.results if row.group}
    return [
        {"name": name, "id": roles[name], "group": groups.get(name, ""), "n": n, "band": band_half_width(n, 0.975)}
        for name, n in sizes.items()
        if n
    ]


def _detector(name: str, by_set: Mapping[str, Tensor], roles: Mapping[str, bool], run: PageRun) -> dict[str, Any]:
    """A detector's distributions, and the threshold that the page begins with."""
    from ood_lightning.functional.ranked import id_threshold

    supervision = next((row.supervision for row in run.results if row.detector == name), ())
    id_scores = next((scores for one, scores in by_set.items() if roles[one] and len(scores)), None)
    threshold = None
    if run.reasons is not None and run.reasons.detector == name:
        threshold = run.reasons.threshold
    elif id_scores is not None:
        threshold = float(id_threshold(id_scores.sort().values))

    return {
        "name": name,
        "supervision": list(supervision),
        "threshold": threshold,
        "scores": {one: _packed_scores(scores) for one, scores in by_set.items() if len(scores)},
    }


def _packed_scores(scores: Tensor) -> str:
    """Ascending scores as float32 in base64; of many, order statistics that are evenly spaced."""
    import torch

    ascending = scores.sort().values
    if len(ascending) > MAX_POINTS:
        ranks = torch.linspace(0, len(ascending) - 1, MAX_POINTS, dtype=torch.float64).round().long()
        ascending = ascending[ranks]
    return b64encode(ascending.float().numpy().tobytes()).decode()


def _packed_rows(rows: Iterator[Row], threshold: float | None, room: int, n_rows: int) -> dict[str, Any]:
    """The rows that the page lists: all, or those on the wrong side of the threshold and others evenly spaced.

    Args:
        rows: all of them.
        threshold: pictures at or above it are accepted.
        room: rows that there is room for.
        n_rows: how many there are.
    """
    step = -(-2 * n_rows // max(room, 1)) if n_rows > room else 1
    kept: list[Row] = []
    n_wrong = 0
    for number, row in enumerate(rows):
        is_wrong = threshold is not None and (row.score >= threshold) != row.is_id
        if number % step == 0 or (is_wrong and n_wrong < room // 2):
            kept.append(row)
            n_wrong += is_wrong

    return _columns(kept[:room], n_rows)


def _columns(rows: Sequence[Row], n_rows: int) -> dict[str, Any]:
    """Rows as columns: texts that repeat are numbers of a list."""
    from array import array

    sets, words = _Numbers(), _Numbers()
    columns: dict[str, Any] = {
        "key": [one_line(row.key) for row in rows],
        "set": [sets[row.set] for row in rows],
        "positive": [words[row.positive] for row in rows],
        "negative": [words[row.negative] for row in rows],
        "score": b64encode(array("f", [row.score for row in rows]).tobytes()).decode(),
    }
    return {**columns, "sets": sets.texts, "words": words.texts, "of": n_rows}


class _Numbers:
    """Numbers of texts, in the order in which they come first."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def __getitem__(self, text: str) -> int:
        return self._numbers.setdefault(one_line(text), len(self._numbers))

    @property
    def texts(self) -> list[str]:
        return list(self._numbers)
