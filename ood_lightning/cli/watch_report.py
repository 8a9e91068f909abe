"""What `watch` prints: the periods, the alarm, and what came more often or less often."""

import math

from ood_lightning.plurals import many
from ood_lightning.report.console import console, table
from ood_lightning.watching.concepts import CONFIDENCE, Changes, changes_in
from ood_lightning.watching.false_discoveries import fewest
from ood_lightning.watching.watch import Watch

SHOWN = 20  # periods, and concepts of a table
SHOWN_CALLED = 10


def report(watched: Watch, n_calibration: int, rate: float | None) -> None:
    """Print all of it.

    Args:
        watched: after its last row.
        n_calibration: calibration images.
        rate: false discovery rate; None where there is none.
    """
    _print_periods(watched, rate)
    _print_alarm(watched)
    if rate is not None:
        _print_called(watched, n_calibration, rate)

    periods, alarm = watched.state.periods, watched.state.alarm
    names = [period.name for period in periods]
    to_show = {len(periods) - 1} | ({names.index(alarm.period)} if alarm is not None else set())
    for index in sorted(index for index in to_show if index > 0):
        _print_changes(changes_in(periods, index), index)


def _print_periods(watched: Watch, rate: float | None) -> None:
    periods = watched.state.periods
    columns = ["period", "pictures", "unreadable", "rejected", "martingale"]
    rows = [
        [
            period.name,
            f"{period.images:,}",
            f"{period.unread:,}",
            _percent(period.rejected, period.images),
            value(period.log_wealth),
        ]
        for period in periods[-SHOWN:]
    ]
    if rate is not None:
        columns.append(f"called OOD (FDR {100 * rate:g} %)")
        called = [sum(one.period == period.name for one in watched.called_ood) for period in periods[-SHOWN:]]
        new = [period.name in watched.batches for period in periods[-SHOWN:]]
        for row, n, is_new in zip(rows, called, new, strict=True):
            row.append(f"{n:,}" if is_new else "")

    title = f"the last {SHOWN} of {len(periods):,} periods" if len(periods) > SHOWN else many(len(periods), "period")
    console().print(table(title, columns, rows))


def _print_alarm(watched: Watch) -> None:
    state = watched.state
    now = value(state.periods[-1].log_wealth) if state.periods else "1"
    print(
        f"alarm line: {watched.line:,.6g}. Where nothing has changed, the chance that it is ever crossed is "
        f"{100 * state.false_alarms:g} % at most, on average over calibration sets."
    )
    so_far = f"the martingale is {now} now, and was {value(state.highest)} at most"
    if state.alarm is None:
        print(f"no alarm after {many(state.images, 'picture')}: {so_far}")
        return
    alarm = state.alarm
    print(f"ALARM: the line was crossed at picture {alarm.image:,}, in {alarm.period} ({alarm.path}); {so_far}")


def _print_called(watched: Watch, n_calibration: int, rate: float) -> None:
    largest = max(watched.batches.values(), default=0)
    print(
        f"{many(len(watched.called_ood), 'picture')} called OOD; of these {100 * rate:g} % at most are not, on average "
        f"over calibration sets and batches"
    )
    if (n_needed := fewest(n_calibration, largest, rate)) > 1:
        print(
            f"{many(n_calibration, 'calibration picture')} against {largest:,}: fewer than {n_needed:,} of them are "
            f"never called OOD, however low they score. Calibrate on more pictures, or watch smaller batches"
        )
    for one in sorted(watched.called_ood, key=lambda one: one.adjusted)[:SHOWN_CALLED]:
        print(f"  {one.period}: {one.path} (p {one.p_value:.4f}, adjusted {one.adjusted:.4f})")
    if len(watched.called_ood) > SHOWN_CALLED:
        print(f"  ... and {len(watched.called_ood) - SHOWN_CALLED:,} more; `--out FILE` keeps all of them")


def _print_changes(changes: Changes, n_periods: int) -> None:
    compared = f"against {many(n_periods, 'period')} before it"
    if not changes.n_before or not changes.n_after:
        print(f"{changes.period} {compared}: no concepts to compare")
        return

    title = (
        f"{changes.period} {compared}: {len(changes.changes):,} of {many(changes.n_concepts, 'concept')} grew or "
        f"shrank (intervals hold together with {100 * CONFIDENCE:g} %, approximately)"
    )
    rows = [
        [
            change.concept,
            "grew" if change.difference.value > 0 else "shrank",
            _percent(change.before, changes.n_before),
            _percent(change.after, changes.n_after),
            "{:+.1f} % ({:+.1f} to {:+.1f})".format(*(100 * end for end in change.difference)),
        ]
        for change in changes.changes[:SHOWN]
    ]
    columns = ("nearest concept", "", "before", "then", "difference of shares")
    console().print(table(title, columns, rows) if rows else title)
    if len(changes.changes) > SHOWN:
        print(f"... and {len(changes.changes) - SHOWN:,} more")


def value(logarithm: float) -> str:
    """A value of the martingale from its natural logarithm.

    Example:
        >>> value(0.0), value(math.log(1234.6)), value(1000.0)
        ('1', '1,235', '1e434')
    """
    exponent = logarithm / math.log(10)
    if abs(exponent) > 6:
        return f"1e{math.floor(exponent)}"
    return f"{math.exp(logarithm):,.3g}" if exponent < 3 else f"{math.exp(logarithm):,.0f}"


def _percent(n: int, total: int) -> str:
    return f"{100 * n / total:.1f} %" if total else "-"
