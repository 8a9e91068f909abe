"""Numbers of settings: what a range holds, and that each number that a config can give has one."""

import inspect
import math
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any, get_args, get_type_hints

import lightning.pytorch as L
import pytest
from source_files import PACKAGE_FILES, ROOT

from ood_lightning.detectors.base import LabelDetector
from ood_lightning.errors import SettingsError
from ood_lightning.ranges import Count, Positive, Range, Ranged, Share, in_range

NAMED_IN_CONFIGS = (Ranged, L.LightningModule, L.LightningDataModule, L.Callback)
CHECKED_OTHERWISE = {("KNN", "k"): "1 or more, or -1 for all"}
MADE_BY_OURSELVES = {"FeatureData", "LabelSetTraining", "NoTexts"}  # bases, and an encoder that a detector makes


@dataclass(frozen=True)
class Mine(Ranged):
    neighbours: Count | None = None
    share: Share = 0.5


class Plain:
    @in_range
    def __init__(self, rate: Positive, steps: Annotated[int, Range(1, 10)] = 2, name: str = "") -> None:
        """Make one.

        Args:
            rate: of something.
            steps: of something.
            name: of it.
        """
        self.rate, self.steps, self.name = rate, steps, name


@pytest.mark.parametrize(
    ("numbers", "inside", "outside"),
    [
        (Range(0, 1), [0, 0.5, 1], [-1e-9, 1.1, math.nan, math.inf]),
        (Range(0, 1, True, True), [1e-9, 0.5], [0, 1]),
        (Range(0, math.inf, True), [1e-300, 1e300], [0, -0.0, math.inf, math.nan]),
        (Range(1, 10), [1, 10], [0, 11, 10**400]),
    ],
)
def test_what_a_range_holds(numbers: Range, inside: list[float], outside: list[float]):
    assert all(number in numbers for number in inside)
    assert not any(number in numbers for number in outside)


def test_a_dataclass_refuses_and_says_what_it_was_given_and_what_it_takes():
    assert Mine(neighbours=3).neighbours == 3
    assert Mine().neighbours is None
    with pytest.raises(SettingsError, match=r"Mine: neighbours is 0, expected 1 to 2,147,483,647"):
        Mine(neighbours=0)
    with pytest.raises(SettingsError, match=r"Mine: share is nan, expected 0 to 1"):
        Mine(share=math.nan)


def test_an_init_refuses_by_name_and_by_position():
    made = Plain(0.1, steps=10)
    assert (made.rate, made.steps, made.name) == (0.1, 10, "")
    with pytest.raises(SettingsError, match="Plain: rate is -1, expected a finite number above 0"):
        Plain(-1)
    with pytest.raises(SettingsError, match="Plain: steps is 11, expected 1 to 10"):
        Plain(1.0, steps=11)
    assert list(inspect.signature(Plain.__init__).parameters) == ["self", "rate", "steps", "name"]


def test_a_detector_of_ones_own_is_checked_too():
    @dataclass(frozen=True)
    class Own(LabelDetector):
        k: Annotated[int, Range(1, 5)] = 1

        def __call__(self, features: Any, labels: Any) -> Any:
            return features

    with pytest.raises(SettingsError, match="k is 6, expected 1 to 5"):
        Own(k=6)


def classes() -> list[type]:
    """Those of the package that a config can name."""
    modules = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in PACKAGE_FILES]
    found_in = [import_module(name) for name in modules if not name.endswith(("__main__", "__init__"))]
    defined = {cls for module in found_in for cls in vars(module).values() if inspect.isclass(cls)}
    ours = {cls for cls in defined if cls.__module__.startswith("ood_lightning.")}
    return sorted((cls for cls in ours if issubclass(cls, NAMED_IN_CONFIGS)), key=lambda cls: cls.__qualname__)


def test_every_number_that_a_config_can_give_has_a_range():
    without = []
    n_numbers = 0
    for cls in classes():
        if cls.__name__ in MADE_BY_OURSELVES or inspect.isabstract(cls):
            continue
        hints = get_type_hints(cls.__init__, include_extras=True)
        for name, hint in hints.items():
            parts = [hint, *get_args(hint)]
            if int not in parts and float not in parts:
                continue
            extras = [extra for part in parts for extra in getattr(part, "__metadata__", ())]
            n_numbers += 1
            if not any(isinstance(extra, Range) for extra in extras) and (cls.__name__, name) not in CHECKED_OTHERWISE:
                without.append(f"{cls.__name__}.{name}")

    assert without == []
    assert n_numbers > 80
