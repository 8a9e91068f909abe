"""Calibration: the scores of held-out ID images, the threshold that follows, and both promises in words."""

import math
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import ClassVar, Literal, Self

import torch
from torch import Tensor

from ood_lightning.data.artifacts.files import write_json
from ood_lightning.data.artifacts.typed import STRICT, Count, Share, decode_json
from ood_lightning.errors import CalibrationError, percent_hint
from ood_lightning.functional.conformal import (
    CONFIDENCE,
    certain_threshold,
    needed,
    needed_on_average,
    p_values,
    rank,
    rate_bound,
    rate_interval,
    threshold,
    without_nan,
)
from ood_lightning.plain_output import one_line, plain_text
from ood_lightning.plurals import many

FILE = "calibration.json"
Format = Literal["ood_lightning/calibration/1"]
FORMAT: Format = "ood_lightning/calibration/1"


@dataclass(frozen=True)
class _File:
    """What `calibration.json` says."""

    __pydantic_config__: ClassVar = STRICT

    format: Format
    tpr: Share
    n_images: Count
    source: str
    scores: tuple[float, ...]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Calibration:
    """Scores of ID images that were held out from everything that the detector learned from.

    Args:
        scores: one for each group of near-duplicates, ascending, finite; higher = more in-distribution.
        tpr: wanted true-positive rate: the share of new ID images to accept, in (0, 1].
        n_images: in those groups; the others are near-duplicates of the ones that count.
        source: where the images came from, in words.
        remarks: what else is known: what breaks the promises, what was tested.

    Raises:
        CalibrationError: there are no scores, they are not finite or not ascending, or a number is out of its range.
    """

    scores: tuple[float, ...]
    _: KW_ONLY
    tpr: float = 0.95
    n_images: int
    source: str
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.scores:
            raise CalibrationError("there are no calibration scores: hold at least one ID image out")
        if not all(map(math.isfinite, self.scores)):
            raise CalibrationError("calibration scores hold NaN or infinity: look at the images that they are of")
        if list(self.scores) != sorted(self.scores):
            raise CalibrationError("calibration scores are not in ascending order: sort them")
        if not 0 < self.tpr <= 1:
            raise CalibrationError(f"tpr is {self.tpr}, expected a fraction in (0, 1]{percent_hint(self.tpr)}")
        if self.n_images < self.n:
            raise CalibrationError(f"n_images is {self.n_images}, expected at least the {self.n} that have scores")

    @property
    def n(self) -> int:
        """Groups of near-duplicates: what both promises count."""
        return len(self.scores)

    @property
    def threshold(self) -> float:
        """The lowest accepted score; -inf where everything is accepted, since n is too small for the wanted rate."""
        return threshold(self._tensor(), self.tpr)

    def p_values(self, scores: Tensor) -> Tensor:
        """Conformal p-values of new images, float64, shape (B,); see `functional.conformal.p_values`.

        Raises:
            CalibrationError: a score is NaN.
        """
        return p_values(scores, self._tensor().to(scores.device))

    def accepted(self, scores: Tensor) -> Tensor:
        """Which new images are accepted, bool, shape (B,): those with ``p > 1 - tpr``, ``score >= threshold``.

        Raises:
            CalibrationError: a score is NaN.
        """
        return without_nan(scores) >= self.threshold

    def statements(self) -> list[str]:
        """What was done and what is promised, a sentence or two a line, for a terminal or a README."""
        return [self._made_from(), self._rule(), self._average(), *self._this_detector(), *map(one_line, self.remarks)]

    def write(self, path: str | Path) -> None:
        """Write as JSON; the same content gives the same bytes.

        Raises:
            UnwritableError: the disk is full, or the folder may not be written to.
        """
        numbers = {"tpr": self.tpr, "n_images": self.n_images}
        # bytes of file names that are no UTF-8 are spelt out: JSON readers refuse them
        words = {"source": plain_text(self.source), "remarks": [*map(plain_text, self.remarks)]}
        write_json(Path(path), {"format": FORMAT, **numbers, **words, "scores": self.scores})

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read what :meth:`write` wrote.

        Raises:
            CalibrationError: no such file, or something else; names the field that is missing or wrong.
        """
        try:
            text = Path(path).read_bytes()
        except OSError as error:
            raise CalibrationError(f"{path} cannot be read: {error.strerror}. Calibrate again") from None

        file = decode_json(text, _File, str(path), CalibrationError)
        try:
            return cls(file.scores, tpr=file.tpr, n_images=file.n_images, source=file.source, remarks=file.remarks)
        except CalibrationError as error:
            raise CalibrationError(f"{path}: {error}") from None

    def _tensor(self) -> Tensor:
        return torch.tensor(self.scores, dtype=torch.float64)

    def _made_from(self) -> str:
        line = f"Calibrated on {many(self.n, 'image')} from {one_line(self.source)}"
        if n_others := self.n_images - self.n:
            line += f", one of each group of near-duplicates ({many(n_others, 'other')} left out)"
        return line + "."

    def _rule(self) -> str:
        rejected = f"{100 - 100 * self.tpr:.10g} %"
        if self.threshold == -math.inf:
            return f"Every image is accepted, whatever it scores: there is no threshold. {self._to_get_one()}"
        return (
            f"An image is accepted if its score is {self.threshold:.6g} or more, that is, if its p-value is above "
            f"{rejected}. A tie counts in the image's favour, so ties accept more."
        )

    def _to_get_one(self) -> str:
        """What to do where there is no threshold."""
        wish, n_needed = f"{100 * self.tpr:.10g} %", needed_on_average(self.tpr)
        lower = f"with a tpr of {math.floor(1000 * self.n / (self.n + 1)) / 1000:g} or less"
        if n_needed is None:
            return f"No number of images gives one for {wish}: calibrate {lower}."
        n_more = many(n_needed - self.n, "more image")
        return f"For one at {wish}, calibrate on {n_more} ({n_needed:,} in all, no two near-duplicates), or {lower}."

    def _average(self) -> str:
        wish, k = f"{100 * self.tpr:.10g} %", rank(self.n, self.tpr)
        if k:
            exact = percent((self.n + 1 - k) / (self.n + 1), down=True)
            return (
                f"On average over calibration sets: at least {wish} of new images like these are accepted ({exact} "
                f"where no scores tie)."
            )

        possible, are = percent(self.n / (self.n + 1), down=True), "is" if self.n == 1 else "are"
        return (
            f"On average over calibration sets: {many(self.n, 'image')} {are} too few to promise {wish}; the most is "
            f"{possible}. {_missing(needed_on_average(self.tpr))}"
        )

    def _this_detector(self) -> list[str]:
        """The promise for the calibration set at hand: of this threshold, and of one for the wanted rate."""
        wish, sure = f"{100 * self.tpr:.10g} %", f"{100 * CONFIDENCE:g} % confidence"
        lines, k = [], rank(self.n, self.tpr)
        if k:
            low, high = rate_interval(self.n, k)
            lines.append(
                f"For this very detector: with {sure} at least {percent(rate_bound(self.n, k), down=True)} of new "
                f"images like these are accepted; with {sure} the true rate lies between {percent(low, down=True)} and "
                f"{percent(high, down=False)}, where no scores tie."
            )

        certain = certain_threshold(self._tensor(), self.tpr)
        if certain > -math.inf:
            lines.append(f"To accept {wish} with {sure} for this very detector, accept scores from {certain:.6g} on.")
        else:
            possible = percent(rate_bound(self.n, 1), down=True)
            lines.append(
                f"No threshold accepts {wish} with {sure} for this very detector: the most that "
                f"{many(self.n, 'image')} can promise so is {possible}, where scores from {self.scores[0]:.6g} on are "
                f"accepted. {_missing(needed(self.tpr))}"
            )
        return lines


def percent(share: float, *, down: bool) -> str:
    """A share in percent with one digit, rounded so that a promise says no more than what holds.

    Example:
        >>> percent(0.9999, down=True), percent(0.9501, down=False)
        ('99.9 %', '95.1 %')
    """
    thousandths = 1000 * share
    return f"{(math.floor(thousandths + 1e-9) if down else math.ceil(thousandths - 1e-9)) / 10:.1f} %"


def _missing(n_needed: int | None) -> str:
    if n_needed is None:
        return "No number of images promises 100 %."
    return f"{many(n_needed, 'image')} are needed, no two of them near-duplicates."
