"""What a detector brings along: a head that says what it computes, a config, and a test."""

import inspect
import pkgutil
from importlib import import_module
from pathlib import Path

import pytest

import ood_lightning.detectors
from ood_lightning.detectors.base import Detector, StreamDetector

ROOT = Path(__file__).parents[2]
MODULES = [
    import_module(f"{ood_lightning.detectors.__name__}.{m.name}")
    for m in pkgutil.iter_modules(ood_lightning.detectors.__path__)
]
EVERY = [
    member
    for module in MODULES
    for member in vars(module).values()
    if inspect.isclass(member)
    and issubclass(member, Detector | StreamDetector)
    and not inspect.isabstract(member)
    and member.__module__ == module.__name__
]
named = pytest.mark.parametrize("detector", EVERY, ids=lambda d: d.__name__)


def test_there_are_detectors():
    assert len(EVERY) >= 15


@named
def test_the_head_names_equation_source_and_expected_numbers(detector: type):
    head = inspect.getmodule(detector).__doc__ or ""
    first, *rest = head.splitlines()
    assert first.startswith(f"{detector.__name__}: "), first
    assert any(line.startswith("    ") and "S(x)" in line for line in rest), "no equation"
    for part in ("Source: ", "Expected: "):
        assert any(line.startswith(part) for line in rest), f"no {part!r}"


@named
def test_a_config_names_it(detector: type):
    path = f"class_path: {detector.__module__}.{detector.__name__}\n"
    parts = [*ROOT.glob("configs/detectors/*.yaml"), *ROOT.glob("configs/streams/*.yaml")]
    assert any(path in file.read_text() + "\n" for file in parts)


@named
def test_a_test_uses_it(detector: type):
    tests = [file.read_text() for file in ROOT.glob("tests/detectors/test_*.py") if file != Path(__file__)]
    assert any(f"{detector.__name__}(" in text for text in tests)
