"""Where the drawings come from: npm packages by version and hash, and who may be used for what.

`build.py --stage fetch` packs them with npm, checks the hashes and unpacks them under ``WORK/packages``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

PROTOCOL = "pictograms-1"


@dataclass(frozen=True)
class Package:
    """One npm package: its exact version and the hash that npm gives for the tarball."""

    name: str
    version: str
    integrity: str

    @property
    def folder(self) -> str:
        """Folder name under ``WORK/packages``."""
        return self.name.rpartition("/")[2]


PACKAGES = tuple(
    Package(*line.split())
    for line in (Path(__file__).parent / "packages.txt").read_text().splitlines()
    if line and not line.startswith("#")
)

TRAINING_VENDORS = ("noto", "noto-v1", "twemoji", "emojione", "fxemoji")
HELD_OUT_VENDORS = ("fluent-emoji-flat", "fluent-emoji", "fluent-emoji-high-contrast")
LOCKED_VENDORS = ("openmoji",)  # measured once, at the very end; see assets/pictograms/README.md
VENDORS = TRAINING_VENDORS + HELD_OUT_VENDORS + LOCKED_VENDORS

LICENCES = {
    "noto": "Apache-2.0",
    "noto-v1": "Apache-2.0",
    "fxemoji": "Apache-2.0",
    "twemoji": "CC-BY-4.0",
    "emojione": "CC-BY-4.0",
    "fluent-emoji": "MIT",
    "fluent-emoji-flat": "MIT",
    "fluent-emoji-high-contrast": "MIT",
    "openmoji": "CC-BY-SA-4.0",
}


def fetch(folder: Path) -> None:
    """Pack, check and unpack every package that is not there yet.

    Raises:
        ValueError: if npm hands over other bytes than those whose hash stands in ``packages.txt``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for package in PACKAGES:
        if (folder / package.folder / "package.json").exists():
            continue

        command = ["npm", "pack", f"{package.name}@{package.version}", "--json"]
        answer = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout
        tarball = folder / Path(json.loads(answer)[0]["filename"].replace("@", "").replace("/", "-")).name

        algorithm, _, digest = package.integrity.partition("-")
        computed = base64.b64encode(hashlib.new(algorithm, tarball.read_bytes()).digest()).decode()
        if computed != digest:
            raise ValueError(
                f"{package.name}@{package.version}: the tarball's {algorithm} is {computed}, packages.txt says {digest}"
                f". Fetch it again; if the hash stays, the package is not the one that the shards were made from."
            )

        scratch = folder / f"{package.folder}.tmp"
        with tarfile.open(tarball) as archive:
            archive.extractall(scratch, filter="data")
        (scratch / "package").rename(folder / package.folder)
        scratch.rmdir()
        tarball.unlink()
