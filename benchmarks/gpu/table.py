"""The rows of benchmarks/compared on a device, as far as their inputs can be made there."""

import signal
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from pkgutil import iter_modules
from time import monotonic
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from benchmarks import compared
from benchmarks.gpu.clock import timed
from benchmarks.rows import Row
from ood_lightning.errors import first_line

ONE_ROW_S, ALL_ROWS_S = 20, 90
MEASURED_ELSEWHERE = ("temi",)
MOVED = {
    *(torch.rand, torch.randn, torch.randint, torch.randperm, torch.normal),
    *(torch.zeros, torch.ones, torch.full, torch.empty, torch.eye, torch.arange, torch.tensor),
}


class OnDevice(TorchFunctionMode):
    """Inside, new tensors are made on the processor, random ones from its generators, and moved to a device.

    So rows that were written for a processor have the same inputs on the device.

    Args:
        device: to move them to.
    """

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.device = device

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        arguments: tuple[Any, ...] = (),
        options: dict[str, Any] | None = None,
    ) -> Any:
        """The function's own result, moved if it is new."""
        result = function(*arguments, **(options or {}))
        return result.to(self.device) if function in MOVED else result


def section(small: bool, device: torch.device) -> dict[str, Any]:
    """Seconds of every way of every row; a row that does not run on the device says why."""
    found: dict[str, Any] = {}
    start = monotonic()
    signal.signal(signal.SIGALRM, _too_long)
    for name, make in _rows(small):
        if monotonic() - start > ALL_ROWS_S:
            found[name] = {"does_not_run_there": "no time was left"}
            continue

        signal.alarm(ONE_ROW_S)
        try:
            found[name] = _measured(make(), device)
        except Exception as error:  # of rows that are about files or numpy, of any kind
            found[name] = {"does_not_run_there": f"{type(error).__name__}: {first_line(error)}"}
        finally:
            signal.alarm(0)
    return found


def _too_long(*args: object) -> None:
    raise TimeoutError(f"took more than {ONE_ROW_S} s")


def _rows(small: bool) -> Iterator[tuple[str, Callable[[], Row]]]:
    """Rows by name, each made when it is asked for; a module that cannot be imported counts as one."""
    for module in iter_modules(compared.__path__):
        if module.name in MEASURED_ELSEWHERE:
            continue
        try:
            rows = import_module(f"{compared.__name__}.{module.name}").rows(small)
        except ImportError as error:
            yield module.name, partial(_fail, error)
            continue
        for row in rows:
            yield row.name, partial(_itself, row)


def _fail(error: ImportError) -> Row:
    raise error


def _itself(row: Row) -> Row:
    return row


def _measured(row: Row, device: torch.device) -> dict[str, Any]:
    with OnDevice(device):
        ways = row.ways()

    spent = {way: timed(work, device, seconds=0.2, max_calls=5) for way, work in ways.items()}
    base = next(iter(spent.values()))
    measured = {way: {**one._asdict(), "ratio": one.s / base.s} for way, one in spent.items()}
    return {"title": row.title, "sizes": row.sizes, "ways": measured}
