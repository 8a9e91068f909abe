"""Simulate how soon `watch` raises its alarm, and write the table of docs/watching.md.

python scripts/time_to_alarm.py          # rewrites what stands between the marks of the page
python scripts/time_to_alarm.py --check  # writes nothing; exit 1 if the page says something else

Scores of ID images are N(0, 1), those of OOD images N(-2.5, 1): AUROC 0.96. The alarm line is 100, 500 streams a row.
"""

import argparse
import re
import sys
from pathlib import Path

import numpy as np

from ood_lightning.watching.martingale import Wealth, bet_in_turn, draws, gaps, p_values_in_turn

PAGE = Path(__file__).parents[1] / "docs" / "watching.md"
MARK = re.compile(r"(<!-- numbers: time_to_alarm -->\n).*?(<!-- end of numbers -->)", re.DOTALL)
SHIFT, FALSE_ALARMS, LENGTH, STREAMS = -2.5, 0.01, 2000, 500
SHARES, CALIBRATIONS, QUIET = (0.0, 0.05, 0.2, 0.5), (60, 300, 1000), (0, 1000)


def alarms(share: float, n: int, quiet: int) -> np.ndarray:
    """Image after the change at which each stream's line was crossed, shape (STREAMS,); inf where it was not.

    Args:
        share: of the images after the change that are OOD.
        n: calibration images.
        quiet: images before the change.
    """
    rng = np.random.default_rng([n, quiet, round(100 * share)])
    p_values = np.empty((STREAMS, quiet + LENGTH))
    for row in range(STREAMS):
        calibration, scores = np.sort(rng.normal(size=n)), rng.normal(size=quiet + LENGTH)
        scores[quiet:] += SHIFT * (rng.random(LENGTH) < share)
        drawn = draws(row, 0, len(scores))
        fell = gaps(scores, calibration, drawn[:, 0], rng.random(n))
        p_values[row], _ = p_values_in_turn(fell, np.zeros(n + 1, dtype=np.int64), drawn[:, 1])

    logs, _ = bet_in_turn(Wealth.at_first(STREAMS), p_values)
    crossed = logs >= -np.log(FALSE_ALARMS)
    return np.where(crossed.any(axis=1), crossed.argmax(axis=1) + 1.0 - quiet, np.inf)


def table() -> str:
    """In Markdown."""
    lines = [
        "| calibration | before the change | OOD after it | alarm within 2,000 images | images until then, median |"
    ]
    lines.append("| --- | --- | --- | --- | --- |")
    for n in CALIBRATIONS:
        for quiet in QUIET:
            for share in SHARES:
                reached = alarms(share, n, quiet)
                median = np.median(reached)
                until = "-" if share == 0 else f"{median:,.0f}" if np.isfinite(median) else "more than 2,000"
                alarmed = f"{100 * np.isfinite(reached).mean():.1f} %"
                lines.append(f"| {n:,} | {quiet:,} | {100 * share:.0f} % | {alarmed} | {until} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write, or check."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="end with 1 if the page is stale; write nothing")
    check = parser.parse_args().check
    page = PAGE.read_text(encoding="utf-8")
    new = MARK.sub(lambda match: match[1] + table() + match[2], page)
    if check:
        return int(new != page)
    PAGE.write_text(new, encoding="utf-8")
    print(new[new.index("<!-- numbers") :])
    return 0


if __name__ == "__main__":
    sys.exit(main())
