"""Which numbers a setting may be: said in its annotation, checked where an object is made of settings.

    @dataclass(frozen=True)
    class Mine(LabelDetector):
        neighbours: Annotated[int, Range(1, 1000)] = 5  # Mine(neighbours=0): 'Mine: neighbours is 0, expected ...'

Detectors, label sources, corpora, encoders and judges are :class:`Ranged`; other classes put `in_range` on `__init__`.
"""

import math
from collections.abc import Callable, Mapping
from functools import cache, wraps
from inspect import signature
from typing import Annotated, Any, NamedTuple, ParamSpec, TypeVar, get_args, get_type_hints

from ood_lightning.errors import SettingsError, percent_hint

P = ParamSpec("P")
T = TypeVar("T")


class Range(NamedTuple):
    """The finite numbers from a lowest to a highest one; infinite ends are no numbers of it.

    Example:
        >>> 0.5 in Range(0, 1), math.nan in Range(0, 1), 0 in Range(0, 1, without_low=True)
        (True, False, False)
        >>> str(Range(1, 10_000)), str(Range(0, math.inf, without_low=True))
        ('1 to 10,000', 'a finite number above 0')
    """

    low: float
    high: float = math.inf
    without_low: bool = False
    without_high: bool = False

    def __contains__(self, number: object) -> bool:
        if not isinstance(number, int | float):
            return False
        above = number > self.low if self.without_low else number >= self.low
        without_high = self.without_high or math.isinf(self.high)
        return above and (number < self.high if without_high else number <= self.high)

    def __str__(self) -> str:
        if math.isinf(self.high):
            return f"a finite number{' above' if self.without_low else ', at least'} {self.low:,}"
        ends = ((self.low, self.without_low), (self.high, self.without_high))
        left_out = " and ".join(f"{end:,}" for end, out in ends if out)
        return f"{self.low:,} to {self.high:,}" + (f", without {left_out}" if left_out else "")


MANY = 2**31 - 1  # of things that are counted one by one
Count = Annotated[int, Range(1, MANY)]
CountOrZero = Annotated[int, Range(0, MANY)]
Seed = Annotated[int, Range(0, 2**32 - 1)]  # NumPy's generators take no larger one
Share = Annotated[float, Range(0, 1)]
Positive = Annotated[float, Range(0, math.inf, without_low=True)]
NotNegative = Annotated[float, Range(0)]


class Ranged:
    """Base of dataclasses that a config makes: refuses numbers outside the ranges of their annotations.

    A subclass with a `__post_init__` of its own begins it with `super().__post_init__()`.
    """

    def __post_init__(self) -> None:
        check_ranges(type(self), vars(self))


def in_range(function: Callable[P, T]) -> Callable[P, T]:
    """The same function, which refuses arguments outside the ranges of its annotations."""

    @wraps(function)
    def refusing(*args: P.args, **kwargs: P.kwargs) -> T:
        check_ranges(function, signature(function).bind(*args, **kwargs).arguments)
        return function(*args, **kwargs)

    return refusing


def check_ranges(owner: Any, values: Mapping[str, object]) -> None:
    """Refuse values outside the ranges of an owner's annotations; None is left to the type.

    Args:
        owner: a function or a class.
        values: by name; names without a range are passed over.

    Raises:
        SettingsError: naming the owner, the setting, its value and what is allowed.
    """
    for name, allowed in _ranges(owner).items():
        value = values.get(name)
        if value is not None and value not in allowed:
            hint = percent_hint(value) if allowed.high == 1 else ""
            raise SettingsError(f"{_name(owner)}: {name} is {value}, expected {allowed}{hint}")


@cache
def _ranges(owner: Any) -> dict[str, Range]:
    try:
        hints = get_type_hints(owner, include_extras=True)
    except NameError:  # a name that is imported for type checkers alone: a class of somebody's own
        return {}
    parts = ((name, part) for name, hint in hints.items() for part in (hint, *get_args(hint)))  # also of unions
    extras = ((name, extra) for name, part in parts for extra in getattr(part, "__metadata__", ()))
    return {name: extra for name, extra in extras if isinstance(extra, Range)}


def _name(owner: Any) -> str:
    """Of a class, or of the class whose `__init__` this is."""
    name: str = owner.__qualname__
    return name.removesuffix(".__init__")
