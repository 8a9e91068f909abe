"""All rows of the table of benchmarks, each in a process of its own; writes benchmarks/RESULTS.md.

python -m benchmarks [ROW ...] [--small] [--out FILE]

Takes about an hour for all rows on two cores; nothing else should run. A row named alone is printed, not written.
"""

import argparse
import json
import platform
import subprocess
import sys
from datetime import date
from importlib import import_module, metadata
from pathlib import Path
from pkgutil import iter_modules

from benchmarks import compared
from benchmarks.rows import Measured, Row, measure

RESULTS = Path(__file__).parent / "RESULTS.md"
HEADER = "| row | sizes | way | ratio | wall ratio | CPU s | wall s | peak MiB | base and aim |"
RULE = "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | --- |"


def all_rows(small: bool) -> dict[str, Row]:
    """Every row by its name."""
    modules = [import_module(f"{compared.__name__}.{module.name}") for module in iter_modules(compared.__path__)]
    return {row.name: row for module in modules for row in module.rows(small)}


def lines(row: Row, measured: dict[str, Measured]) -> list[str]:
    """Lines of the table: one for every way."""
    written = []
    for i, (name, way) in enumerate(measured.items()):
        title, sizes, note = (row.title, row.sizes, f"{row.base}; {row.aim}") if i == 0 else ("", "", "")
        written.append(
            f"| {title} | {sizes} | {name} | {way.ratio:.2f} | {way.wall_ratio:.2f} | {way.cpu_s:.4g} "
            f"| {way.wall_s:.4g} | {way.peak_mib:,.0f} | {note} |"
        )
    return written


def heading() -> str:
    """Where, when and with what the table was made."""
    processor = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.machine(),
    )
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "lightning", "numpy", "pyarrow"))
    return (
        "# Benchmarks\n\n"
        f"Made by `python -m benchmarks` on {date.today()}: {processor}, no GPU, Python {platform.python_version()}, "
        f"{versions}.\nEvery ratio is of processor seconds to those of the row's first way in the same run, medians of "
        "alternating turns, on one\nthread unless the sizes say otherwise. The peak is resident memory above its level "
        "at the start of a turn.\n"
    )


def in_a_process(name: str, small: bool) -> dict[str, Measured]:
    """Measure one row where nothing else has used memory."""
    command = [sys.executable, "-m", "benchmarks", name, "--json", *(["--small"] if small else [])]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return {way: Measured(*numbers) for way, numbers in json.loads(answer.splitlines()[-1]).items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", help="names of rows; all without any")
    parser.add_argument("--small", action="store_true", help="tiny sizes, to test the benchmark itself")
    parser.add_argument("--out", type=Path, help=f"Markdown file; {RESULTS} when all rows run")
    parser.add_argument("--json", action="store_true", help="one row, in this process, as JSON")
    options = parser.parse_args()

    known = all_rows(options.small)
    unknown = [name for name in options.rows if name not in known]
    if unknown:
        parser.error(f"no row {', '.join(unknown)}; there are {', '.join(known)}")
    if options.json:
        print(json.dumps(measure(known[options.rows[0]])))
        return

    table = [HEADER, RULE]
    print("\n".join(table), flush=True)
    for name in options.rows or known:
        written = lines(known[name], in_a_process(name, options.small))
        table += written
        print("\n".join(written), flush=True)

    out = options.out or (None if options.rows or options.small else RESULTS)
    if out:
        out.write_text(heading() + "\n" + "\n".join(table) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
