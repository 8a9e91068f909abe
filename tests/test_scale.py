"""Twenty thousand pictures through `embed`: each once, in memory that does not grow with their number."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors import safe_open
from shard_files import encoded, write_tar

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(3600)]

PICTURES = 1000  # of a shard
# prints the most memory that the command and its workers had, in MiB
MEASURED = """
import resource, sys
from ood_lightning.cli.main import main
status = main(sys.argv[1:])
processes = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
print("peak", max(resource.getrusage(who).ru_maxrss for who in processes) // 1024)
sys.exit(status)
"""


def peak_mib(folder: Path, cache: str) -> int:
    tars = f"{folder}/x-{{00000..{len(list(folder.glob('*.tar'))) - 1:05d}}}.tar"
    command = [sys.executable, "-c", MEASURED, "embed", "--encoder=plain_encoder.PlainEncoder", f"--shards=['{tars}']"]
    paths = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [*command, f"--cache_dir={cache}"], env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split("peak ")[1])


def sets_of(folder: Path, n_shards: int) -> Path:
    """Tars of as many small pictures; keys differ over all of them."""
    folder.mkdir()
    pictures = [encoded((7 * i % 255, 90, 30), i, size=8) for i in range(50)]
    for shard in range(n_shards):
        members = [(f"{shard:02d}_{i:04d}.png", pictures[(shard + i) % 50]) for i in range(PICTURES)]
        write_tar(folder / f"x-{shard:05d}.tar", members)
    return folder


@pytest.mark.skipif(not hasattr(resource, "RUSAGE_CHILDREN"), reason="memory is read as on Unix")
def test_twenty_thousand_pictures_are_embedded_once_in_the_memory_of_two_thousand(tmp_path: Path):
    few = peak_mib(sets_of(tmp_path / "few", 2), "cache_of_few")
    many = peak_mib(sets_of(tmp_path / "many", 20), "cache_of_many")
    assert many - few < 100

    keys: list[str] = []
    for file in sorted(Path("cache_of_many").rglob("*.tar.safetensors")):
        with safe_open(file, framework="np") as stored:
            n_rows = stored.get_slice("image").get_shape()[0]
        keys += [file.name] * n_rows
    assert len(keys) == 20 * PICTURES
    assert len(set(keys)) == 20
