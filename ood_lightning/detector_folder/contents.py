"""`detector.json`: what a detector folder holds, from which all other files are checked."""

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from ood_lightning.data.artifacts.files import write_json
from ood_lightning.data.artifacts.label_set import LABELS
from ood_lightning.data.artifacts.typed import STRICT, decode_json
from ood_lightning.detector_folder.plain_objects import ClassSettings
from ood_lightning.errors import DetectorError
from ood_lightning.file_names import path_fault
from ood_lightning.hashes import sha256_of

VERSION = 1
FORMAT = "ood_lightning/detector/"
CONTENTS, TEXTS, EVIDENCE, TRAINED = "detector.json", "texts.safetensors", "evidence.safetensors", "trained.safetensors"
CALIBRATION, README, WEIGHTS = "calibration.json", "README.md", "weights"
UNDER = "positives_under"  # the tensor, in EVIDENCE, of positives under another text tower
COPY_AGAIN = "copy the folder again, or make it anew"


@dataclass(frozen=True)
class EncoderEntry:
    """The image and text towers, by reference.

    Args:
        name: for people.
        fingerprint: of model, weights, preprocessing and precision.
        settings: of the class that loads it.
        copied: its files lie in the folder `weights`.
    """

    __pydantic_config__: ClassVar = STRICT

    name: str
    fingerprint: str
    settings: ClassSettings
    copied: bool = False


@dataclass(frozen=True)
class _Version:
    """What is read first; everything else may be another version's."""

    format: str


@dataclass(frozen=True)
class Contents:
    """What `detector.json` says.

    Args:
        format: with the version.
        encoder: that images and texts are encoded with.
        detector: how images are scored.
        labels: hash of the label set's content.
        corpus: that the label set was mined from.
        prompts: around each word.
        supervision: what detector and label set were given.
        files: SHA-256 of the other files, by name.
        provenance: what the folder was made by and from.
        sha256: of all the rest.
    """

    __pydantic_config__: ClassVar = STRICT

    format: str
    encoder: EncoderEntry
    detector: ClassSettings
    labels: str
    corpus: dict[str, Any]
    prompts: dict[str, Any]
    supervision: tuple[str, ...]
    files: dict[str, str]
    provenance: dict[str, Any] = field(default_factory=dict)
    sha256: str = ""

    def sealed(self) -> "Contents":
        """The same with the hash of all the rest."""
        rest = json.dumps(asdict(replace(self, sha256="")), sort_keys=True)
        return replace(self, sha256=hashlib.sha256(rest.encode()).hexdigest())

    def write(self, folder: Path) -> None:
        """Write `detector.json`; the same content gives the same bytes."""
        write_json(folder / CONTENTS, asdict(self.sealed()))

    @classmethod
    def read(cls, folder: Path) -> "Contents":
        """What `detector.json` says, if nobody changed it.

        Raises:
            DetectorError: there is none, it is damaged, or a newer version wrote it.
        """
        file = folder / CONTENTS
        try:
            text = file.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise DetectorError(_not_there(folder)) from None
        except OSError as error:
            raise DetectorError(f"{folder} is no detector folder: {file}: {error.strerror}") from None

        _check_version(decode_json(text, _Version, str(file), DetectorError).format, file)
        contents = decode_json(text, cls, str(file), DetectorError)
        if contents.sealed() != contents:
            raise DetectorError(f"{file} is not what was written, by its SHA-256: {COPY_AGAIN}")
        return contents

    def check_files(self, folder: Path) -> None:
        """Refuse a folder whose files are not those that it was written with.

        Raises:
            DetectorError: naming the first such file.
        """
        for name, expected in self.files.items():
            if fault := path_fault(name):
                raise DetectorError(f"{folder / CONTENTS} names the file {name!r}, but {fault}")
            path = folder / name
            if not path.is_file():
                raise DetectorError(f"{path} is missing: {COPY_AGAIN}")
            if sha256_of(path) != expected:
                raise DetectorError(
                    f"{path} is damaged, or of another detector: its SHA-256 is not the one in {CONTENTS}: {COPY_AGAIN}"
                )


def files_of(folder: Path) -> dict[str, str]:
    """SHA-256 of all files of a folder that `detector.json` answers for, by name."""
    free = {CONTENTS, LABELS, README}  # labels.json has a hash of its own, and may be edited
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    names = {path.relative_to(folder).as_posix(): path for path in paths}
    return {name: sha256_of(path) for name, path in names.items() if name not in free}


def _not_there(folder: Path) -> str:
    """What to do where a folder holds no `detector.json`."""
    if (folder / "detector" / CONTENTS).is_file():
        return f"{folder} is the folder of a run: its detector is {folder / 'detector'}"
    state = f"{folder} holds no {CONTENTS}" if folder.exists() else f"there is no folder {folder}"
    return (
        f"{state}: expected a detector folder. `run PICTURES` makes one (runs/NAME/detector), and so does "
        f"`save-detector` of a label set"
    )


def _check_version(stated: str, file: Path) -> None:
    version = re.fullmatch(re.escape(FORMAT) + r"(\d{1,6})", stated)
    if version is None:
        raise DetectorError(f"{file} is no file of a detector folder: its format is {stated[:60]!r}")
    if int(version[1]) > VERSION:
        raise DetectorError(
            f"{file} was written by a newer ood_lightning (format {version[1]}, this version reads {VERSION}): update, "
            f"or make the folder with this version"
        )
