"""How long commands take to start, and what another program on one of two cores costs.

python -m benchmarks.start [--small]

Wall seconds, the least of three calls each. The last lines are for steps of the demo's TEMI on two threads beside a
process that keeps one core busy, with OpenMP's own rule for waiting threads and with the one that commands set.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter

OURS = [sys.executable, "-m", "ood_lightning"]
COMMANDS = {
    "a misspelt key": ["fit", "--modle", "x"],
    "a config that is not there": ["fit", "--config", "none.yaml"],
    "`fit --help`": ["fit", "--help"],
    "`fit --help-all`": ["fit", "--help-all"],
    "`predict --help`": ["predict", "--help"],
}
STEPS = """
import sys
import torch
from time import perf_counter
from benchmarks.compared.temi import ours
from torch.nn.functional import normalize
n_steps = int(sys.argv[1])
image, neighbour = (normalize(torch.randn(256, 256), dim=1) for _ in range(2))
step = ours(256, 8, image, neighbour, slices=2)
step()
started = perf_counter()
for _ in range(n_steps):
    step()
print((perf_counter() - started) / n_steps)
"""


def seconds(command: Sequence[str], calls: int) -> float:
    """Wall seconds of a command, the least of some calls; its output is thrown away."""
    times = []
    for _ in range(calls):
        started = perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        times.append(perf_counter() - started)
    return min(times)


@contextmanager
def busy(is_busy: bool) -> Iterator[None]:
    """Inside, another process keeps one core busy, or none does."""
    other = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if is_busy else None
    try:
        yield
    finally:
        if other is not None:
            other.kill()
            other.wait()


def step_seconds(spin_count: str | None, n_steps: int) -> float:
    """Seconds of a step on two threads; None is OpenMP's own number of rounds that a waiting thread spins."""
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    environment.pop("GOMP_SPINCOUNT", None)
    if spin_count is not None:
        environment["GOMP_SPINCOUNT"] = spin_count
    command = [sys.executable, "-c", STEPS, str(n_steps)]
    return float(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="one call and two steps each: a test of itself")
    options = parser.parse_args()

    for name, words in COMMANDS.items():
        print(f"{name}: {seconds([*OURS, *words], 1 if options.small else 3):.2f} s", flush=True)
    for is_busy in (False, True):
        with busy(is_busy):
            for rule, spin_count in (("OpenMP's own rule", None), ("GOMP_SPINCOUNT=1000", "1000")):
                step = step_seconds(spin_count, 2 if options.small else 50)
                print(f"a step, {'one core busy' if is_busy else 'idle'}, {rule}: {step:.3f} s", flush=True)


if __name__ == "__main__":
    main()
