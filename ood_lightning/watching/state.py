"""`watch`'s file: all that it knows of a stream, so that a later process goes on where this one ended."""

from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from annotated_types import Gt, Lt

from ood_lightning.data.artifacts.files import write_json
from ood_lightning.data.artifacts.typed import STRICT, Count, decode_json
from ood_lightning.errors import SettingsError
from ood_lightning.watching.martingale import HIGH, JUMPS, LOW, Wealth

Format = Literal["ood_lightning/watch/1"]


@dataclass
class Period:
    """What came in a period, such as a day.

    Args:
        name: such as `2026-11-28`.
        images: with a score.
        unread: that could not be read, and count nowhere else.
        rejected: by the detector's threshold.
        log_wealth: natural logarithm of the martingale after its last image.
        concepts: images by their nearest concept.
    """

    __pydantic_config__: ClassVar = STRICT

    name: str
    images: Count = 0
    unread: Count = 0
    rejected: Count = 0
    log_wealth: float = 0.0
    concepts: dict[str, Count] = field(default_factory=dict)


@dataclass(frozen=True)
class Alarm:
    """When the alarm line was crossed first.

    Args:
        image: the how many-th of the stream it was.
        period: that it came in.
        path: of it, spelt on one line.
    """

    __pydantic_config__: ClassVar = STRICT

    image: Count
    period: str
    path: str


@dataclass(frozen=True)
class Seen:
    """How much of a file was watched.

    Args:
        rows: from its first one on.
        hash: of these rows.
    """

    __pydantic_config__: ClassVar = STRICT

    rows: Count
    hash: str


@dataclass
class State:
    """What a watch knows; its size grows with periods and concepts, not with images.

    Args:
        calibration: hash of the calibration scores.
        false_alarms: probability, at most, that the alarm line is ever crossed where nothing changed.
        gaps: images by gap of the calibration scores, n + 1 of them.
        log: see :class:`Wealth`.
        shares: see :class:`Wealth`.
        highest: natural logarithm of the largest value of the martingale so far.
        alarm: None where the line was not crossed yet.
        periods: in the order in which they were watched.
        sources: files by their names.
        n_inputs: how often standard input was watched.
        format: of this file.
    """

    __pydantic_config__: ClassVar = STRICT

    calibration: str
    false_alarms: Annotated[float, Gt(0), Lt(1)]
    gaps: list[Count]
    log: list[float]
    shares: list[list[float]]
    highest: float = 0.0
    alarm: Alarm | None = None
    periods: list[Period] = field(default_factory=list)
    sources: dict[str, Seen] = field(default_factory=dict)
    n_inputs: Count = 0
    format: Format = "ood_lightning/watch/1"

    @property
    def images(self) -> int:
        """With a score, so far."""
        return sum(self.gaps)

    @classmethod
    def begin(cls, scores: tuple[float, ...], false_alarms: float) -> Self:
        """Nothing was watched yet.

        Args:
            scores: of calibration.
            false_alarms: in (0, 1).
        """
        first = Wealth.at_first()
        return cls(hash_of(scores), false_alarms, [0] * (len(scores) + 1), first.log.tolist(), first.shares.tolist())

    def period(self, name: str) -> Period:
        """The period of a name, the last one if it is new."""
        for period in reversed(self.periods):
            if period.name == name:
                return period
        self.periods.append(Period(name))
        return self.periods[-1]

    def write(self, path: Path) -> None:
        """Write as JSON, whole or not at all.

        Raises:
            UnwritableError: the disk is full, or the folder may not be written to.
        """
        write_json(path, asdict(self))

    @classmethod
    def read(cls, path: Path, scores: tuple[float, ...], false_alarms: float) -> Self:
        """The state of an earlier process, or the first one where there is no file.

        Raises:
            SettingsError: the file is damaged, of a newer version, or of another calibration or rate.
        """
        if not path.exists():
            return cls.begin(scores, false_alarms)
        try:
            text = path.read_bytes()
        except OSError as error:
            raise SettingsError(f"{path} cannot be read: {error.strerror}") from None

        state = decode_json(text, cls, str(path), SettingsError)
        if state.calibration != hash_of(scores):
            raise SettingsError(
                f"{path} is of another detector, or of one that was calibrated otherwise: begin anew with another file"
            )
        if state.false_alarms != false_alarms:
            raise SettingsError(
                f"{path} was begun with false_alarms {state.false_alarms:g}, not {false_alarms:g}: a rate is chosen "
                f"before anything is seen. Keep it, or begin anew with another file"
            )

        n_bets = 1 + len(LOW) + len(HIGH)
        sizes = (len(state.gaps), len(state.log), [len(row) for row in state.shares])
        if sizes != (len(scores) + 1, len(JUMPS), [n_bets] * len(JUMPS)):
            raise SettingsError(f"{path} is damaged: a list has another length than was written. Begin anew")
        if state.alarm is not None and state.alarm.period not in [period.name for period in state.periods]:
            raise SettingsError(f"{path} is damaged: its alarm is of none of its periods. Begin anew")
        return state


def hash_of(scores: tuple[float, ...]) -> str:
    """Of calibration scores."""
    return sha256(repr(scores).encode()).hexdigest()
