"""The progress bar of all long work outside the Trainer."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ood_lightning.plain_output import one_line

if TYPE_CHECKING:
    from tqdm import tqdm

LOG_INTERVAL_S = 30.0  # a batch job's log gets a line now and then, a terminal a moving bar


def bar(total: int | None, what: str, unit: str, delay_s: float = 0.0) -> tqdm:
    """A tqdm bar on standard error; use it as a context and call its `update`.

    Args:
        total: how many there are; without it the bar only counts.
        what: is done.
        unit: of the count; `B` is written with prefixes, such as MB.
        delay_s: the bar is not shown before.
    """
    from tqdm import tqdm

    watched = sys.stderr.isatty()

    return tqdm(
        total=total,
        desc=one_line(what),
        unit=unit,
        unit_scale=unit == "B",
        mininterval=0.1 if watched else LOG_INTERVAL_S,
        dynamic_ncols=watched,
        delay=delay_s,
    )
