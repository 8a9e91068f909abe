"""Check and measure on an accelerator, or on the processor where there is none; writes one JSON file.

python -m benchmarks.gpu [SECTION ...] [--small] [--out FILE]

Each section runs in a process of its own, with a limit: what one loses, the others do not. With all of them it takes
less than eight minutes on one H100. Ends with status 1 if a section failed or two devices did not agree.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module, metadata
from pathlib import Path
from time import monotonic
from typing import Any

SECTIONS = {  # module.function, and seconds that it may take
    "agreement": ("agreement.section", 90),
    "temi": ("temi.section", 90),
    "temi-two-processes": ("temi.section_two", 90),
    "similarity": ("similarity.section", 90),
    "towers-base": ("towers.section_base", 90),
    "towers-huge": ("towers.section_huge", 120),
    "table": ("table.section", 120),
}
ALL_S = 460  # of all sections together
SMALL_S = 300  # of each section as a test, on a processor that may be busy
PACKAGES = ("torch", "lightning", "pytorch-lightning", "open_clip_torch", "timm", "numpy", "triton")


def device_and_versions() -> dict[str, Any]:
    """What the numbers were measured with."""
    import torch

    device = str(_device())
    about: dict[str, Any] = {"device": device, "name": platform.processor() or platform.machine()}
    if device == "cuda":
        properties = torch.cuda.get_device_properties(0)
        about |= {
            "name": properties.name,
            "memory_mib": properties.total_memory // 2**20,
            "capability": f"{properties.major}.{properties.minor}",
            "cuda": torch.version.cuda,
        }
    return about | {"python": platform.python_version(), "versions": dict(_versions()), "threads": os.cpu_count()}


def _device() -> Any:
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _versions() -> Iterator[tuple[str, str]]:
    for name in PACKAGES:
        try:
            yield name, metadata.version(name)
        except metadata.PackageNotFoundError:
            continue


def in_a_process(name: str, small: bool, limit_s: float) -> dict[str, Any]:
    """A section's numbers, or why there are none."""
    command = [sys.executable, "-m", "benchmarks.gpu", name, "--json", *(["--small"] if small else [])]
    start = monotonic()
    section = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        written, errors = section.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        os.killpg(section.pid, signal.SIGKILL)  # with the processes that it started
        section.communicate()
        return {"failed": f"took more than {limit_s:.0f} s", "s": round(monotonic() - start, 1)}

    spent = {"s": round(monotonic() - start, 1)}
    if section.returncode:
        return {"failed": errors[-2000:], **spent}
    return {"results": json.loads(written.splitlines()[-1]), **spent}


def plain(value: Any) -> Any:
    """Numbers as JSON has them: named tuples become mappings."""
    if hasattr(value, "_asdict"):
        value = value._asdict()
    return {name: plain(one) for name, one in value.items()} if isinstance(value, dict) else value


def disagreements(value: Any, path: str = "") -> Iterator[str]:
    """Names of comparisons in which two devices, or one process and two, differ."""
    if isinstance(value, dict):
        if value.get("agrees") is False:
            yield path
        for name, one in value.items():
            yield from disagreements(one, f"{path}/{name}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", help=f"of {', '.join(SECTIONS)}; all without any")
    parser.add_argument("--small", action="store_true", help="tiny sizes, to test the script itself")
    parser.add_argument("--out", type=Path, default=Path(os.environ.get("OUT", "."), "gpu.json"), help="JSON file")
    parser.add_argument("--json", action="store_true", help="one section, in this process")
    options = parser.parse_args()
    if unknown := set(options.sections) - set(SECTIONS):
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")

    if options.json:
        module, _, function = SECTIONS[options.sections[0]][0].partition(".")
        section = getattr(import_module(f"benchmarks.gpu.{module}"), function)
        print(json.dumps(plain(section(options.small, _device()))))
        return 0

    start, failed = monotonic(), False
    report: dict[str, Any] = {"small": options.small, **device_and_versions(), "sections": {}}
    for name in options.sections or SECTIONS:
        limit_s = SMALL_S if options.small else min(SECTIONS[name][1], ALL_S - (monotonic() - start))
        row = in_a_process(name, options.small, limit_s) if limit_s > 5 else {"failed": "no time was left"}
        differing = list(disagreements(row))
        failed |= "failed" in row or bool(differing)
        report["sections"][name] = row
        options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")  # after each: nothing is lost
        state = row.get("failed") or (f"differs: {', '.join(differing)}" if differing else "done")
        print(f"{name}: {state} ({row.get('s', 0)} s)", flush=True)

    print(f"{options.out}: {report['device']}, {report['name']}")
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
