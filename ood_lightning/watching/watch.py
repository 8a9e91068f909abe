"""From predictions in the order of their time to evidence that they changed."""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby, islice
from typing import NamedTuple

import numpy as np
from xxhash import xxh3_128

from ood_lightning.errors import SettingsError
from ood_lightning.watching.false_discoveries import adjusted
from ood_lightning.watching.martingale import Wealth, bet_in_turn, draws, gaps, p_values_in_turn
from ood_lightning.watching.predictions import Prediction, Source, predictions
from ood_lightning.watching.state import Alarm, Period, Seen, State

BLOCK = 256  # rows that are watched at once
STREAM, CALIBRATION = 0, 1  # seeds of their draws


class CalledOOD(NamedTuple):
    """An image that is called OOD.

    Attributes:
        period: that it came in.
        path: of it, spelt on one line.
        p_value: by the calibration scores alone.
        adjusted: the smallest false discovery rate at which it is called OOD.
    """

    period: str
    path: str
    p_value: float
    adjusted: float


class Watch:
    """Takes predictions and keeps the state.

    Args:
        state: of an earlier process, or the first one.
        scores: of calibration, ascending.
        threshold: images with a lower score are rejected.
        rate: false discovery rate, for each period by itself; None: nothing is called OOD.

    Attributes:
        called_ood: images that are called OOD, by period.
        batches: images that this process has watched, by period.
    """

    def __init__(self, state: State, scores: tuple[float, ...], threshold: float, rate: float | None) -> None:
        self.state, self.called_ood = state, list[CalledOOD]()
        self.batches: Counter[str] = Counter()
        self._calibration, self._threshold, self._rate = np.array(scores), threshold, rate
        self._sorted = list(scores)
        self._labels = draws(CALIBRATION, 0, len(scores))[:, 0]
        self._wealth = Wealth(np.array(state.log), np.array(state.shares))
        self._current = ""  # period that is being watched
        self._low: list[tuple[str, float]] = []  # paths and p-values of its images that can be called OOD
        self._n_others = 0  # all its other images

    @property
    def line(self) -> float:
        """Value of the martingale at which there is an alarm."""
        return 1 / self.state.false_alarms

    def take(self, source: Source) -> Iterator[int]:
        """Watch what is new in a file, or all of standard input.

        Args:
            source: with its rows in the order of time.

        Yields:
            A number of rows, whenever these are in the state as a whole.

        Raises:
            SettingsError: the rows that were watched before are not those of the file, or a row cannot be used.
        """
        seen = self.state.sources.get(source.name, Seen(0, ""))
        rows, hashed = predictions(source), xxh3_128()
        for row in islice(rows, seen.rows):
            hashed.update(_identity(row))
        if seen.rows and hashed.hexdigest() != seen.hash:
            raise SettingsError(
                f"{source.path}: its first {seen.rows:,} rows are not those that were watched before. Put new rows "
                f"behind them, or into another file"
            )

        n_rows = seen.rows
        for period, of_period in groupby(rows, key=lambda row: row.day or source.period):
            while block := list(islice(of_period, BLOCK)):
                self._watch(block, self._begin(period))
                n_rows += len(block)
                for row in block:
                    hashed.update(_identity(row))
                if source.name:
                    self.state.sources[source.name] = Seen(n_rows, hashed.hexdigest())
                yield len(block)
        if not source.name:
            self.state.n_inputs += 1
            yield 0

    def finish(self) -> None:
        """Call images of the last period OOD."""
        self._call()

    def _begin(self, name: str) -> Period:
        """The period of a name; what came in the one before it is complete, if it is another one."""
        if self._current and self._current != name:
            self._call()
        self._current = name
        return self.state.period(name)

    def _watch(self, block: Sequence[Prediction], period: Period) -> None:
        """Bet on the images of a block, and count them."""
        readable = [row for row in block if row.score is not None]
        scores = [row.score for row in readable if row.score is not None]
        p_values = [(1 + bisect_right(self._sorted, score)) / (len(self._sorted) + 1) for score in scores]
        for row, p_value in zip(readable, p_values, strict=True):
            if row.p_value is not None and not math.isclose(row.p_value, p_value, rel_tol=1e-6):
                raise SettingsError(
                    f"{row.where}: its p-value is {row.p_value:g}, and this detector's calibration gives {p_value:g} "
                    f"for its score: it was predicted by another detector, or before it was calibrated again"
                )

        logs = self._bet(np.array(scores, dtype=np.float64))
        crossed = np.flatnonzero(logs >= math.log(self.line))
        if self.state.alarm is None and len(crossed):
            first = int(crossed[0])
            n_before = self.state.images - len(readable)
            self.state.alarm = Alarm(n_before + first + 1, period.name, readable[first].path)

        if len(logs):
            period.log_wealth = float(logs[-1])
            self.state.highest = max(self.state.highest, float(logs.max()))
        period.images += len(readable)
        period.unread += len(block) - len(readable)
        period.rejected += sum(score < self._threshold for score in scores)
        for row in readable:
            if row.concept:
                period.concepts[row.concept] = period.concepts.get(row.concept, 0) + 1
        self.batches[period.name] += len(readable)
        if self._rate is not None:
            pairs = zip(readable, p_values, strict=True)
            low = [(row.path, p_value) for row, p_value in pairs if p_value <= self._rate]
            self._low += low
            self._n_others += len(readable) - len(low)

    def _bet(self, scores: np.ndarray) -> np.ndarray:
        """Logarithm of the martingale after each image; the state has seen them afterwards."""
        state = self.state
        of_images = draws(STREAM, state.images, len(scores))  # (T, 2)
        of_gaps = gaps(scores, self._calibration, of_images[:, 0], self._labels)
        p_values, counts = p_values_in_turn(of_gaps, np.array(state.gaps), of_images[:, 1])
        logs, self._wealth = bet_in_turn(self._wealth, p_values)

        state.gaps, state.log = counts.tolist(), self._wealth.log.tolist()
        state.shares = self._wealth.shares.tolist()
        return logs

    def _call(self) -> None:
        """Benjamini and Hochberg on what came in the current period."""
        if self._rate is not None and self._low:
            # an image whose own p-value is above the rate is never called OOD, and of such only the number counts
            lowest = [p_value for _, p_value in self._low]
            rates = adjusted(np.concatenate([lowest, np.ones(self._n_others)]))
            for (path, p_value), smallest in zip(self._low, rates, strict=False):
                if smallest <= self._rate:
                    self.called_ood.append(CalledOOD(self._current, path, p_value, float(smallest)))
        self._low, self._n_others = [], 0


def _identity(row: Prediction) -> bytes:
    """What tells rows apart."""
    return f"{row.path}\0{row.score!r}\0{row.day}\0".encode("utf-8", "backslashreplace")
