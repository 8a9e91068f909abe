"""The highest resident memory of a command in a process of its own, above what its imports hold."""

import os
import resource
import subprocess
import sys
from pathlib import Path
from time import monotonic
from typing import NamedTuple

MEASURED = """
import sys
from importlib import import_module
from pathlib import Path
from ood_lightning.cli.main import main
for module in {modules}:
    import_module(module)
def mib(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) // 1024
Path("/proc/self/clear_refs").write_text("5")
imported = mib("VmRSS")
status = main(sys.argv[1:])
print("peak", mib("VmHWM") - imported)
sys.exit(status)
"""
IS_MEASURED = Path("/proc/self/clear_refs").exists()  # as on Linux


class Measured(NamedTuple):
    """A command that ended with status 0.

    Attributes:
        peak_mib: by how much resident memory rose at its highest above what the imports hold.
        output: what it printed, and then what it said on standard error.
    """

    peak_mib: int
    output: str


def measure(modules: list[str], arguments: list[str]) -> Measured:
    """Run a command; its figures are printed.

    Args:
        modules: what it imports, by and by.
        arguments: of the command line.
    """
    paths = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    started, cpu_before_s = monotonic(), _cpu_of_children_s()
    done = subprocess.run(
        [sys.executable, "-c", MEASURED.format(modules=modules), *arguments],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    peak = int(done.stdout.split("peak ")[1])
    cpu_s = round(_cpu_of_children_s() - cpu_before_s)
    print(arguments[0], peak, "MiB", round(monotonic() - started), "s,", cpu_s, "s of the processor")
    return Measured(peak, done.stdout + done.stderr)


def _cpu_of_children_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
